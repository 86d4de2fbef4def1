/**
 * A process that writes is killed again and again (SIGKILL), at any moment, its opening included; the directory is
 * looked at as the kill left it, and opened again, by the next writer or by this process.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { below, SeededRandom } from '../../src/base/random.js';
import { open } from '../../src/index.js';
import { CrashLedger } from '../support/crash-ledger.js';
import type { LogEntry } from '../support/crash-load.js';
import { IDENTITY_KEYS, writeIdentities } from '../support/identity-keys.js';
import { readReplicas } from '../support/replica-files.js';
import type { Progress } from './story.js';
import { digestMismatches, readStrictly } from './strict-reads.js';

export interface KillOptions {
  readonly kills: number;
  readonly sync: 'full' | 'none';
  readonly seed: number;
}

const WRITER = new URL('../support/crash-writer.js', import.meta.url);

/** What is known over all kills. */
interface Case extends KillOptions {
  readonly directory: string;
  readonly path: string;
  readonly ledger: CrashLedger;
  readonly random: SeededRandom;
  /** What the next opening finds: a clean stop, an unclean one, or a clean one of which an opening may have begun. */
  stop: 'clean' | 'unclean' | 'either';
  /** By key, the writer of the last identity write before the last clean stop. */
  readonly kept: Map<string, string>;
}

/** @returns a summary @throws if anything was lost, damaged, used twice or brought back */
export async function killWriters(options: KillOptions, progress: Progress): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'quoral-kill-'));
  const path = join(directory, 'data');
  const { kills, sync, seed } = options;
  const random = new SeededRandom(seed);
  const test: Case = {
    ...options,
    directory,
    path,
    ledger: new CrashLedger(),
    random,
    stop: 'unclean',
    kept: new Map(),
  };
  const { ledger } = test;
  try {
    // Created by a clean opening: what a kill leaves of a directory half made is another test's.
    await (await open({ path, sync })).close();
    let writing = 0;
    for (let kill = 1; kill <= kills; kill++) {
      const run = `k${kill}`;
      if (await killOne(test, run)) writing++;
      const left = readReplicas(path);
      ledger.checkDots(left);
      ledger.checkStored(left);
      // Sometimes the next writer finds the directory just as the kill left it.
      if (kill === kills || below(random, 3) > 0) await verify(test, `v${kill}`);
      progress(`sync '${sync}', kill ${kill} of ${kills}: ${ledger.acked} acknowledged, ${ledger.open} open`);
    }
    assert(writing > 0 && ledger.acked > 0, 'no writer was killed while it wrote');
    assert(ledger.open > 0, 'no kill struck a write in flight');
    return `${kills} kills (${writing} while writing), ${ledger.acked} acknowledged and ${ledger.open} open writes`;
  } catch (error) {
    throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : error}`, { cause: error });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Lets a process write until a random moment, kills it, and books what it has told. @returns whether it was writing */
async function killOne(test: Case, run: string): Promise<boolean> {
  const { random, path, sync, directory, ledger } = test;
  const file = join(directory, `${run}.log`);
  const out = openSync(file, 'w');
  const writer = fork(WRITER, [path, sync, String(random.uint32()), run], { stdio: ['ignore', out, 'inherit', 'ipc'] });
  closeSync(out);
  const exited = new Promise<void>((resolve) => writer.once('exit', () => resolve()));
  // One in five is killed while it opens the store.
  const opening = below(random, 5) === 0;
  const words = new Set<unknown>();
  writer.on('message', (word) => words.add(word));
  if (!opening) await heard(writer, 'writing', exited);
  await new Promise((resolve) => setTimeout(resolve, below(random, opening ? 900 : 250)));
  writer.kill('SIGKILL');
  await exited;
  assert.equal(writer.signalCode, 'SIGKILL', `writer ${run} ended by itself with code ${writer.exitCode}`);
  const before = ledger.writers;
  for (const entry of entriesOf(file)) ledger.apply(entry);
  checkIdentities(test, run, before);
  if (words.has('ready') || test.stop === 'unclean') test.stop = 'unclean';
  else test.stop = 'either';
  return words.has('writing');
}

/** Opens the store here; every key is read strictly, so that its replicas agree; then what they hold is checked. */
async function verify(test: Case, run: string): Promise<void> {
  const { path, sync, ledger } = test;
  const store = await open({ path, sync });
  let primaries: string[][];
  try {
    primaries = store.ring().map((partition) => [...partition.primaries]);
    const before = ledger.writers;
    await writeIdentities(store, IDENTITY_KEYS, run, ledger.apply);
    checkIdentities(test, run, before);
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
  test.stop = 'clean';
  for (const key of IDENTITY_KEYS) test.kept.set(key, ledger.writerOf(`${run}.${key}`));
}

/** After a clean stop writers are kept, after any other they are new. */
function checkIdentities({ ledger, stop, kept }: Case, run: string, before: ReadonlySet<string>): void {
  for (const key of IDENTITY_KEYS) {
    if (!ledger.isAcked(`${run}.${key}`)) continue;
    const writer = ledger.writerOf(`${run}.${key}`);
    const isKept = writer === kept.get(key);
    if (stop === 'clean') assert(isKept, `${key} has a new writer after a clean stop`);
    else if (stop === 'unclean' || !isKept) assert(!before.has(writer), `${key} has an old writer after a kill`);
  }
}

/** Resolves once the writer has said `word`, or is gone. */
function heard(writer: ChildProcess, word: string, exited: Promise<void>): Promise<void> {
  return new Promise((resolve) => {
    writer.on('message', (message) => {
      if (message === word) resolve();
    });
    void exited.then(resolve);
  });
}

function entriesOf(file: string): LogEntry[] {
  const lines = readFileSync(file, 'utf8').split('\n');
  // The last is empty, or was cut off by the kill.
  return lines.slice(0, -1).map((line) => JSON.parse(line) as LogEntry);
}
