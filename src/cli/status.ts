/** `quoral status`: the nodes, what they hold, the hints that they keep for others, how their replicas were compared, and the ring. */
import Table from 'cli-table3';
import type { Command } from 'commander';
import { type HotKeyJson, type Status, statusOf } from '../service/http/overview.js';
import type { LatencySummary, OperationLatencies, PartitionStatus } from '../store/api/status.js';
import { duration, minuteOf, size } from './figures.js';
import { addJson } from './options.js';
import { RemoteService } from './remote-service.js';
import { addDataOrUrl, DEFAULT_URL, type TargetFlags, withStore } from './target.js';
import { print, type Terminal } from './terminal.js';
import { keyOfJson, oneLine } from './value.js';

interface Flags extends Omit<TargetFlags, 'type'> {
  readonly json?: boolean;
}

export function addStatus(program: Command, terminal: Terminal): void {
  const command = program.command('status').description('print the nodes, what they hold, and the ring');
  addJson(addDataOrUrl(command))
    .addHelpText('after', '\nExample:\n  $ quoral status\n  $ quoral status --data ./data --json')
    .action((flags: Flags) => status(terminal, flags));
}

async function status(terminal: Terminal, flags: Flags): Promise<void> {
  const { data, url = DEFAULT_URL } = flags;
  const found = data === undefined ? await remoteStatus(url) : await withStore(terminal, data, statusOf);
  await print(terminal.stdout, flags.json ? `${JSON.stringify(found)}\n` : statusText(found));
}

async function remoteStatus(url: string): Promise<Status> {
  const service = new RemoteService(url);
  const { nodes, ring, stats } = ((await service.json('/admin/status')) ?? {}) as Partial<Status>;
  const fits = Array.isArray(nodes) && Array.isArray(ring) && typeof stats?.nodes === 'object';
  const isWhole = fits && typeof stats.latencies === 'object' && typeof stats.total === 'object';
  if (!isWhole || !Array.isArray(stats.hottest)) throw service.stranger();
  return { nodes, ring, stats };
}

const PLAIN = { head: [], border: [] };

/** All of it as tables of at most 80 columns, for people. */
export function statusText({ nodes, ring, stats }: Status): string {
  const numbers = 'right' as const;
  const left = 'left' as const;
  const ofNodes = new Table({
    head: ['node', 'state', 'zone', 'weight', 'partitions', 'records', 'size'],
    colAligns: [left, left, left, numbers, numbers, numbers, numbers],
    style: PLAIN,
  });
  for (const { name, state, zone, weight, partitions } of nodes) {
    const { storedEntries, storedBytes } = stats.nodes[name] ?? {};
    ofNodes.push([
      short(name),
      state,
      short(zone),
      weight,
      partitions,
      storedEntries ?? '–',
      storedBytes === undefined ? '–' : size(storedBytes),
    ]);
  }
  const ofRing = new Table({
    head: ['primaries', 'fallbacks', 'partitions'],
    colWidths: [20, 20, 36],
    wordWrap: true,
    style: PLAIN,
  });
  for (const [primaries, fallbacks, partitions] of byPreferenceList(ring)) {
    ofRing.push([primaries, fallbacks, rangesOf(partitions)]);
  }
  const replicas = ring[0]?.primaries.length ?? 0;
  return `${ofNodes}\n${failingDisks(nodes, stats)}\n${hintsKept(nodes, stats)}\n\n${latencies(nodes, stats)}\n\n${exchanges({ nodes, ring, stats })}\n\n${ring.length} partitions, ${replicas} replicas of each:\n${ofRing}\n${hottest(stats.hottest)}`;
}

/** Nodes that store nothing now, each named; nothing, if all do. */
function failingDisks(nodes: Status['nodes'], stats: Status['stats']): string {
  const lines = nodes.flatMap(({ name }) => {
    const { diskFull, diskFailing, writesRefused = 0 } = stats.nodes[name] ?? {};
    if (!diskFull && !diskFailing) return [];
    const what = diskFull ? 'is full' : 'fails, or is read-only';
    return [`${short(name)} stores nothing: its disk ${what} (${writesRefused} writes refused)\n`];
  });
  return lines.join('');
}

/**
 * What nodes keep for others now: how many hints, the bytes of their keys and records, and for how long there have been
 * some for the owner that has waited longest. Of a node that is down only the number is known.
 */
function hintsKept(nodes: Status['nodes'], stats: Status['stats']): string {
  const table = new Table({
    head: ['node', 'hints', 'size', 'waiting for', 'delivered', 'taken'],
    colAligns: ['left', ...new Array<'right'>(5).fill('right')],
    style: PLAIN,
  });
  for (const { name, hints: lastKnown } of nodes) {
    const counted = stats.nodes[name];
    const { hints = lastKnown, hintBytes, hintsWaitingMs, hintsDelivered, hintsTaken } = counted ?? {};
    const some = hints > 0;
    table.push([
      short(name),
      hints,
      some && hintBytes !== undefined ? size(hintBytes) : '–',
      some && hintsWaitingMs !== undefined ? duration(hintsWaitingMs / 1_000) : '–',
      hintsDelivered ?? '–',
      hintsTaken ?? '–',
    ]);
  }
  return `Hints kept for nodes out of reach; delivered and taken since the node's start:\n${table}`;
}

/** How many operations each node has coordinated since its start, and how long they took. */
function latencies(nodes: Status['nodes'], stats: Status['stats']): string {
  const table = new Table({
    head: ['node', 'gets', 'p50 ms', 'p99 ms', 'puts', 'p50 ms', 'p99 ms', 'failed'],
    colAligns: ['left', ...new Array<'right'>(7).fill('right')],
    style: PLAIN,
  });
  for (const { name } of nodes) table.push([short(name), ...latencyRow(stats.latencies[name], stats.nodes[name])]);
  table.push(['all', ...latencyRow(stats.total.latencies, stats.total.counters)]);
  return `Requests coordinated, since the node's start:\n${table}`;
}

function latencyRow(
  latencies: OperationLatencies | undefined,
  counters: Readonly<Record<string, number>> | undefined,
): (string | number)[] {
  if (latencies === undefined) return new Array<string>(7).fill('–');
  return [...countAndQuantiles(latencies.gets), ...countAndQuantiles(latencies.puts), counters?.failed ?? 0];
}

function countAndQuantiles({ count, p50Ms, p99Ms }: LatencySummary): (string | number)[] {
  return count === 0 ? [0, '–', '–'] : [count, p50Ms.toFixed(2), p99Ms.toFixed(2)];
}

/**
 * What nodes have done for their replicas to be equal. An exchange is counted by the node that led it; what is yet to be
 * refilled, of all replicas that a node has, by the node that lost them.
 */
function exchanges({ nodes, ring, stats }: Status): string {
  const copies = ring[0]?.primaries.length ?? 0;
  const right = 'right' as const;
  const table = new Table({
    head: ['node', 'last exchange', 'differed', 'repaired', 'moved', 'to refill', 'reaped'],
    colAligns: ['left', 'left', right, right, right, right, right],
    style: PLAIN,
  });
  for (const { name } of nodes) {
    const counted = stats.nodes[name];
    if (counted === undefined) {
      table.push([short(name), ...new Array<string>(6).fill('–')]);
      continue;
    }
    const { lastExchangeAtMs = 0, partitionsToRefill = 0 } = counted;
    const replicas = ring.filter(({ primaries }) => primaries.includes(name)).length;
    table.push([
      short(name),
      lastExchangeAtMs === 0 ? '–' : minuteOf(lastExchangeAtMs),
      counted.exchangeKeysFound ?? 0,
      counted.exchangeKeysRepaired ?? 0,
      size(counted.exchangeBytes ?? 0),
      partitionsToRefill === 0 ? '–' : `${partitionsToRefill} of ${replicas}`,
      counted.tombstonesReaped ?? 0,
    ]);
  }
  const lastReapAtMs = Math.max(0, ...Object.values(stats.nodes).map((counted) => counted.lastReapAtMs ?? 0));
  const lagMs = stats.total.counters.exchangeLagMs ?? 0;
  const lag =
    copies < 2
      ? ''
      : `\nSince two replicas were found equal, or their nodes started: ${duration(lagMs / 1_000)} at most.`;
  const lastReaping = lastReapAtMs === 0 ? '' : `\nDeletions were last reaped ${minuteOf(lastReapAtMs)}.`;
  return `Replicas compared, keys that differed; deletions reaped:\n${table}${lag}${lastReaping}`;
}

/** Nothing, if no key stands out. */
function hottest(keys: readonly HotKeyJson[]): string {
  if (keys.length === 0) return '';
  const table = new Table({
    head: ['type', 'bucket', 'key', 'share'],
    colWidths: [14, 20, 32, 9],
    colAligns: ['left', 'left', 'left', 'right'],
    style: PLAIN,
  });
  for (const { type, bucket, share, ...key } of keys) {
    table.push([oneLine(type), oneLine(bucket), oneLine(keyOfJson(key) ?? key.key), `${(100 * share).toFixed(1)} %`]);
  }
  return `\nKeys that are asked for most:\n${table}\n`;
}

/** Partitions that have the same nodes in the same order, together; in the order of their first one. */
function byPreferenceList(ring: readonly PartitionStatus[]): [string, string, number[]][] {
  const rows = new Map<string, [string, string, number[]]>();
  for (const { partition, primaries, fallbacks } of ring) {
    const id = JSON.stringify([primaries, fallbacks]);
    const row = rows.get(id);
    if (row === undefined) rows.set(id, [primaries.join(' '), fallbacks.join(' '), [partition]]);
    else row[2].push(partition);
  }
  return [...rows.values()];
}

/** `0–3, 8` for 0, 1, 2, 3 and 8. */
function rangesOf(numbers: readonly number[]): string {
  const ranges: [number, number][] = [];
  for (const number of numbers) {
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === number - 1) last[1] = number;
    else ranges.push([number, number]);
  }
  return ranges.map(([from, to]) => (from === to ? `${from}` : `${from}–${to}`)).join(', ');
}

const MAX_NAME_CHARS = 12;

/** A name that leaves room for the other columns at 80. */
function short(name: string): string {
  return name.length > MAX_NAME_CHARS ? `${name.slice(0, MAX_NAME_CHARS - 1)}…` : name;
}
