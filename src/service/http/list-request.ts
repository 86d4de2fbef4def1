/** Requests for lists of keys or buckets: what they ask of the store. Pure. Source: Riak KV's HTTP API. */
import type { ScanOptions } from '../../store/api/call-options.js';
import type { Listed, ListMode } from './listing.js';
import { parseQuorums, parseTimeout } from './parameters.js';
import { notAllowed, type Refusal, type RequestHead, refused } from './request-head.js';

/** A list of a bucket's keys, or of a type's buckets. */
export interface ListRequest {
  readonly kind: 'list';
  readonly listed: Listed;
  readonly type: string;
  /** Whose keys are listed; empty for a list of buckets. */
  readonly bucket: string;
  readonly mode: ListMode;
  /** The oldest URLs give the bucket's properties before its keys. */
  readonly withProperties: boolean;
  readonly options: ListOptions;
}

/**
 * `timeoutMs` is for each page. All but that are no options of Riak's; of keys alone, but for `r`.
 * @see ScanOptions
 */
export type ListOptions = Pick<ScanOptions, 'timeoutMs' | 'r' | 'limit' | (typeof BOUNDS)[number]>;

const BOUNDS = ['prefix', 'gte', 'gt', 'lt', 'lte', 'after'] as const;

/** Of every list. */
export const LIST_HEADERS = { 'Content-Type': 'application/json', Vary: 'Accept-Encoding' };

/** What the head of a request for a list asks for, or why it is refused. */
export function parseList(
  head: RequestHead,
  what: Pick<ListRequest, 'listed' | 'type' | 'bucket' | 'withProperties'>,
  query: URLSearchParams,
): ListRequest | Refusal {
  const { listed } = what;
  if (head.method !== 'GET' && head.method !== 'HEAD') return notAllowed('GET, HEAD');
  const asked = query.get(listed);
  const timeout = parseTimeout(query);
  if ('kind' in timeout) return timeout;
  const limit = query.get('limit');
  if (limit !== null && !/^\d{1,15}$/.test(limit)) return refused(400, `Bad limit value "${limit}"\n`);
  const quorums = parseQuorums(query, ['r']);
  if ('kind' in quorums) return quorums;
  const bounds = BOUNDS.flatMap((name) => (query.has(name) ? [[name, query.get(name)!]] : []));
  if (listed === 'buckets' && (bounds.length > 0 || limit !== null)) {
    return refused(400, 'A list of buckets takes no bounds and no limit: leave them out\n');
  }
  const mode = asked === 'true' ? 'all' : asked === 'stream' ? 'stream' : undefined;
  if (mode === undefined || head.method === 'HEAD') {
    const body = listed === 'keys' || head.method === 'HEAD' ? '{}' : '{"buckets":[]}';
    return { kind: 'refused', reply: { status: 200, headers: LIST_HEADERS, body } };
  }
  return {
    kind: 'list',
    ...what,
    mode,
    options: {
      ...timeout,
      ...(limit !== null && { limit: Number(limit) }),
      ...Object.fromEntries(bounds),
      ...quorums,
    },
  };
}
