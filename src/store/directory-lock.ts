/**
 * One owner for a data directory at a time, among processes and within one.
 *
 * Who wants it first puts down a claim, which says everything in its name, and only then looks around:
 *
 *     LOCK.<pid>.<start of the process>.<boot>.<pid namespace>.<random>
 *
 * If it sees the claim of another that lives, it takes its own away and gives up, or tries again; else it is the owner,
 * and removes the claims of the dead.
 * - There are never two owners: of two claims, whoever put down the later one sees the earlier.
 * - A dead owner (kill -9, power loss) needs no hand-over that could be raced: a claim is never reused, so removing one
 *   that is dead can only remove that one, whoever else does the same.
 * - Two who come at once may both give up; hence the tries, a random time apart.
 * - A name is there or not: no claim is ever half written, or empty after power loss.
 *
 * A claim is a Unix socket that its owner listens on, but never reads from: the kernel itself tells whether somebody does,
 * also of a process that stands still, or that lives in another container. Between the making of the name and the
 * listening it is taken for dead: then whoever removed it had put down its own before, and is seen by this one, which
 * looks around only after it listens.
 *
 * Where a file system or a platform has no sockets the claim is an empty file. Then a process is known by its id and the
 * time of its start (Linux), since ids are used again; one of another pid namespace cannot be looked up, and counts as
 * alive. A claim of another boot is dead, whatever it is: a directory that two machines share over a network is not
 * protected (nor is LMDB made for that).
 */
import { randomBytes } from 'node:crypto';
import { closeSync, lstatSync, openSync, readdirSync, readFileSync, readlinkSync, unlinkSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { LockedError } from '../base/errors.js';
import { SYSTEM_BOOT } from './boot-id.js';

export interface DirectoryLock {
  /** Gives the directory free. Idempotent. */
  release(): void;
}

/** True for the name of a lock's file. */
export function isLockFile(name: string): boolean {
  return parseClaim(name) !== undefined;
}

const TRIES = 5;
/** The longest wait between two tries, in milliseconds: enough for many at once to part. */
const LONGEST_WAIT_MS = 20;

/**
 * Takes the directory at `path`, which must be there, for this process.
 *
 * @throws {LockedError} Another process has it, or this one has already.
 */
export async function lockDirectory(path: string): Promise<DirectoryLock> {
  for (let tries = 1; ; tries++) {
    const outcome = await claim(path);
    if (!('owner' in outcome)) return outcome;
    if (tries === TRIES) throw new LockedError(lockedMessage(path, outcome.owner));
    await delay(Math.random() * LONGEST_WAIT_MS);
  }
}

/** What the name of a claim says. */
interface Claim {
  readonly name: string;
  readonly pid: number;
  /** As the system counts it (clock ticks after boot), or '-' where it tells none. */
  readonly start: string;
  readonly boot: string;
  readonly namespace: string;
}

async function claim(path: string): Promise<DirectoryLock | { owner: Claim }> {
  const { pid } = process;
  const own = `LOCK.${pid}.${startOf(pid) ?? '-'}.${BOOT}.${NAMESPACE}.${randomBytes(6).toString('hex')}`;
  const server = await listenAt(path, own);
  if (server === undefined) closeSync(openSync(join(path, own), 'wx'));
  const release = (): void => {
    server?.close();
    remove(path, own);
  };
  try {
    for (const name of readdirSync(path)) {
      const other = parseClaim(name);
      if (other === undefined || name === own) continue;
      if (await isAlive(path, other)) {
        release();
        return { owner: other };
      }
      remove(path, name);
    }
  } catch (error) {
    release();
    throw error;
  }
  return { release };
}

/** Makes the socket `name` in the directory, and listens on it; undefined where that cannot be. */
async function listenAt(path: string, name: string): Promise<Server | undefined> {
  const server = createServer((caller) => caller.destroy());
  return withAddress(path, name, (address) => {
    return new Promise((resolve) => {
      server.on('error', () => resolve(undefined));
      // `exclusive`: in a worker of `node:cluster`, too, it is this process that listens.
      server.listen({ path: address, exclusive: true }, () => resolve(server.unref()));
    });
  });
}

/** Whether somebody listens on the claim; undefined if that cannot be found out, or it is no socket. */
async function isListenedTo(path: string, name: string): Promise<boolean | undefined> {
  if (lstatSync(join(path, name), { throwIfNoEntry: false })?.isSocket() !== true) return undefined;
  return withAddress(path, name, (address) => {
    return new Promise((resolve) => {
      const caller = connect(address, () => {
        caller.destroy();
        resolve(true);
      });
      caller.once('error', (error: NodeJS.ErrnoException) => {
        resolve(error.code === 'ECONNREFUSED' ? false : undefined);
      });
    });
  });
}

/** The longest address of a socket on all platforms, in bytes. */
const MAX_ADDRESS_BYTES = 103;

/** Calls `use` with an address for the socket `name` in the directory; undefined if there is none that is short enough. */
async function withAddress<T>(
  path: string,
  name: string,
  use: (address: string) => Promise<T | undefined>,
): Promise<T | undefined> {
  if (process.platform === 'win32') return undefined;
  const address = join(path, name);
  if (Buffer.byteLength(address) <= MAX_ADDRESS_BYTES) return use(address);
  if (process.platform !== 'linux') return undefined;
  const directory = openSync(path, 'r');
  try {
    return await use(`/proc/self/fd/${directory}/${name}`);
  } finally {
    closeSync(directory);
  }
}

function parseClaim(name: string): Claim | undefined {
  const parts = /^LOCK\.(\d+)\.(\d+|-)\.([^.]+)\.([^.]+)\.[0-9a-f]+$/.exec(name);
  if (parts === null) return undefined;
  return { name, pid: Number(parts[1]), start: parts[2]!, boot: parts[3]!, namespace: parts[4]! };
}

async function isAlive(path: string, other: Claim): Promise<boolean> {
  if (other.boot !== BOOT) return false;
  const isHeard = await isListenedTo(path, other.name);
  if (isHeard !== undefined) return isHeard;
  if (other.namespace !== NAMESPACE) return true;
  try {
    process.kill(other.pid, 0);
  } catch (error) {
    // EPERM: it is there, but not ours.
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  const start = startOf(other.pid);
  // Where the system tells no start, the id alone has to do.
  return start === undefined || other.start === '-' || start === other.start;
}

/** When the process started, or undefined if the system does not tell. 'ended' if it is dead, but not yet collected. */
function startOf(pid: number): string | undefined {
  const stat = contentOf(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  // Fields from the third on; the second is the command, in parentheses, and may itself hold spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? 'ended' : fields[19];
}

/** Of this boot of the machine; '-' where the system tells none: then a claim from before a restart is told by its id. */
const BOOT = SYSTEM_BOOT ?? '-';
const NAMESPACE = namespaceOf('/proc/self/ns/pid');

function namespaceOf(link: string): string {
  try {
    return readlinkSync(link).replace(/\D/g, '') || '-';
  } catch {
    // Not Linux: process ids are the machine's.
    return '-';
  }
}

function contentOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // Not Linux, or the process is gone or hidden: the caller goes on without.
    return undefined;
  }
}

function remove(path: string, name: string): void {
  try {
    unlinkSync(join(path, name));
  } catch (error) {
    // Another opener may have removed the same dead claim.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

function lockedMessage(path: string, owner: Claim): string {
  if (owner.namespace !== NAMESPACE) {
    return `${path} is in use by process ${owner.pid} of another container: stop that, or, if it is gone, remove ${join(path, owner.name)}`;
  }
  if (owner.pid === process.pid) {
    return `${path} is open already in this process (${owner.pid}): use that store, or close it first`;
  }
  return `${path} is in use by process ${owner.pid}: stop that process, or name another path`;
}
