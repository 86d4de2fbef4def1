/**
 * What is checked of a cluster whose clients and faults have had their time: it heals, everything is read strictly, and
 * each promise is looked after by its checker (semantics §7, promises 1 to 7).
 */
import { InvariantError } from '../base/assert.js';
import { answersAmiss, definiteFailuresStored } from './checkers/answered-once.js';
import { divergences } from './checkers/convergence.js';
import { dearExchanges } from './checkers/equal-replicas.js';
import { falseConflicts } from './checkers/false-conflicts.js';
import { forgettable } from './checkers/forgotten-deletions.js';
import { grownContexts } from './checkers/grown-contexts.js';
import { lateWrites } from './checkers/late-writes.js';
import { lostWrites } from './checkers/lost-writes.js';
import { resurrections } from './checkers/resurrections.js';
import { sessionViolations } from './checkers/sessions.js';
import { strictReadViolations } from './checkers/strict-reads.js';
import { undelivered } from './checkers/undelivered-hints.js';
import type { GetOperation, ReadSibling } from './history.js';
import type { SimulatedCluster } from './simulated-cluster.js';

/** Longer than a connection takes to time out twice over, so that nothing old is still under way. */
const SETTLING_MS = 1_200;
const REPAIR_MS = 100;
/** By then every hint is delivered: the longest back-off, and a little more. */
const DELIVERY_MS = 3_000;
/** By then replicas have been compared, and compared again where they differed: in intervals, and what is beyond them. */
const EXCHANGE_INTERVALS = 4;
const EXCHANGE_MS = 2_000;
const LOOK_MS = 20;
/** By then a tombstone that may go is gone: a few looks, and rounds that were abandoned and made again. */
const REAPING_MS = 20_000;
const STOPPING_MS = 5_000;
const FINAL_READ_ATTEMPTS = 3;

/** What the checkers found. */
export class Verdict {
  readonly violations: string[] = [];
  readonly checked: string[] = [];

  /** `promise` was checked, and this was found against it. */
  hears(promise: string, found: readonly string[]): void {
    this.checked.push(`${promise}: ${found.length === 0 ? 'kept' : `broken ${found.length} times`}`);
    // Not spread: there may be more than a call may have arguments.
    for (const violation of found) this.violations.push(violation);
  }
}

/**
 * Runs for `durationMs`, heals, reads everything strictly, checks, stops. An invariant that breaks outside an actor is a
 * violation.
 * @param touched - every key that was touched; more may come while it runs
 */
export function judge(cluster: SimulatedCluster, touched: ReadonlySet<string>, durationMs: number): Verdict {
  const verdict = new Verdict();
  const { history } = cluster;
  try {
    cluster.runFor(durationMs);
    cluster.healEverything();
    cluster.runFor(SETTLING_MS);
    cluster.simulator.runUntil(() => cluster.hints === 0, DELIVERY_MS);
    verdict.hears('no hint is left (promise 2)', undelivered(cluster));
    const keys = new Set([...touched].filter((key) => !cluster.isUnreadable(key)));
    verdict.hears('what nobody can read is not served', servedUnread(cluster, touched, keys));
    const { exchangeIntervalMs, tombstoneGraceMs } = cluster;
    if (exchangeIntervalMs !== undefined) {
      const limitMs = EXCHANGE_INTERVALS * exchangeIntervalMs + EXCHANGE_MS;
      const different = lookUntilNone(cluster, () => divergences(cluster, keys), limitMs);
      verdict.hears(`without any read, replicas are identical within ${limitMs} ms (promise 2)`, different);
    }
    if (tombstoneGraceMs !== undefined) {
      const left = lookUntilNone(cluster, () => forgettable(cluster, keys), REAPING_MS);
      verdict.hears('what was deleted is forgotten (promise 2)', left);
      const grown = lookUntilNone(cluster, () => grownContexts(cluster, keys), REAPING_MS);
      verdict.hears(`contexts of over ${cluster.maxContextEntries} entries are reduced`, grown);
    }
    const unread: string[] = [];
    const final = readAll(cluster, keys, unread);
    // Repairs follow the reply.
    cluster.runFor(REPAIR_MS);
    // What is being reaped goes from one replica after the other.
    const different = lookUntilNone(
      cluster,
      () => divergences(cluster, keys),
      tombstoneGraceMs === undefined ? 0 : REAPING_MS,
    );
    verdict.hears(`the ${cluster.n} replicas of each of ${keys.size} keys are identical (promise 2)`, different);
    if (exchangeIntervalMs !== undefined) {
      verdict.hears(
        'equal replicas cost a comparison of roots (promise 8)',
        dearExchanges(cluster, exchangeIntervalMs),
      );
    }
    const later = readAll(cluster, keys, unread);
    verdict.hears('after healing, every key can be read from all replicas', unread);
    verdict.hears('after healing no write appears any more (promise 1)', lateWrites(history, final, later));
    verdict.hears('no acknowledged write is lost (promise 1)', lostWrites(history, final));
    verdict.hears('no write stands beside one that replaced it (promise 3)', falseConflicts(history, final));
    verdict.hears(
      'strict reads show what was acknowledged, and nothing replaced (promises 4, 5)',
      strictReadViolations(history, cluster.n),
    );
    verdict.hears('a session is covered, or told that it is not (promise 5)', sessionViolations(history));
    verdict.hears('nothing that was replaced comes back (promise 4)', resurrections(history, final));
    verdict.hears('what failed for certain was never stored (promise 7)', definiteFailuresStored(cluster, touched));
    for (const name of cluster.names) cluster.stopNode(name);
    cluster.runFor(STOPPING_MS);
    const up = cluster.names.filter((name) => cluster.isUp(name));
    verdict.hears(
      'every node stops cleanly',
      up.map((name) => `${name} does not stop`),
    );
  } catch (error) {
    if (!(error instanceof InvariantError)) throw error;
    verdict.hears('no invariant broke', [`an invariant of the simulation broke: ${error.stack ?? error.message}`]);
  }
  verdict.hears('every request was answered once, in time (promise 7)', answersAmiss(history));
  verdict.hears('no dot names two attempts (promise 6)', history.contradictions);
  verdict.hears('nothing is forgotten before its time', history.forgottenEarly);
  verdict.hears('every writer mints upon all it minted before (promise 6)', history.minting.violations);
  verdict.hears('no actor failed by itself', cluster.failures);
  if (history.acknowledged().next().done === true) {
    verdict.violations.push('nothing was acknowledged: this run shows nothing');
  }
  return verdict;
}

/** What there is amiss, as soon as that is nothing, or after `limitMs`. */
function lookUntilNone(cluster: SimulatedCluster, look: () => string[], limitMs: number): string[] {
  const until = cluster.time + limitMs;
  let found = look();
  while (found.length > 0 && cluster.time < until) {
    cluster.runFor(LOOK_MS);
    found = look();
  }
  return found;
}

/** Keys that are shown to a strict read, though no replica has a readable record of them. @param readable - all the others */
function servedUnread(
  cluster: SimulatedCluster,
  touched: ReadonlySet<string>,
  readable: ReadonlySet<string>,
): string[] {
  const shown: string[] = [];
  for (const key of touched) {
    if (readable.has(key)) continue;
    const { end } = cluster.settle(cluster.get(key, { r: cluster.n, pr: cluster.n, timeoutMs: 500 }));
    if (end?.type === 'got') shown.push(`${key} is answered with ${end.siblings.length} siblings`);
  }
  return shown;
}

/** Reads every key from all of its replicas. A read that meets an unreadable one fails, heals it, and is made again. */
function readAll(
  cluster: SimulatedCluster,
  keys: ReadonlySet<string>,
  unread: string[],
): ReadonlyMap<string, readonly ReadSibling[]> {
  const final = new Map<string, readonly ReadSibling[]>();
  for (const key of keys) {
    let get: GetOperation | undefined;
    for (let attempt = 0; attempt < FINAL_READ_ATTEMPTS && get?.end?.type !== 'got'; attempt++) {
      get = cluster.settle(cluster.get(key, { r: cluster.n, pr: cluster.n, timeoutMs: 500 }));
      if (get.end?.type !== 'got') cluster.runFor(REPAIR_MS);
    }
    if (get?.end?.type === 'got') final.set(key, get.end.siblings);
    else unread.push(`after healing, ${key} cannot be read from all replicas: ${JSON.stringify(get?.end)}`);
  }
  return final;
}
