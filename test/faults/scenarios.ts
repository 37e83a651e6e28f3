import { alleged } from '../support/alleged-network.js';
import {
  acquiring,
  acquiringWithoutInput,
  existingFile,
  handingOn,
  knownFile,
  knownFileWithoutParents,
  missingParents,
  releasing,
  waiting,
  waitingInTurn,
  waitingWithPool,
} from './acquisitions.js';
import { checking, cleaningUp, lookingUp, watchingForLoss, watchingForLossOnServer } from './observations.js';
import type { Run } from './subject.js';

export interface Scenario {
  /** Where its files have no block device, so that the type of their file system is asked for. */
  readonly onShm: boolean;
  /** What the file system alleges to be, in the words of test/fixtures/faults.c. */
  readonly always: readonly string[];
  /** A process of its own for each fault: what is tested happens once in a process. */
  readonly fresh: boolean;
  readonly run: Run;
}

const local = { onShm: false, always: [], fresh: false };
const shm = { ...local, onShm: true };
const nfs = { ...shm, always: [alleged()] };
const ninep = { ...shm, always: [alleged(0x01021997)] };
const first = { fresh: true };
const RECORD = { recordHolder: true };
const FCNTL = { mechanism: 'fcntl' } as const;

export const scenarios = {
  acquiring: { ...local, run: acquiring({}) },
  'acquiring, fcntl': { ...local, run: acquiring(FCNTL) },
  'acquiring with a record': { ...local, run: acquiring(RECORD) },
  'acquiring with a record, first': { ...local, ...first, run: acquiring(RECORD, existingFile, ['acquire']) },
  'acquiring, parents missing': { ...local, run: acquiring({}, missingParents) },
  'acquiring, descriptor 0 free': { ...local, ...first, run: acquiringWithoutInput },
  'acquiring on tmpfs': { ...shm, run: acquiring({}) },
  'acquiring on NFS': { ...nfs, run: acquiring({}, knownFile) },
  'acquiring on NFS, parents missing': { ...nfs, run: acquiring({}, knownFileWithoutParents) },
  'acquiring on 9p': { ...ninep, run: acquiring({}, knownFile) },
  'acquiring with a record on NFS': { ...nfs, run: acquiring(RECORD, knownFile) },
  'acquiring with a record on NFS, first': { ...nfs, ...first, run: acquiring(RECORD, knownFile, ['acquire']) },
  'handing on': { ...local, run: handingOn },
  releasing: { ...local, run: releasing({}) },
  'releasing, kept open': { ...local, run: releasing({ keepOpen: true }) },
  'releasing, fcntl': { ...local, run: releasing(FCNTL) },
  'releasing, descriptor known': { ...local, run: releasing({}, true) },
  'releasing with a record': { ...local, run: releasing(RECORD) },
  'releasing with a record on NFS': { ...nfs, run: releasing(RECORD) },
  waiting: { ...local, run: waiting({}) },
  'waiting, fcntl': { ...local, run: waiting(FCNTL) },
  'waiting on NFS': { ...nfs, run: waiting({}, knownFile) },
  'waiting in turn': { ...local, run: waitingInTurn },
  'waiting first': { ...local, ...first, run: waitingWithPool },
  'waiting first, thread pool unused': { ...local, ...first, run: waitingInTurn },
  verifying: { ...local, run: checking() },
  'verifying, descriptor known': { ...local, run: checking(true) },
  'verifying on NFS': { ...nfs, run: checking() },
  'verifying on 9p': { ...ninep, run: checking() },
  'watching for loss': { ...local, run: watchingForLoss },
  'watching for loss, first': { ...local, ...first, run: watchingForLoss },
  'watching for loss on NFS': { ...nfs, run: watchingForLossOnServer },
  inspecting: { ...local, run: lookingUp('inspect') },
  'inspecting, first': { ...local, ...first, run: lookingUp('inspect') },
  'inspecting, no record': { ...local, run: lookingUp('inspect', { recordHolder: false }) },
  'timing out': { ...local, run: lookingUp('timeOut') },
  'reporting a wait': { ...local, run: lookingUp('report') },
  'reporting a wait, first': { ...local, ...first, run: lookingUp('report') },
  'reporting a wait on NFS': { ...nfs, run: lookingUp('report') },
  'cleaning up': { ...local, run: cleaningUp },
  'cleaning up on tmpfs': { ...shm, run: cleaningUp },
  'cleaning up on 9p': { ...ninep, run: cleaningUp },
  'cleaning up on NFS': { ...nfs, run: cleaningUp },
} satisfies Record<string, Scenario>;
