/**
 * How much a store can do of a load: the highest rate of arrivals that it keeps up with, on this machine, now. A closed loop
 * warms up and gives a guess; from above it the rate then sinks until an open loop of a second leaves nothing behind.
 */
import { runLoop } from './closed-loop.js';
import { openLoop } from './open-loop.js';
import type { PartitionLoad } from './partition-load.js';

const WARM_UP_MS = 4_000;
const GUESS_MS = 1_000;
const IN_FLIGHT = 256;
/** More operations than any machine does in a second of the loops: keys are drawn for so many. */
const MOST_PER_SECOND = 100_000;
/** The first rate that is tried, of the guess, and each next one, of the one before. */
const FIRST_SHARE = 1.1;
const NEXT_SHARE = 0.9;
const TRY_MS = 1_000;
/** What was due by then has ended within so much, where the store keeps up. */
const LEFT_BEHIND_MS = 100;

/** Runs for some seven seconds. @returns operations a second */
export async function capacityOf(load: PartitionLoad): Promise<number> {
  await inClosedLoop(load, WARM_UP_MS);
  let rate = FIRST_SHARE * (await inClosedLoop(load, GUESS_MS));
  while (!(await keepsUp(load, rate))) rate *= NEXT_SHARE;
  return rate;
}

async function inClosedLoop(load: PartitionLoad, durationMs: number): Promise<number> {
  load.prepare((MOST_PER_SECOND * durationMs) / 1_000);
  let n = 0;
  const { latencies, elapsedMs } = await runLoop(() => load.begin(n++).done, { inFlight: IN_FLIGHT, durationMs });
  return (latencies.count * 1_000) / elapsedMs;
}

async function keepsUp(load: PartitionLoad, perSecond: number): Promise<boolean> {
  load.prepare((perSecond * TRY_MS) / 1_000);
  const ended = await openLoop({ perSecond, durationMs: TRY_MS, begin: load.begin });
  return ended.every(({ failure, endedMs }) => failure === undefined && endedMs <= TRY_MS + LEFT_BEHIND_MS);
}
