/**
 * Under a process that writes, the system's calls begin to fail, at any moment and for a while: writes for lack of room
 * (ENOSPC) or because the disk is bad (EIO), flushes (EIO). Every put ends with an acknowledgement or a typed error; then
 * the process is stopped or killed, with or without the faults; nothing that it acknowledged is lost, and no dot is used
 * twice.
 *
 * lmdb 3.5.6 may end the process natively when a write fails: it prints the failure into 100 bytes, which can be too few
 * (`last_error` in `mdb_page_flush`, mdb.c), and so damages its heap. Where writes fail this counts as a kill, and is told.
 *
 * By libfiu (Debian: fiu-utils), which is loaded into the process before the C library. Only the calls by which LMDB
 * writes are made to fail (`pwrite`, `writev`, `fdatasync`, `fsync`); a failing `write` would hit libuv's own wake-ups.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, fork } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { below, SeededRandom } from '../../src/base/random.js';
import { open } from '../../src/index.js';
import { CrashLedger } from '../support/crash-ledger.js';
import type { LogEntry } from '../support/crash-load.js';
import { readReplicas } from '../support/replica-files.js';
import type { Progress } from './story.js';
import { digestMismatches, readStrictly } from './strict-reads.js';

export interface DiskFaultOptions {
  readonly runs: number;
  readonly seed: number;
}

const WRITER = new URL('../support/crash-writer.js', import.meta.url);
const LIBRARIES = ['/usr/lib/fiu/fiu_run_preload.so', '/usr/lib/fiu/fiu_posix_preload.so'];
const EIO = 5;
const ENOSPC = 28;
const FAULTS = {
  'a full disk': { calls: ['posix/io/rw/pwrite', 'posix/io/rw/writev'], errno: ENOSPC },
  'failing writes': { calls: ['posix/io/rw/pwrite', 'posix/io/rw/writev'], errno: EIO },
  'failing flushes': { calls: ['posix/io/sync/fdatasync', 'posix/io/sync/fsync'], errno: EIO },
} as const;
type Fault = keyof typeof FAULTS;
const KINDS = Object.keys(FAULTS) as Fault[];
const PROBABILITIES = [0.02, 0.3, 1];
/** What a put may end with while disks fail, and nodes that cannot go on are restarted; the outcome of each is in the books. */
const EXPECTED = new Set(['STORAGE_FULL', 'STORAGE_FAILED', 'QUORUM_NOT_MET', 'TIMEOUT', 'QUORUM_UNAVAILABLE']);
/** How glibc and the system end a process whose heap is damaged. */
const NATIVE_ENDS = new Set<unknown>(['SIGABRT', 'SIGSEGV', 'SIGBUS']);
const CLOSE_WITHIN_MS = 60_000;

interface Case extends DiskFaultOptions {
  readonly directory: string;
  readonly ledger: CrashLedger;
  readonly random: SeededRandom;
  /** By error code, how many writes failed with it. */
  readonly codes: Map<string, number>;
  /** Writers that ended natively when a write failed. */
  nativeEnds: number;
}

/** @returns a summary; or that it was skipped @throws if anything was lost, used twice or brought back, or ended wrongly */
export async function failDisks(options: DiskFaultOptions, progress: Progress): Promise<string> {
  if (!LIBRARIES.every(existsSync)) return 'SKIPPED: libfiu is not installed (apt-get install fiu-utils)';
  const directory = mkdtempSync(join(tmpdir(), 'quoral-fiu-'));
  const random = new SeededRandom(options.seed);
  const test: Case = { ...options, directory, random, ledger: new CrashLedger(), codes: new Map(), nativeEnds: 0 };
  const path = join(directory, 'data');
  try {
    await (await open({ path })).close();
    for (let run = 1; run <= options.runs; run++) {
      const what = await runOne(test, path, run);
      await verify(test, path);
      progress(`run ${run} of ${options.runs} (${what}): ${test.ledger.acked} acknowledged, ${test.ledger.open} open`);
    }
    const failed = (test.codes.get('STORAGE_FULL') ?? 0) + (test.codes.get('STORAGE_FAILED') ?? 0);
    assert(test.ledger.acked > 0, 'nothing was acknowledged');
    assert(failed > 0, 'no fault struck a write');
    const codes = [...test.codes].map(([code, count]) => `${count} × ${code}`).join(', ');
    return `${options.runs} runs, ${test.ledger.acked} acknowledged writes, ${codes}; ${test.nativeEnds} ended natively`;
  } catch (error) {
    throw new Error(`seed ${options.seed}: ${error instanceof Error ? error.message : error}`, { cause: error });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function runOne(test: Case, path: string, run: number): Promise<string> {
  const { random, directory, ledger, codes } = test;
  const kind = KINDS[run % KINDS.length]!;
  const sync = kind === 'failing flushes' || below(random, 2) === 0 ? 'full' : 'none';
  const probability = PROBABILITIES[below(random, PROBABILITIES.length)]!;
  const file = join(directory, `r${run}.log`);
  const errors = join(directory, `r${run}.err`);
  const out = openSync(file, 'w');
  const err = openSync(errors, 'w');
  const control = join(directory, 'fiu');
  const writer = fork(WRITER, [path, sync, String(random.uint32()), `r${run}`], {
    // LMDB says every failing write on the error stream.
    stdio: ['ignore', out, err, 'ipc'],
    env: { ...process.env, LD_PRELOAD: LIBRARIES.join(' '), FIU_CTRL_FIFO: control, FIU_ENABLE: '' },
  });
  closeSync(out);
  closeSync(err);
  const exited = new Promise<void>((resolve) => writer.once('exit', () => resolve()));
  await heard(writer, 'writing', exited);
  await some(50 + below(random, 200));
  const { calls, errno } = FAULTS[kind];
  for (const call of calls) {
    await command(control, writer, `enable_random name=${call},probability=${probability},failinfo=${errno}`);
  }
  await Promise.race([some(200 + below(random, 400)), exited]);
  const healed = below(random, 2) === 0;
  if (healed) {
    for (const call of calls) await command(control, writer, `disable name=${call}`);
    await Promise.race([some(below(random, 1_500)), exited]);
  }
  const end = below(random, 2) === 0 ? 'stopped' : 'killed';
  if (end === 'killed') writer.kill('SIGKILL');
  else if (writer.connected) writer.send('stop');
  const late = setTimeout(() => writer.kill('SIGKILL'), CLOSE_WITHIN_MS);
  await exited;
  clearTimeout(late);
  const told = (): string => readFileSync(errors, 'utf8').slice(-2_000);
  const native = kind !== 'failing flushes' && NATIVE_ENDS.has(writer.signalCode);
  if (native) test.nativeEnds++;
  else if (end === 'killed') assert.equal(writer.signalCode, 'SIGKILL', `writer ${run} ended by itself: ${told()}`);
  // A node whose last flush fails says so, and counts as one that died; the process ends in order all the same.
  else assert.deepEqual([writer.exitCode, writer.signalCode], [0, null], `writer ${run} did not close: ${told()}`);
  for (const entry of entriesOf(file)) {
    ledger.apply(entry);
    if (entry.type !== 'failed') continue;
    assert(EXPECTED.has(entry.code), `a write failed with ${entry.code}`);
    codes.set(entry.code, (codes.get(entry.code) ?? 0) + 1);
  }
  return `${kind}, ${probability * 100} %, sync '${sync}', ${healed ? 'healed' : 'not healed'}, ${native ? 'ended natively' : end}`;
}

/** Looks at the files as they were left; then opens the store, without faults, and reads every key strictly. */
async function verify({ ledger }: Case, path: string): Promise<void> {
  const left = readReplicas(path);
  ledger.checkDots(left);
  ledger.checkStored(left);
  const store = await open({ path });
  let primaries: string[][];
  try {
    primaries = store.ring().map((partition) => [...partition.primaries]);
    await readStrictly(store, ledger.keyNames);
    const mismatches = await digestMismatches(store);
    await readStrictly(store, ledger.keyNames);
    assert.equal(await digestMismatches(store), mismatches, 'replicas differ after a strict read of every key');
  } finally {
    await store.close();
  }
  const replicas = readReplicas(path);
  ledger.checkDots(replicas);
  ledger.check(ledger.checkReplicas(replicas, primaries));
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

/** Resolves once the writer has said `word`; rejects if it ends before. */
async function heard(writer: ChildProcess, word: string, exited: Promise<void>): Promise<void> {
  const said = new Promise<boolean>((resolve) => {
    writer.on('message', (message) => {
      if (message === word) resolve(true);
    });
  });
  assert(await Promise.race([said, exited.then(() => false)]), `the writer ended before it said '${word}'`);
}

/** Lets the writer go on for so many milliseconds: the moment of a fault is drawn. */
function some(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function entriesOf(file: string): LogEntry[] {
  const lines = readFileSync(file, 'utf8').split('\n');
  // The last is empty, or was cut off by the kill.
  return lines.slice(0, -1).map((line) => JSON.parse(line) as LogEntry);
}
