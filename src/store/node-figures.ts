/** What the nodes tell of themselves, put together for `stats()`: by node, and as a whole. */
import type { HintStatus } from '../messages/node-control.js';
import type { HistogramData } from '../metrics/histogram.js';
import type { KeyCounts } from '../metrics/hot-keys.js';
import { type ByOperation, summaryOf } from '../metrics/operation-latencies.js';
import type { OperationLatencies, StoreStats } from './api/status.js';
import { hottestKeys } from './hottest-keys.js';

/** What is known of the nodes alone, whichever thread asks. */
export type NodeFigures = Pick<StoreStats, 'nodes' | 'latencies' | 'total' | 'hottest'>;

/** One node's own. */
export interface FiguresOfNode {
  readonly name: string;
  readonly counters: Readonly<Record<string, number>>;
  readonly latencies: ByOperation<HistogramData>;
  readonly keys: KeyCounts;
}

/** Those of which the sum means nothing: of all nodes, the highest counts. */
const HIGHEST: ReadonlySet<string> = new Set(['lastExchangeAtMs', 'exchangeLagMs', 'lastReapAtMs', 'hintsWaitingMs']);

export function nodeFigures(known: readonly FiguresOfNode[]): NodeFigures {
  const nodes: Record<string, Readonly<Record<string, number>>> = {};
  const latencies: Record<string, OperationLatencies> = {};
  const counters: Record<string, number> = {};
  for (const node of known) {
    nodes[node.name] = node.counters;
    latencies[node.name] = summaryOf([node.latencies]);
    for (const [name, count] of Object.entries(node.counters)) {
      const before = counters[name] ?? 0;
      counters[name] = HIGHEST.has(name) ? Math.max(before, count) : before + count;
    }
  }
  const total = { counters, latencies: summaryOf(known.map((node) => node.latencies)) };
  return { nodes, latencies, total, hottest: hottestKeys(known.map(({ keys }) => keys)) };
}

/** What a node keeps for others, in figures. */
export function hintFigures({ owners }: HintStatus, nowMs: number): Record<string, number> {
  let hints = 0;
  let hintBytes = 0;
  let sinceMs = nowMs;
  for (const owner of owners) {
    hints += owner.count;
    hintBytes += owner.bytes;
    sinceMs = Math.min(sinceMs, owner.sinceMs);
  }
  return { hints, hintBytes, hintsWaitingMs: nowMs - sinceMs };
}
