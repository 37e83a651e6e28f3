#!/bin/bash
# The init of a guest of User Mode Linux. Its root is the host's, read-only; what it writes goes to $GUEST_OUT.
# A server of 9p, diod, and two clients: mounts of their own at /mnt/a and /mnt/b, which share nothing in the kernel.
#
# From the command line of the kernel: GUEST_OUT, GUEST_NODE, GUEST_SCRIPT, GUEST_SECONDS.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp
export GUEST_OUT GUEST_NODE GUEST_SCRIPT GUEST_SECONDS

end() {
  sync
  echo "guest: $1"
  exec busybox poweroff -f
}

mount -t proc proc /proc
mount -t sysfs sysfs /sys
for folder in /run /mnt; do mount -t tmpfs tmpfs "$folder"; done
mount -t devtmpfs devtmpfs /dev 2>/dev/null
mkdir -p /dev/shm /mnt/out /mnt/export /mnt/a /mnt/b /mnt/lib/modules
mount -t tmpfs tmpfs /dev/shm
mount -t hostfs none /mnt/out -o "$GUEST_OUT" || end 'no folder for the results'
exec > /mnt/out/guest.txt 2>&1
export GUEST_OUT=/mnt/out

ln -s "/usr/lib/uml/modules/$(uname -r)" "/mnt/lib/modules/$(uname -r)"
for module in 9p 9pnet_fd; do modprobe -d /mnt "$module" || echo "no module $module"; done
busybox ip link set lo up

mount -t ext4 /dev/ubda /mnt/export || end 'no disk'
diod --foreground --no-auth --no-userdb --squashuser root --export /mnt/export --listen 127.0.0.1:564 \
  --logdest /mnt/out/diod.txt &
until (exec 3<>/dev/tcp/127.0.0.1/564) 2>/dev/null; do
  kill -0 $! 2>/dev/null || end 'the server has ended'
  sleep 0.1
done
for client in a b; do
  mount -t 9p -o trans=tcp,port=564,version=9p2000.L,aname=/mnt/export,uname=root,access=user 127.0.0.1 "/mnt/$client"
  grep " /mnt/$client 9p " /proc/mounts || end 'a mount is not 9p'
done

"$GUEST_NODE" "$GUEST_SCRIPT"
end "the scenarios ended with $?"
