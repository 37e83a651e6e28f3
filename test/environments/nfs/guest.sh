#!/bin/bash
# The init of a guest of User Mode Linux. Its root is the host's, read-only; what it writes goes to $GUEST_OUT.
# One NFS server and three clients, each in its own network and mount namespace (the server's own, a and b), which
# mount the same export at /mnt/nfs. Then the scenarios run, and the guest ends.
#
# From the command line of the kernel: GUEST_OUT, GUEST_NODE, GUEST_SCRIPT, GUEST_SECONDS, NFS_VERSION (3, 4.0, 4.2).
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp
export GUEST_OUT GUEST_NODE GUEST_SCRIPT GUEST_SECONDS NFS_VERSION

end() {
  sync
  echo "guest: $1"
  exec busybox poweroff -f
}

mount -t proc proc /proc
mount -t sysfs sysfs /sys
for folder in /run /mnt /var/lib/nfs; do mount -t tmpfs tmpfs "$folder"; done
mount -t devtmpfs devtmpfs /dev 2>/dev/null
mkdir -p /dev/shm /dev/pts /run/rpc_pipefs /run/lock /run/sendsigs.omit.d /mnt/out /mnt/export /mnt/nfs \
  /mnt/lib/modules /var/lib/nfs/{sm,sm.bak,v4recovery,rpc_pipefs}
mount -t tmpfs tmpfs /dev/shm
touch /var/lib/nfs/{rmtab,etab}
mount -t hostfs none /mnt/out -o "$GUEST_OUT" || end 'no folder for the results'
exec > /mnt/out/guest.txt 2>&1
export GUEST_OUT=/mnt/out

ln -s "/usr/lib/uml/modules/$(uname -r)" "/mnt/lib/modules/$(uname -r)"
for module in nfsd nfsv3 nfsv4 veth bridge; do modprobe -d /mnt "$module" || echo "no module $module"; done
hostname server
busybox ip link set lo up

mount -t ext4 /dev/ubda /mnt/export || end 'no disk'
chmod 1777 /mnt/export
mkdir -p /mnt/export/shared /mnt/export/squashed
chmod 777 /mnt/export/shared /mnt/export/squashed
# A mount point, so that version 4 crosses into an export of its own.
mount --bind /mnt/export/squashed /mnt/export/squashed
mount -t nfsd nfsd /proc/fs/nfsd
mount -t rpc_pipefs rpc_pipefs /run/rpc_pipefs
mount -t rpc_pipefs rpc_pipefs /var/lib/nfs/rpc_pipefs
# Seconds, as short as can be: a lease that runs out and a server that comes back are to be waited for.
echo 10 > /proc/fs/nfsd/nfsv4gracetime
echo 10 > /proc/fs/nfsd/nfsv4leasetime
echo 10 > /proc/sys/fs/nfs/nlm_grace_period
rpcbind -w
rpc.statd -L
exportfs -o rw,fsid=0,no_root_squash,insecure,no_subtree_check '*:/mnt/export'
exportfs -o rw,fsid=7,root_squash,insecure,no_subtree_check '*:/mnt/export/squashed'
rpc.nfsd 4
rpc.mountd

# Version 3 has no root of exports.
path() { [ "$NFS_VERSION" = 3 ] && echo "/mnt/export/$1" || echo "/$1"; }
options="vers=$NFS_VERSION,hard"
mount_all() {
  mkdir -p /mnt/nfs /mnt/squashed
  mount -t nfs -o "$options" "$1:$(path shared)" /mnt/nfs
  mount -t nfs -o "$options" "$1:$(path squashed)" /mnt/squashed
}
export -f mount_all path
export options

busybox ip link add br0 type bridge 2>/dev/null || ip link add br0 type bridge
ip link set br0 up
number=1
# Each client knows the server by an address of its own. Lockd keeps the blocked locks of all of a kernel's clients in one
# list, and a grant is for whichever has that server, file and owner (nlmclnt_grant in fs/lockd/clntlock.c): owners are
# numbered by each client, so that a grant for one machine could be taken by the other, which real machines cannot.
for client in a b; do
  ip addr add "10.0.$number.1/24" dev br0
  ip link add "v$client" type veth peer name "p$client"
  ip link set "v$client" master br0 up
  unshare -n -u -m bash -c "echo \$\$ > /run/$client.pid; exec sleep infinity" &
  until [ -s "/run/$client.pid" ] && [ "$(readlink "/proc/$(cat "/run/$client.pid")/ns/net")" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.1; done
  pid=$(cat "/run/$client.pid")
  ip link set "p$client" netns "$pid"
  nsenter -t "$pid" -n -u -m bash -c "
    hostname $client
    ip link set lo up
    ip addr add 10.0.$number.2/24 dev p$client
    ip link set p$client up
    # Daemons of its own, which keep their state here.
    mount -t tmpfs tmpfs /run
    mount -t tmpfs tmpfs /var/lib/nfs
    mkdir -p /run/rpc_pipefs /run/lock /run/sendsigs.omit.d /var/lib/nfs/sm /var/lib/nfs/sm.bak
    mount -t rpc_pipefs rpc_pipefs /run/rpc_pipefs
    [ $NFS_VERSION = 3 ] && { rpcbind -w; rpc.statd -L; }
    mount_all 10.0.$number.1
  "
  number=$((number + 1))
done
mount_all 127.0.0.1

# The server grants no lock in its grace period.
for try in 1 2 3 4 5 6 7 8 9 10 11 12; do timeout 4 flock -n /mnt/nfs/grace true && break; sleep 2; done
for client in self "$(cat /run/a.pid)" "$(cat /run/b.pid)"; do
  grep " /mnt/nfs nfs4\? .*vers=$NFS_VERSION," "/proc/$client/mounts" || end 'a mount is not the NFS that was asked for'
done
CLIENT_A="nsenter -t $(cat /run/a.pid) -n -u -m" CLIENT_B="nsenter -t $(cat /run/b.pid) -n -u -m" "$GUEST_NODE" "$GUEST_SCRIPT"
end "the scenarios ended with $?"
