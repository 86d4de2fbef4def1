/**
 * Promises 2 and 8, of replicas that are equal: in quiescence every pair is compared, an exchange finds so by one comparison of roots, names no key, and
 * moves next to nothing. That it names precisely the keys that differ is held against a naive comparison in
 * `test/property/anti-entropy/exchange.test.ts`.
 */
import type { NodeCounters } from '../../metrics/node-counters.js';
import { pairName } from '../exchange-tap.js';
import type { SimulatedCluster } from '../simulated-cluster.js';

/** Of an exchange, all in all: the questions for two roots, their answers, and telling both that they are equal. */
const BYTES_AT_MOST = 64;
/** What was written last is in the trees by then, and what was under way has ended. */
const SETTLING_MS = 500;
/** So often, and so long, what is forgotten may disturb: clocks that were ahead by less than that, and few keys at a time. */
const MAX_LOOKS = 20;
const UNREST_MS = 60_000;

/**
 * Lets an interval pass in which nothing is written, and looks at what the exchanges cost. A timestamp of a clock that was
 * ahead may let something be forgotten even then: what they have cost meanwhile says nothing, and the next interval is
 * looked at.
 */
export function dearExchanges(cluster: SimulatedCluster, exchangeIntervalMs: number): string[] {
  const lookMs = 1.2 * exchangeIntervalMs;
  const untilMs = cluster.time + UNREST_MS;
  for (let looks = 1; ; looks++) {
    cluster.runFor(SETTLING_MS);
    const before = sums(cluster);
    cluster.foundEqual.clear();
    cluster.runFor(lookMs);
    const after = sums(cluster);
    if (after.forgotten === before.forgotten) return costs(cluster, lookMs, before, after);
    if (looks >= MAX_LOOKS && cluster.time >= untilMs) {
      return [`no rest: in each of ${looks} times ${lookMs} ms something was forgotten`];
    }
  }
}

function costs(cluster: SimulatedCluster, lookMs: number, before: Sums, after: Sums): string[] {
  const exchanges = after.exchanges - before.exchanges;
  const violations = unmetPairs(cluster).map((pair) => `not compared, or not equal, in ${lookMs} ms: ${pair}`);
  const keys = after.keys - before.keys;
  if (keys > 0) violations.push(`named as different: ${keys} keys, of replicas that are identical`);
  const bytes = after.bytes - before.bytes;
  if (bytes > BYTES_AT_MOST * exchanges) {
    violations.push(`dear: ${exchanges} exchanges of equal replicas have moved ${bytes} bytes`);
  }
  return violations;
}

/** The pairs of replicas that were not found equal since `foundEqual` was cleared. */
export function unmetPairs({ ring, foundEqual }: SimulatedCluster): string[] {
  return ring.preferenceLists
    .flatMap(({ primaries }, partition) => {
      return primaries.flatMap((one, i) => primaries.slice(i + 1).map((other) => pairName(partition, one, other)));
    })
    .filter((pair) => !foundEqual.has(pair));
}

interface Sums {
  readonly exchanges: number;
  readonly keys: number;
  readonly bytes: number;
  readonly forgotten: number;
}

function sums({ counters }: SimulatedCluster): Sums {
  const sum = (which: keyof NodeCounters) => counters.reduce((all, one) => all + one[which], 0);
  return {
    exchanges: sum('exchanges'),
    keys: sum('exchangeKeysFound'),
    bytes: sum('exchangeBytes'),
    forgotten: sum('tombstonesReaped') + sum('contextsReduced'),
  };
}
