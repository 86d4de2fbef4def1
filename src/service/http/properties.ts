/**
 * Properties of buckets and bucket types under Riak's names. Pure.
 *
 * `allow_mult` and `last_write_wins` are two words for the store's one `resolution`: all siblings are kept, or the last
 * write. `max_siblings` and `ttl_ms` are additions. What Riak has and this store has not is given with the one value
 * that describes what happens here, so that a client can put back what it got; another value is refused.
 * Source: Riak KV's HTTP API (get, set, reset bucket properties), and the defaults of its properties.
 */
import { textOf } from '../../base/bytes.js';
import type { BucketProperties, BucketPropertyChanges } from '../../store/api/properties.js';
import type { PropertiesAddress } from './address.js';
import { header, type RequestHeaders } from './headers.js';
import { essenceOf } from './media-type.js';
import { parseTimeout } from './parameters.js';
import type { Reply } from './reply.js';
import { notAllowed, type Refusal, refused } from './request-head.js';

export interface PropertiesRequest {
  readonly kind: 'properties';
  readonly act: 'get' | 'set' | 'reset';
  readonly type: string;
  /** Undefined: those of the type. */
  readonly bucket: string | undefined;
  readonly options: { readonly timeoutMs?: number };
}

type Json = { readonly [name: string]: unknown };

const JSON_HEADERS = { 'Content-Type': 'application/json', Vary: 'Accept-Encoding' };

/** By Riak's name: the store's, and what it may be. */
const NAMES = {
  r: ['r', 'quorum'],
  w: ['w', 'quorum'],
  pr: ['pr', 'quorum'],
  pw: ['pw', 'quorum'],
  dw: ['dw', 'quorum'],
  notfound_ok: ['notfoundOk', 'boolean'],
  basic_quorum: ['basicQuorum', 'boolean'],
  ttl_ms: ['ttlMs', 'number'],
  max_siblings: ['maxSiblings', 'number'],
} as const satisfies Readonly<Record<string, readonly [keyof BucketProperties, 'quorum' | 'boolean' | 'number']>>;

/** What is so for every bucket of this store. */
const FIXED: Json = {
  rw: 'quorum',
  node_confirms: 0,
  precommit: [],
  postcommit: [],
  chash_keyfun: { mod: 'riak_core_util', fun: 'chash_std_keyfun' },
  linkfun: { mod: 'riak_kv_wm_link_walker', fun: 'mapreduce_linkfun' },
  old_vclock: 86_400,
  young_vclock: 20,
  big_vclock: 50,
  small_vclock: 50,
  dvv_enabled: true,
  write_once: false,
};

const EXPECTED = {
  quorum: "an integer or one of the following words: 'one', 'quorum', 'all' or 'default'",
  boolean: 'true or false',
  number: 'a number',
};

/** All properties taken back. */
export const NO_PROPERTIES: BucketPropertyChanges = {
  ...{ r: null, w: null, pr: null, pw: null, dw: null, notfoundOk: null, basicQuorum: null },
  ...{ ttlMs: null, maxSiblings: null, resolution: null },
};

/** What a head whose path names properties asks for, or why it is refused. */
export function parseProperties(
  method: string,
  headers: RequestHeaders,
  { type, bucket, allow }: PropertiesAddress,
  query: URLSearchParams,
): PropertiesRequest | Refusal {
  if (!allow.split(', ').includes(method)) return notAllowed(allow);
  const options = parseTimeout(query);
  if ('kind' in options) return options;
  const act = method === 'PUT' ? 'set' : method === 'DELETE' ? 'reset' : 'get';
  if (act === 'set' && essenceOf(header(headers, 'content-type') ?? '') !== 'application/json') {
    return refused(415, 'Properties are sent as application/json\n');
  }
  return { kind: 'properties', act, type, bucket, options };
}

/** `{"props":{…}}` with every property. */
export function propertiesReply(properties: BucketProperties, bucket: string | undefined): Reply {
  return { status: 200, headers: JSON_HEADERS, body: JSON.stringify({ props: propertiesJson(properties, bucket) }) };
}

/** Every property by Riak's name; `ttl_ms` only if there is one. */
export function propertiesJson(properties: BucketProperties, bucket: string | undefined): Json {
  const json: Record<string, unknown> = { ...(bucket !== undefined && { name: bucket }), n_val: properties.n };
  for (const [name, [own]] of Object.entries(NAMES)) json[name] = properties[own];
  json.allow_mult = properties.resolution === 'siblings';
  json.last_write_wins = properties.resolution === 'last-write-wins';
  return { ...json, ...FIXED };
}

/**
 * The changes that a body asks for, or what is wrong with it.
 * @param bucket - whose they are to be; undefined for a type's
 * @param n - replicas of each key in this store
 */
export function changesOf(body: Uint8Array, bucket: string | undefined, n: number): BucketPropertyChanges | string {
  let parsed: unknown;
  try {
    parsed = JSON.parse(textOf(body) ?? '');
  } catch {
    return 'The body is not JSON: send {"props":{...}}';
  }
  const props = isObject(parsed) ? parsed.props : undefined;
  if (!isObject(props)) return 'The body has no properties: send {"props":{...}}';
  const changes: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(props)) {
    const problem = change(changes, name, value, bucket, n);
    if (problem !== undefined) return problem;
  }
  const resolution = resolutionOf(props.allow_mult, props.last_write_wins);
  if (resolution === 'both') return 'allow_mult and last_write_wins rule each other out: set one of them to false';
  if (resolution !== undefined) changes.resolution = resolution;
  return changes;
}

function change(
  changes: Record<string, unknown>,
  name: string,
  value: unknown,
  bucket: string | undefined,
  n: number,
): string | undefined {
  if (name === 'allow_mult' || name === 'last_write_wins') {
    return value === null || typeof value === 'boolean' ? undefined : `${name} must be true or false`;
  }
  if (name === 'name' && value === bucket) return undefined;
  if (name === 'n_val') return value === n ? undefined : `n_val is ${n} for every bucket of this store: leave it out`;
  if (Object.hasOwn(FIXED, name)) {
    if (sameJson(value, FIXED[name])) return undefined;
    return `${name} cannot be changed here: leave it out, or at ${JSON.stringify(FIXED[name])}`;
  }
  if (!Object.hasOwn(NAMES, name)) {
    return `There is no property ${JSON.stringify(name)} here; there are n_val, ${Object.keys(NAMES).join(', ')}, allow_mult and last_write_wins`;
  }
  const [own, kind] = NAMES[name as keyof typeof NAMES];
  const isDefault = value === null || (kind === 'quorum' && value === 'default');
  const fits = kind === 'quorum' ? typeof value === 'number' || typeof value === 'string' : typeof value === kind;
  if (!isDefault && !fits) return `${name} must be ${EXPECTED[kind]}`;
  changes[own] = isDefault ? null : value;
  return undefined;
}

/**
 * The resolution that two booleans stand for; null: taken back; undefined: left as it is. Where both are false Riak
 * keeps the last write, too. One alone that is false asks for the other.
 */
function resolutionOf(
  allowMult: unknown,
  lastWriteWins: unknown,
): BucketProperties['resolution'] | 'both' | null | undefined {
  if (allowMult === true && lastWriteWins === true) return 'both';
  if (allowMult === true) return 'siblings';
  if (lastWriteWins === true || allowMult === false) return 'last-write-wins';
  if (lastWriteWins === false) return 'siblings';
  return allowMult === null || lastWriteWins === null ? null : undefined;
}

/** What a service's `props` say; undefined if they are none of this store's. The reverse of `propertiesJson`. */
export function propertiesOf(props: unknown): BucketProperties | undefined {
  if (!isObject(props) || typeof props.n_val !== 'number') return undefined;
  const properties: Record<string, unknown> = { n: props.n_val };
  for (const [name, [own, kind]] of Object.entries(NAMES)) {
    const value = props[name];
    const isNone = own === 'ttlMs' && value === undefined;
    if (!isNone && typeof value !== kind && !(kind === 'quorum' && isQuorum(value))) return undefined;
    properties[own] = value;
  }
  properties.resolution = props.last_write_wins === true ? 'last-write-wins' : 'siblings';
  return properties as unknown as BucketProperties;
}

/** Changes under Riak's names: the `props` of a request. The reverse of `changesOf`. */
export function propsOf(changes: BucketPropertyChanges): Json {
  const props: Record<string, unknown> = {};
  for (const [name, [own]] of Object.entries(NAMES)) if (changes[own] !== undefined) props[name] = changes[own];
  const { resolution } = changes;
  if (resolution === null) return { ...props, allow_mult: null, last_write_wins: null };
  return resolution === undefined ? props : { ...props, allow_mult: resolution === 'siblings' };
}

function isQuorum(value: unknown): boolean {
  return typeof value === 'number' || typeof value === 'string';
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Of flat values: what their members are called and are, in whatever order. */
function sameJson(a: unknown, b: unknown): boolean {
  const ordered = (value: unknown) =>
    isObject(value) ? Object.entries(value).sort(([x], [y]) => (x < y ? -1 : 1)) : value;
  return JSON.stringify(ordered(a)) === JSON.stringify(ordered(b));
}
