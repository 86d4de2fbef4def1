/** How benchmarks print what they measured, and judge it by the targets. */
import { cpus, release, totalmem, type } from 'node:os';
import type { Store } from '../src/index.js';
import type { FloorFigure } from './floor.js';
import type { LoopFigure } from './workloads/closed-loop.js';

export interface Target {
  /** Throughput as a share of the floor's, at least. */
  readonly share: number;
  /** At most. */
  readonly p99Ms: number;
}

/** By operation and sync, at 256 in flight from one application thread, 10,000 keys of 100 B. */
const TARGETS: Readonly<Record<string, Target>> = {
  'put none': { share: 0.65, p99Ms: 6 },
  'put full': { share: 0.85, p99Ms: 10 },
  'get none': { share: 0.4, p99Ms: 3 },
};

export function targetOf(operation: string, sync: 'none' | 'full', inFlight: number): Target | undefined {
  return inFlight === 256 ? TARGETS[`${operation} ${sync}`] : undefined;
}

export function judged(target: Target, figure: LoopFigure, floor: FloorFigure): string {
  return figure.perSecond / floor.perSecond >= target.share && figure.p99Ms <= target.p99Ms
    ? 'target met'
    : `target: ≥ ${percent(target.share)}, p99 ≤ ${target.p99Ms} ms`;
}

/** Medians of the rounds. */
export function medianFloor(figures: readonly FloorFigure[]): FloorFigure {
  return {
    perSecond: middle(figures.map(({ perSecond }) => perSecond)),
    cpuMicros: middle(figures.map(({ cpuMicros }) => cpuMicros)),
  };
}

export function machine(): string {
  const [first] = cpus();
  const memory = Math.round(totalmem() / 2 ** 30);
  return `Node ${process.version}, ${cpus().length} × ${first?.model.trim()}, ${memory} GiB, ${type()} ${release()}`;
}

/** What all nodes together have in their files. */
export async function storedBytes(store: Store): Promise<number> {
  const { nodes } = await store.stats();
  return Object.values(nodes).reduce((sum, node) => sum + (node.storedBytes ?? 0), 0);
}

/** A table in Markdown; columns after the first `texts` are aligned to the right. */
export function markdown(head: readonly string[], rows: readonly (readonly string[])[], texts: number): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const rule = `|${head.map((_, column) => (column < texts ? '---|' : '---:|')).join('')}`;
  return [line(head), rule, ...rows.map(line)].join('\n');
}

/** The median. */
export function middle(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = (sorted.length - 1) / 2;
  return (sorted[Math.floor(half)]! + sorted[Math.ceil(half)]!) / 2;
}

export function percent(share: number): string {
  return `${Math.round(100 * share)} %`;
}

export function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

export function ms(value: number): string {
  return value.toFixed(2);
}

export function mib(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MiB`;
}
