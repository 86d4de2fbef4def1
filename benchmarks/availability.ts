/**
 * What the application sees when something happens to a node: `npm run bench -- failover` crashes one and starts it
 * again, `npm run bench -- pause` lets one stand still for a second, then one after the other for 200 ms, as long garbage
 * collections do. Puts and gets arrive at a constant rate (`open-loop.ts`), to every partition in turn, every put to a new
 * key (`partition-load.ts`): half of what the store can do (`capacity.ts`), or as many operations a second as
 * `--rate` says.
 *
 * Targets: with a node killed no request fails, no gap is over 30 ms, and its hints are delivered within 2 s of its
 * return; with a thread standing still for a second no request takes over 100 ms, and p99.9 is within 3 times that of
 * quiet; pauses of 200 ms do not show in p99.9. A partition is asked at intervals: its gaps between completions are no
 * shorter, and those between its arrivals are told beside them.
 *
 * Beside them, threads that have nothing else to do tell how late any thread gets a core, and how long any flush of the disk
 * takes (`bare-thread.ts`): a request cannot be faster than the threads that it wakes, nor a hint than the disk.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { below, pick, SeededRandom } from '../src/base/random.js';
import { open, type Store } from '../src/index.js';
import { count, machine, markdown, ms } from './report.js';
import { BareThread, type Lateness } from './workloads/bare-thread.js';
import { capacityOf } from './workloads/capacity.js';
import { type CoresReading, coresBetween, readCores } from './workloads/cores.js';
import { LoneReads } from './workloads/lone-reads.js';
import { type Ended, openLoop } from './workloads/open-loop.js';
import { PartitionLoad } from './workloads/partition-load.js';
import { figureOf, type PartitionGap, type Span } from './workloads/span-figure.js';
import { STEADY_AFTER_MS } from './workloads/steady.js';

const NODES = 5;
const VICTIM = 'b';
const PARTITIONS = 64;
const BUCKET = 'bench';
const VALUE = new Uint8Array(100).fill(7);
/** Of the capacity. */
const LOAD_SHARE = 0.5;

/** The pauses that come at random: how long each is, and after how long the next begins, at most. */
const SHORT_PAUSE_MS = 200;
const BETWEEN_PAUSES_MS = 1_000;
/** Within which all hints are delivered, and all replicas found equal. */
const HEALED_MS = 60_000;

/** A stretch of the run, and what begins it. */
interface Phase {
  readonly name: string;
  readonly durationMs: number;
  /** @returns what else is to be told of it, once it is known */
  act?(store: Store): Promise<string | undefined>;
}

const PAUSES_FOR_MS = 10_000;
const BEFORE: Phase = { name: 'before', durationMs: 5_000 };

export function failover(perSecond?: number): Promise<void> {
  let missed: LoneReads;
  const crash = async (store: Store): Promise<undefined> => {
    await store.admin.crash(VICTIM);
    missed = new LoneReads(store, 'bench-missed');
    missed.begin();
  };
  return measure(perSecond, [
    BEFORE,
    { name: `${VICTIM} crashed`, durationMs: 5_000, act: crash },
    { name: `${VICTIM} started again`, durationMs: 5_000, act: (store) => returned(store, missed) },
  ]);
}

/** Starts the node, and tells when it has what the others kept for it, and what was read through it until then. */
async function returned(store: Store, missed: LoneReads): Promise<string> {
  await missed.ready();
  const hints = store.nodes().reduce((sum, node) => sum + node.hints, 0);
  await store.admin.start(VICTIM);
  const startedAt = performance.now();
  const reads = missed.run();
  try {
    await store.admin.waitForHints({ timeoutMs: HEALED_MS });
  } finally {
    missed.end();
  }
  const tookMs = performance.now() - startedAt;
  return (
    `${count(hints)} hints were delivered within ${ms(tookMs)} ms of the return of ${VICTIM}, while the load went on\n` +
    (await reads)
  );
}

export function pause(perSecond?: number): Promise<void> {
  return measure(perSecond, [
    BEFORE,
    { name: `${VICTIM} stands still`, durationMs: 1_000, act: (store) => silently(store.admin.pause(VICTIM, 1_000)) },
    { name: 'after', durationMs: 5_000 },
    // By now the code for it is compiled, in all threads.
    { name: `${VICTIM} once more`, durationMs: 1_000, act: (store) => silently(store.admin.pause(VICTIM, 1_000)) },
    { name: 'after that', durationMs: 5_000 },
    { name: `pauses of ${SHORT_PAUSE_MS} ms`, durationMs: PAUSES_FOR_MS, act: pauseAtRandom },
  ]);
}

/** Lets one node after the other stand still, at random. */
async function pauseAtRandom(store: Store): Promise<string> {
  const random = new SeededRandom(1);
  const names = store.nodes().map(({ name }) => name);
  const until = performance.now() + PAUSES_FOR_MS - SHORT_PAUSE_MS;
  let pauses = 0;
  while (performance.now() < until) {
    await store.admin.pause(pick(random, names), SHORT_PAUSE_MS);
    pauses++;
    await new Promise((resolve) => setTimeout(resolve, SHORT_PAUSE_MS + below(random, BETWEEN_PAUSES_MS)));
  }
  return `${pauses} times a node stood still for ${SHORT_PAUSE_MS} ms`;
}

async function silently(act: Promise<void>): Promise<undefined> {
  await act;
}

async function measure(wanted: number | undefined, phases: readonly Phase[]): Promise<void> {
  console.log(`${machine()}; ${NODES} nodes, ${PARTITIONS} partitions, N = 3, R = W = 2, sync: 'none'\n`);
  const directory = mkdtempSync(join(tmpdir(), 'quoral-bench-'));
  const store = await open({ path: directory, nodes: NODES, partitions: PARTITIONS, sync: 'none' });
  try {
    const load = new PartitionLoad({
      bucket: store.bucket(BUCKET),
      name: BUCKET,
      partitions: PARTITIONS,
      value: VALUE,
    });
    await load.fill();
    const perSecond = await rateFor(load, wanted);
    const total = phases.reduce((sum, { durationMs }) => sum + durationMs, 0);
    load.prepare((perSecond * (STEADY_AFTER_MS + total)) / 1_000);
    // At the load that is measured.
    const settled = await openLoop({ perSecond, durationMs: STEADY_AFTER_MS, begin: load.begin });
    const lost = settled.filter(({ failure }) => failure !== undefined).length;
    console.log(
      `before that, ${STEADY_AFTER_MS / 1_000} s of the same load: ${count(lost)} of ${count(settled.length)} failed\n`,
    );
    const bareLoop = await BareThread.start({ what: 'loop' });
    const bareFlush = await BareThread.start({ what: 'flush', file: join(directory, 'flushed') });
    const startMs = performance.now();
    const loop = openLoop({ perSecond, durationMs: total, begin: load.begin });
    const { starts, told, cores } = await act(store, phases, total);
    const ended = await loop;
    const spans = starts.map((fromMs, at) => ({ fromMs, toMs: starts[at + 1] ?? total }));
    const ofClock = spans.map(({ fromMs, toMs }) => ({ fromMs: startMs + fromMs, toMs: startMs + toMs }));
    const bare = { 'bare loop': await bareLoop.end(ofClock), 'bare flush': await bareFlush.end(ofClock) };
    report(phases, spans, ended, bare);
    for (const [at, { name }] of phases.entries()) {
      const { own, others } = coresBetween(cores[at]!, cores[at + 1]!);
      console.log(`${name}: ${own.toFixed(2)} cores in use by this process, ${others.toFixed(2)} by others`);
    }
    for (const text of told) console.log(text);
    const { count: times, p50Ms, p99Ms, maxMs } = (await store.stats()).secondAttempts;
    console.log(
      `${count(times)} requests were sent to a second node because the first was silent: after ${ms(p50Ms)} ms (median), ` +
        `${ms(p99Ms)} (p99), ${ms(maxMs)} at most; those with them that met the overload by which capacity was measured`,
    );
    const quietAt = performance.now();
    await store.admin.waitForExchange({ timeoutMs: HEALED_MS });
    console.log(`all replicas were found equal within ${ms(performance.now() - quietAt)} ms of the end of the load`);
  } finally {
    await store.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** What is wanted; or half of what the store can do here, of both kinds together. */
async function rateFor(load: PartitionLoad, wanted: number | undefined): Promise<number> {
  const capacity = await capacityOf(load);
  const perSecond = wanted ?? Math.round(LOAD_SHARE * capacity);
  const share = Math.round((100 * perSecond) / capacity);
  console.log(
    `capacity: ${count(capacity)} operations a second; load: ${count(perSecond / 2)} puts and as many gets a second, ${share} % of it\n`,
  );
  return perSecond;
}

interface Acted {
  /** When each phase began, in milliseconds. */
  readonly starts: readonly number[];
  /** At the beginning of each, and at the end. */
  readonly cores: readonly CoresReading[];
  readonly told: readonly string[];
}

/** Lets the phases begin when they are due. */
async function act(store: Store, phases: readonly Phase[], totalMs: number): Promise<Acted> {
  const start = performance.now();
  const until = async (dueMs: number): Promise<void> => {
    const waitMs = dueMs - (performance.now() - start);
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
  };
  const starts: number[] = [];
  const cores: CoresReading[] = [];
  const acts: Promise<string | undefined>[] = [];
  let dueMs = 0;
  for (const phase of phases) {
    await until(dueMs);
    starts.push(performance.now() - start);
    console.error(`${phase.name}: ${phase.durationMs / 1_000} s`);
    cores.push(readCores());
    // The next phase begins when it is due, however long this takes.
    if (phase.act !== undefined) acts.push(phase.act(store));
    dueMs += phase.durationMs;
  }
  await until(totalMs);
  cores.push(readCores());
  const told = await Promise.all(acts);
  return { starts, cores, told: told.filter((text) => text !== undefined) };
}

function report(
  phases: readonly Phase[],
  spans: readonly Span[],
  ended: readonly Ended[],
  bare: Readonly<Record<string, readonly Lateness[]>>,
): void {
  const head = ['', 'phase', 'operations', 'failed', 'p50 ms', 'p99', 'p99.9', 'longest'];
  const rows: string[][] = [];
  for (const kind of ['put', 'get'] as const) {
    for (const [at, { name }] of phases.entries()) {
      const figure = figureOf(ended, kind, PARTITIONS, spans[at]!);
      const { p50Ms, p99Ms, p999Ms, maxMs } = figure.latencies.summary();
      const failed = Object.entries(figure.failures).map(([code, times]) => `${code} × ${count(times)}`);
      rows.push([
        kind,
        name,
        count(figure.operations),
        failed.join(', ') || '0',
        ...[p50Ms, p99Ms, p999Ms, maxMs, figure.gapMs].map(ms),
        named(figure.partitionGap),
        named(figure.arrivalGap),
      ]);
    }
  }
  for (const [what, ofPhases] of Object.entries(bare)) {
    for (const [at, { looks, late }] of ofPhases.entries()) {
      const { p50Ms, p99Ms, p999Ms, maxMs } = late.summary();
      rows.push([what, phases[at]!.name, count(looks), '', ...[p50Ms, p99Ms, p999Ms, maxMs].map(ms), '', '', '']);
    }
  }
  const gaps = ['longest gap', 'of one partition (which)', 'between its arrivals (which)'];
  console.log(`${markdown([...head, ...gaps], rows, 2)}\n`);
}

function named({ ms: gapMs, partition }: PartitionGap): string {
  return `${ms(gapMs)} (${partition})`;
}
