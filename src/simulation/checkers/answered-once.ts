/**
 * Promise 7: every request is answered exactly once, by its timeout plus slack; a put with a condition is tried only
 * once; and what failed definitely was never stored: nobody minted it, no replica and no hint holds it.
 */
import type { StoredObject } from '../../objects/stored-object.js';
import { describePut, type GetOperation, type History, type PutOperation } from '../history.js';
import type { SimulatedCluster } from '../simulated-cluster.js';

/** The client's own slack, its sweep, a timer's lag. In milliseconds. */
const SLACK_MS = 250 + 50;

export function answersAmiss(history: History): string[] {
  const violations: string[] = [];
  for (const put of history.puts) {
    check(put, describePut(put), violations);
    // Others may have built on what the first attempt stored: tried again, it would undo their work.
    if (put.conditional && put.events.length > 1) violations.push(`tried again by itself: ${describePut(put)}`);
  }
  for (const get of history.gets) check(get, `get ${get.id} of ${get.key}`, violations);
  return violations;
}

function check(operation: PutOperation | GetOperation, name: string, violations: string[]): void {
  const { end, told, startedAt, endedAt, timeoutMs } = operation;
  if (end?.type === 'abandoned') return;
  if (told !== 1) violations.push(`answered ${told} times: ${name}`);
  else if (endedAt - startedAt > timeoutMs + SLACK_MS) {
    violations.push(`answered late: ${name}, after ${(endedAt - startedAt).toFixed(1)} of ${timeoutMs} ms`);
  }
}

export function definiteFailuresStored(cluster: SimulatedCluster, keys: Iterable<string>): string[] {
  const { history } = cluster;
  const violations: string[] = [];
  const refused = new Set<PutOperation>();
  for (const put of history.puts) {
    if (put.end?.type !== 'failed' || !put.end.failure.definite) continue;
    refused.add(put);
    if (history.wasMinted(put)) {
      violations.push(`minted though it had failed definitely (${put.end.failure.why}): ${describePut(put)}`);
    }
  }
  const look = (object: StoredObject | undefined, where: string) => {
    for (const { attempt } of object?.siblings ?? []) {
      const put = history.putOf(attempt);
      if (put !== undefined && refused.has(put)) {
        violations.push(`stored ${where} though it had failed definitely: ${describePut(put)}`);
      }
    }
  };
  for (const key of keys) {
    for (const name of cluster.primariesOf(key)) look(cluster.replica(name).object(key), `on ${name}`);
  }
  for (const name of cluster.names)
    for (const { object } of cluster.hintsOn(name)) look(object, `in a hint on ${name}`);
  return violations;
}
