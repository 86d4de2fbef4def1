/**
 * Under a process that writes, the system's calls begin to fail, at any moment and for a while: writes for lack of room
 * (ENOSPC), because the disk is bad (EIO) or was made read-only (EROFS), flushes (EIO). Every put ends with an
 * acknowledgement or a typed error; then the process is stopped or killed, with or without the faults; nothing that it
 * acknowledged is lost, and no dot is used twice. No process ends by itself.
 *
 * By libfiu (Debian: fiu-utils), which is loaded into the process before the C library. Only the calls by which LMDB
 * writes are made to fail (`pwrite`, `writev`, `fdatasync`, `fsync`); a failing `write` would hit libuv's own wake-ups.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { below } from '../../src/base/random.js';
import { CrashCase } from './crash-case.js';
import type { Progress, Skipped } from './story.js';

export interface DiskFaultOptions {
  readonly runs: number;
  readonly seed: number;
}

const WRITER = new URL('../support/crash-writer.js', import.meta.url);
const LIBRARIES = ['/usr/lib/fiu/fiu_run_preload.so', '/usr/lib/fiu/fiu_posix_preload.so'];
const EIO = 5;
const ENOSPC = 28;
const EROFS = 30;
const FAULTS = {
  'a full disk': { calls: ['posix/io/rw/pwrite', 'posix/io/rw/writev'], errno: ENOSPC },
  'failing writes': { calls: ['posix/io/rw/pwrite', 'posix/io/rw/writev'], errno: EIO },
  'a read-only disk': { calls: ['posix/io/rw/pwrite', 'posix/io/rw/writev'], errno: EROFS },
  'failing flushes': { calls: ['posix/io/sync/fdatasync', 'posix/io/sync/fsync'], errno: EIO },
} as const;
type Fault = keyof typeof FAULTS;
const KINDS = Object.keys(FAULTS) as Fault[];
const PROBABILITIES = [0.02, 0.3, 1];
/** What a put may end with while disks fail, and nodes that cannot go on are restarted; the outcome of each is in the books. */
const EXPECTED = new Set(['STORAGE_FULL', 'STORAGE_FAILED', 'QUORUM_NOT_MET', 'TIMEOUT', 'QUORUM_UNAVAILABLE']);
/** What a storage that could not store a write says of it. */
const FAULT_CODES = new Set(['STORAGE_FULL', 'STORAGE_FAILED']);
const CLOSE_WITHIN_MS = 60_000;

/** Runs on one directory: what is read and checked after each grows with the runs before. */
const RUNS_PER_STORE = 5;
/** In so many runs every kind of fault has struck writes: it has come with a high probability, too. */
const EVERY_KIND = 40;
/** Stores that are at work at a time: for the rest a run mostly waits, for a moment that was drawn or for a flush. */
const AT_A_TIME = 2;

/** What was seen so far. */
interface Tally {
  runs: number;
  acked: number;
  /** By error code, how many writes failed with it. */
  readonly codes: Map<string, number>;
  /** By kind of fault, how many writes failed with an error of a storage. */
  readonly faults: Map<Fault, number>;
}

/**
 * Each store has a seed of its own, from `seed` on; a failure names it.
 * @returns a summary; or why it cannot be done here @throws if anything was lost, used twice or brought back, or ended wrongly
 */
export async function failDisks({ runs, seed }: DiskFaultOptions, progress: Progress): Promise<string | Skipped> {
  if (!LIBRARIES.every(existsSync)) return { skipped: 'libfiu is not installed (apt-get install fiu-utils)' };
  const tally: Tally = { runs: 0, acked: 0, codes: new Map(), faults: new Map() };
  let stores = 0;
  let failed = false;
  async function work(): Promise<void> {
    while (stores * RUNS_PER_STORE < runs && !failed) {
      const first = stores * RUNS_PER_STORE;
      const own = seed + stores++;
      await oneStore(own, first, Math.min(runs, first + RUNS_PER_STORE), (what, acked) => {
        tally.runs++;
        tally.acked += acked;
        progress(`run ${tally.runs} of ${runs} (seed ${own}: ${what}): ${tally.acked} acknowledged`);
      });
    }
  }
  async function oneStore(
    own: number,
    from: number,
    to: number,
    done: (what: string, acked: number) => void,
  ): Promise<void> {
    await CrashCase.run('fiu', own, async (test) => {
      // Threads take most of the time of a start; with more nodes than replicas, no node has everything.
      await test.create({ nodes: 4, partitions: 16 });
      for (let run = from; run < to; run++) {
        const before = test.ledger.acked;
        const what = await runOne(test, tally, run);
        test.checkLeft();
        // Sometimes the next writer finds the directory just as this one left it.
        if (run === to - 1 || below(test.random, 2) === 0) await test.verify();
        done(what, test.ledger.acked - before);
      }
    });
  }
  const failing = (error: unknown): never => {
    failed = true;
    throw error;
  };
  const ends = await Promise.allSettled(Array.from({ length: AT_A_TIME }, () => work().catch(failing)));
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
  assert(tally.acked > 0, 'nothing was acknowledged');
  assert(tally.faults.size > 0, 'no fault struck a write');
  if (runs >= EVERY_KIND) for (const kind of KINDS) assert(tally.faults.has(kind), `${kind} struck no write`);
  const codes = [...tally.codes].map(([code, count]) => `${count} × ${code}`).join(', ');
  const faults = [...tally.faults].map(([kind, count]) => `${count} by ${kind}`).join(', ');
  return `${runs} runs, ${tally.acked} acknowledged writes, ${codes}; storages refused ${faults}`;
}

/** @returns what it was like */
async function runOne(test: CrashCase, tally: Tally, run: number): Promise<string> {
  const { random, directory } = test;
  const kind = KINDS[run % KINDS.length]!;
  const sync = kind === 'failing flushes' || below(random, 2) === 0 ? 'full' : 'none';
  const probability = PROBABILITIES[below(random, PROBABILITIES.length)]!;
  const control = join(directory, 'fiu');
  // LMDB says every failing write on the error stream.
  const writer = test.startWriter(WRITER, sync, `r${run}`, {
    env: { ...process.env, LD_PRELOAD: LIBRARIES.join(' '), FIU_CTRL_FIFO: control, FIU_ENABLE: '' },
  });
  const { child } = writer;
  assert(await writer.says('writing'), `writer ${run} ended before it wrote: ${writer.lastErrors}`);
  await writer.goesOnFor(50 + below(random, 200));
  const { calls, errno } = FAULTS[kind];
  for (const call of calls) {
    await command(control, child, `enable_random name=${call},probability=${probability},failinfo=${errno}`);
  }
  await writer.goesOnFor(200 + below(random, 400));
  const healed = below(random, 2) === 0;
  if (healed) {
    for (const call of calls) await command(control, child, `disable name=${call}`);
    await writer.goesOnFor(below(random, 1_500));
  }
  const end = below(random, 2) === 0 ? 'stopped' : 'killed';
  if (end === 'killed') await writer.kill();
  else {
    if (child.connected) child.send('stop');
    const late = setTimeout(() => child.kill('SIGKILL'), CLOSE_WITHIN_MS);
    await writer.exited;
    clearTimeout(late);
    // A node whose last flush fails says so, and counts as one that died; the process ends in order all the same.
    assert.deepEqual(
      [child.exitCode, child.signalCode],
      [0, null],
      `writer ${run} did not close: ${writer.lastErrors}`,
    );
  }
  test.enter(writer);
  for (const entry of writer.entries) {
    if (entry.type !== 'failed') continue;
    assert(EXPECTED.has(entry.code), `a write failed with ${entry.code}`);
    tally.codes.set(entry.code, (tally.codes.get(entry.code) ?? 0) + 1);
    if (FAULT_CODES.has(entry.code)) tally.faults.set(kind, (tally.faults.get(kind) ?? 0) + 1);
  }
  return `${kind}, ${probability * 100} %, sync '${sync}', ${healed ? 'healed' : 'not healed'}, ${end}`;
}

/** Has the process's libfiu do something, by its named pipes; nothing if the process has ended, or ends meanwhile. */
async function command(control: string, writer: ChildProcess, text: string): Promise<void> {
  const ended = new AbortController();
  const abort = (): void => ended.abort();
  writer.once('exit', abort);
  if (writer.exitCode !== null || writer.signalCode !== null) ended.abort();
  const options = { timeout: 10_000, signal: ended.signal };
  try {
    await promisify(execFile)('fiu-ctrl', ['-f', control, '-c', text, String(writer.pid)], options);
  } catch (error) {
    if (!ended.signal.aborted) throw error;
  } finally {
    writer.off('exit', abort);
  }
}
