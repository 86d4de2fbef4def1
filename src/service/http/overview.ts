/**
 * What the service says of itself: `/`, `/stats` and `/admin/status`. Pure.
 * Source: Riak KV's HTTP API (list resources, status); the names and units of its statistics, where the store has them.
 */
import type { HotKeyStatus, LatencySummary, NodeStatus, PartitionStatus, StoreStats } from '../../store/api/status.js';
import type { Store } from '../../store/api/store.js';
import { qualityOf } from './media-type.js';
import type { Reply } from './reply.js';

const JSON_TYPE = { 'Content-Type': 'application/json' };

/** By Riak's names of them, by which its clients find what a service can do. */
const RESOURCES = {
  riak_kv_wm_buckets: '/buckets',
  riak_kv_wm_bucket_type: '/types',
  riak_kv_wm_keylist: '/buckets',
  riak_kv_wm_props: '/buckets',
  riak_kv_wm_object: '/buckets',
  riak_kv_wm_raw: '/riak',
  riak_kv_wm_ping: '/ping',
  riak_kv_wm_stats: '/stats',
  quoral_ready: '/ready',
  quoral_status: '/admin/status',
} as const;

/** The list of resources: as JSON, or as a page for whoever prefers HTML. */
export function resourcesReply(accept: string | undefined): Reply {
  const entries = Object.entries(RESOURCES);
  const headers = {
    Vary: 'Accept, Accept-Encoding',
    Link: entries.map(([name, path]) => `<${path}>; rel="${name}"`).join(', '),
  };
  const html = accept !== undefined && qualityOf(accept, 'text/html') > qualityOf(accept, 'application/json');
  if (!html) return { status: 200, headers: { ...headers, ...JSON_TYPE }, body: JSON.stringify(RESOURCES) };
  const items = entries.map(([name, path]) => `<li><a href="${path}">${name}</a></li>`).join('');
  return {
    status: 200,
    headers: { ...headers, 'Content-Type': 'text/html' },
    body: `<html><body><ul>${items}</ul></body></html>`,
  };
}

/** A hot key in JSON: in base64, and marked so, where it is not text. */
export interface HotKeyJson extends Omit<HotKeyStatus, 'key'> {
  readonly key: string;
  readonly keyEncoding?: 'base64';
}

/** Everything at once: nodes, ring, counters and latencies, as the embedded store gives them, in JSON. */
export interface Status {
  readonly nodes: readonly NodeStatus[];
  readonly ring: readonly PartitionStatus[];
  readonly stats: Omit<StoreStats, 'hottest'> & { readonly hottest: readonly HotKeyJson[] };
}

export async function statusOf(store: Store): Promise<Status> {
  const stats = await store.stats();
  return { nodes: store.nodes(), ring: store.ring(), stats: { ...stats, hottest: hottestJson(stats) } };
}

export async function statusReply(store: Store): Promise<Reply> {
  return { status: 200, headers: JSON_TYPE, body: JSON.stringify(await statusOf(store)) };
}

function hottestJson({ hottest }: StoreStats): HotKeyJson[] {
  return hottest.map(({ key, ...of }) =>
    typeof key === 'string'
      ? { ...of, key }
      : { ...of, key: Buffer.from(key).toString('base64'), keyEncoding: 'base64' },
  );
}

/**
 * Statistics under Riak's names (latencies in microseconds); and under `quoral`, by node and as a whole, under those of the
 * embedded store (in milliseconds). Indented for `text/plain`.
 */
export async function statsReply(store: Store, accept: string | undefined): Promise<Reply> {
  const stats = statistics(store, await store.stats());
  const text = accept !== undefined && qualityOf(accept, 'text/plain') > qualityOf(accept, 'application/json');
  return text
    ? { status: 200, headers: { 'Content-Type': 'text/plain' }, body: `${JSON.stringify(stats, null, 2)}\n` }
    : { status: 200, headers: JSON_TYPE, body: JSON.stringify(stats) };
}

function statistics(store: Store, stats: StoreStats): object {
  const nodes = store.nodes();
  const ring = store.ring();
  return {
    node_gets_total: stats.gets.count,
    node_puts_total: stats.puts.count,
    ...latencies('node_get_fsm_time', stats.gets),
    ...latencies('node_put_fsm_time', stats.puts),
    ring_members: nodes.map(({ name }) => name),
    ring_num_partitions: ring.length,
    ring_creation_size: ring.length,
    connected_nodes: nodes.filter(({ state }) => state === 'up').map(({ name }) => name),
    storage_backend: 'quoral',
    quoral: {
      in_flight: stats.inFlight,
      n: ring[0]?.primaries.length ?? 0,
      nodes: stats.nodes,
      latencies: stats.latencies,
      total: stats.total,
      hottest: hottestJson(stats),
    },
  };
}

function latencies(name: string, { meanMs, p50Ms, p99Ms, p999Ms, maxMs }: LatencySummary): object {
  const us = (ms: number) => Math.round(ms * 1_000);
  return {
    [`${name}_mean`]: us(meanMs),
    [`${name}_median`]: us(p50Ms),
    [`${name}_99`]: us(p99Ms),
    [`${name}_999`]: us(p999Ms),
    [`${name}_100`]: us(maxMs),
  };
}
