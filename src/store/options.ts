/**
 * Checks what callers give: the options of `open`, of a bucket handle and of each call. Everything that is wrong is
 * refused here, with a message that says what to do, before anything is sent.
 */
import { inspect } from 'node:util';
import type { ExchangeWindow } from '../anti-entropy/schedule.js';
import { isWellFormed, utf8 } from '../base/bytes.js';
import { InvalidArgumentError } from '../base/errors.js';
import { MAX_TIMEOUT_MS } from '../messages/object-request.js';
import type { Member } from '../ring/ring.js';
import type { Quorum } from './api/call-options.js';
import type { ExchangeWindowOptions, NodeOptions, OpenOptions } from './api/open-options.js';

/** Replicas that an operation waits for, as numbers. */
export interface Quorums {
  readonly r: number;
  readonly w: number;
  readonly pr: number;
  readonly pw: number;
  readonly dw: number;
}

/** What `open` was asked for, complete and checked, but for what an existing directory decides. */
export interface CheckedOptions {
  readonly path: string | undefined;
  /** Undefined if left out: then an existing directory's stand, or the default. */
  readonly nodes: readonly (Member & { readonly path: string | undefined })[] | undefined;
  readonly n: number | undefined;
  readonly partitions: number | undefined;
  /** Only those that were given. */
  readonly quorums: Partial<Record<keyof Quorums, Quorum>>;
  readonly sync: 'full' | 'none';
  readonly timeoutMs: number;
  readonly maxValueBytes: number;
  readonly maxInFlight: number;
  readonly maxHintBytes: number;
  readonly maxShares: number;
  readonly exchangeIntervalMs: number;
  /** In minutes of the day, UTC. */
  readonly exchangeWindow: ExchangeWindow | undefined;
  readonly rebuildIntervalMs: number;
  readonly tombstoneGraceMs: number;
  readonly hashingThreads: number;
}

export const DEFAULT_NODES = 5;
export const DEFAULT_N = 3;
export const DEFAULT_PARTITIONS = 64;
/** A lane per pair of threads: memory grows with the square of the nodes. */
export const MAX_NODES = 32;
/** Each attached thread costs lanes to every node; and replicas tell repeated puts of the 64 clients last seen. */
const MAX_SHARES = 32;
const MAX_VALUE_BYTES = 64 * 2 ** 20;
/** A put that would leave more siblings is refused. Riak refuses at 100, too. */
export const MAX_SIBLINGS = 100;
const DEFAULT_HINT_BYTES = 2 ** 30;
const MAX_HINT_BYTES = 2 ** 46;
const MAX_HASHING_THREADS = 16;
/** 192 pairs of replicas (64 partitions, n 3) in so long are one comparison in three seconds: next to nothing. */
const DEFAULT_EXCHANGE_INTERVAL_MS = 600_000;
/** Up to a week: what is compared less often is not compared. */
const MAX_EXCHANGE_INTERVAL_MS = 7 * 24 * 3_600_000;
const DEFAULT_REBUILD_INTERVAL_MS = 7 * 24 * 3_600_000;
const MIN_REBUILD_INTERVAL_MS = 60_000;
/** A year. */
const MAX_REBUILD_INTERVAL_MS = 365 * 24 * 3_600_000;
/** Far longer than a put may take, and short enough that a store of short-lived keys does not grow without need. */
const DEFAULT_TOMBSTONE_GRACE_MS = 24 * 3_600_000;
const MAX_TOMBSTONE_GRACE_MS = 365 * 24 * 3_600_000;

const OPEN_OPTIONS = new Set([
  'path',
  'nodes',
  'n',
  'r',
  'w',
  'pr',
  'pw',
  'dw',
  'partitions',
  'sync',
  'timeoutMs',
  'maxValueBytes',
  'maxInFlight',
  'maxHintBytes',
  'maxShares',
  'exchangeIntervalMs',
  'exchangeWindow',
  'rebuildIntervalMs',
  'tombstoneGraceMs',
  'hashingThreads',
]);

const WINDOW_OPTIONS = new Set(['from', 'to']);
const NODE_OPTIONS = new Set(['name', 'path', 'zone', 'weight']);

/** @throws {InvalidArgumentError} naming the first option that is wrong, and what it may be. */
export function checkOpenOptions(options: OpenOptions): CheckedOptions {
  checkNames('open', options, OPEN_OPTIONS);
  const { path, sync = 'full' } = options;
  if (path !== undefined && !isPath(path)) {
    throw new InvalidArgumentError(`path must be the name of a directory, not ${show(path)}`);
  }
  const nodes = options.nodes === undefined ? undefined : checkNodes(options.nodes);
  const elsewhere = path === undefined ? nodes?.find((node) => node.path !== undefined) : undefined;
  if (elsewhere !== undefined) {
    throw new InvalidArgumentError(
      `node "${elsewhere.name}" has a path, but the store has none, and would be in memory only: give it a path, too`,
    );
  }
  if (sync !== 'full' && sync !== 'none')
    throw new InvalidArgumentError(`sync must be 'full' or 'none', not ${show(sync)}`);
  return {
    path,
    nodes,
    n: integer('n', options.n, 1, MAX_NODES),
    partitions: integer('partitions', options.partitions, 8, 1_024),
    quorums: given({ r: options.r, w: options.w, pr: options.pr, pw: options.pw, dw: options.dw }),
    sync,
    timeoutMs: checkTimeout(options.timeoutMs) ?? 5_000,
    maxValueBytes: integer('maxValueBytes', options.maxValueBytes, 1, MAX_VALUE_BYTES) ?? 8 * 2 ** 20,
    maxInFlight: integer('maxInFlight', options.maxInFlight, 1, 65_536) ?? 10_000,
    maxHintBytes: integer('maxHintBytes', options.maxHintBytes, 0, MAX_HINT_BYTES) ?? DEFAULT_HINT_BYTES,
    maxShares: integer('maxShares', options.maxShares, 0, MAX_SHARES) ?? 8,
    exchangeIntervalMs:
      integer('exchangeIntervalMs', options.exchangeIntervalMs, 100, MAX_EXCHANGE_INTERVAL_MS) ??
      DEFAULT_EXCHANGE_INTERVAL_MS,
    exchangeWindow: options.exchangeWindow === undefined ? undefined : checkWindow(options.exchangeWindow),
    rebuildIntervalMs:
      integer('rebuildIntervalMs', options.rebuildIntervalMs, MIN_REBUILD_INTERVAL_MS, MAX_REBUILD_INTERVAL_MS) ??
      DEFAULT_REBUILD_INTERVAL_MS,
    tombstoneGraceMs:
      integer('tombstoneGraceMs', options.tombstoneGraceMs, 100, MAX_TOMBSTONE_GRACE_MS) ?? DEFAULT_TOMBSTONE_GRACE_MS,
    hashingThreads: integer('hashingThreads', options.hashingThreads, 1, MAX_HASHING_THREADS) ?? 1,
  };
}

function checkWindow(window: ExchangeWindowOptions): ExchangeWindow {
  checkNames('exchangeWindow', window, WINDOW_OPTIONS);
  const from = minuteOf('exchangeWindow.from', window.from);
  const to = minuteOf('exchangeWindow.to', window.to);
  if (from !== to) return { from, to };
  throw new InvalidArgumentError(`exchangeWindow must have a length; leave it out for all of the day`);
}

function minuteOf(name: string, time: string): number {
  const [, hours, minutes] = (typeof time === 'string' && /^([01]\d|2[0-3]):([0-5]\d)$/.exec(time)) || [];
  if (hours !== undefined && minutes !== undefined) return 60 * Number(hours) + Number(minutes);
  throw new InvalidArgumentError(`${name} must be a time of the day, UTC, from '00:00' to '23:59', not ${show(time)}`);
}

/** The members that `nodes: 5` stands for, or that a list names. */
export function checkNodes(nodes: number | readonly NodeOptions[]): (Member & { path: string | undefined })[] {
  if (typeof nodes === 'number') {
    const count = integer('nodes', nodes, 1, MAX_NODES)!;
    return Array.from({ length: count }, (_, i) => ({ name: nameOf(i), zone: nameOf(i), weight: 1, path: undefined }));
  }
  if (!Array.isArray(nodes) || nodes.length === 0 || nodes.length > MAX_NODES) {
    throw new InvalidArgumentError(`nodes must be a number from 1 to ${MAX_NODES}, or a list of as many { name }`);
  }
  return nodes.map((node: NodeOptions) => {
    if (typeof node !== 'object' || node === null || typeof node.name !== 'string') {
      throw new InvalidArgumentError(`each node must be an object with a name, not ${show(node)}`);
    }
    checkNames('a node', node, NODE_OPTIONS);
    const { name, zone = name, weight = 1, path } = node;
    // Its data would lie in the store's own directory, or beside it.
    if (path === undefined && (name === '.' || name === '..')) {
      throw new InvalidArgumentError(`a node named "${name}" needs a path: its name cannot be that of a directory`);
    }
    if (path !== undefined && !isPath(path)) {
      throw new InvalidArgumentError(`the path of node "${name}" must be the name of a directory, not ${show(path)}`);
    }
    // Names, zones and weights are checked where the ring is made.
    return { name, zone, weight, path };
  });
}

/** No file system has a name with a NUL in it. */
function isPath(path: unknown): boolean {
  return typeof path === 'string' && path !== '' && !path.includes('\0');
}

/** 'a' … 'z', then 'a2', 'b2' and so on. */
function nameOf(index: number): string {
  const letter = String.fromCharCode(97 + (index % 26));
  return index < 26 ? letter : `${letter}${Math.floor(index / 26) + 1}`;
}

/**
 * A quorum as a number.
 * @param least - 1 for r and w, 0 for pr, pw and dw
 * @throws {InvalidArgumentError} It is no quorum of n replicas.
 */
export function quorumOf(name: keyof Quorums, value: Quorum, n: number): number {
  const least = name === 'r' || name === 'w' ? 1 : 0;
  if (value === 'one') return 1;
  if (value === 'quorum') return Math.floor(n / 2) + 1;
  if (value === 'all') return n;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > n) {
    throw new InvalidArgumentError(
      `${name} must be a number from ${least} to n (${n}), or 'one', 'quorum' or 'all', not ${show(value)}`,
    );
  }
  return value;
}

/** What a quorum is where nobody says: two replicas of reads and writes, where there are two. */
export function defaultQuorum(which: keyof Quorums, n: number): number {
  return which === 'r' || which === 'w' ? Math.min(2, n) : 0;
}

function given(quorums: Record<keyof Quorums, Quorum | undefined>): Partial<Record<keyof Quorums, Quorum>> {
  return Object.fromEntries(Object.entries(quorums).filter(([, quorum]) => quorum !== undefined));
}

/** @throws {InvalidArgumentError} It is no number of milliseconds from 1 to an hour. */
export function checkTimeout(timeoutMs: number | undefined): number | undefined {
  if (timeoutMs === undefined) return undefined;
  if (typeof timeoutMs !== 'number' || !(timeoutMs >= 1 && timeoutMs <= MAX_TIMEOUT_MS)) {
    throw new InvalidArgumentError(`timeoutMs must be from 1 to 3,600,000 milliseconds, not ${show(timeoutMs)}`);
  }
  return timeoutMs;
}

/** How long a pause lasts. @throws {InvalidArgumentError} It is no number of milliseconds from 1 to an hour. */
export function checkPause(ms: number): number {
  if (typeof ms === 'number' && ms >= 1 && ms <= MAX_TIMEOUT_MS) return ms;
  throw new InvalidArgumentError(`a pause lasts from 1 to 3,600,000 milliseconds, not ${show(ms)}`);
}

/** A lifetime in milliseconds; 0 for none. @throws {InvalidArgumentError} */
export function checkTtl(ttlMs: number | undefined): number {
  if (ttlMs === undefined) return 0;
  if (typeof ttlMs !== 'number' || !(ttlMs >= 1 && ttlMs <= 2 ** 45)) {
    throw new InvalidArgumentError(`ttlMs must be a number of milliseconds from 1 to 2^45, not ${show(ttlMs)}`);
  }
  return Math.floor(ttlMs);
}

/** Most siblings that puts may leave; 0 if nobody says. @throws {InvalidArgumentError} */
export function checkMaxSiblings(maxSiblings: number | undefined): number {
  return integer('maxSiblings', maxSiblings, 1, MAX_SIBLINGS) ?? 0;
}

/** @throws {InvalidArgumentError} It is neither true nor false. */
export function flag(name: string, value: boolean | undefined): boolean | undefined {
  if (value === undefined || typeof value === 'boolean') return value;
  throw new InvalidArgumentError(`${name} must be true or false, not ${show(value)}`);
}

/** True if nodes can flush what they store: then dw may be above 0. */
export function canBeDurable({ path, sync }: Pick<CheckedOptions, 'path' | 'sync'>): boolean {
  return path !== undefined && sync === 'full';
}

/** @throws {InvalidArgumentError} `dw` is above 0 where nothing can be made durable. */
export function checkDurable(dw: number, canBeDurable: boolean): void {
  if (dw === 0 || canBeDurable) return;
  throw new InvalidArgumentError(
    "dw above 0 needs storage that can be flushed: open the store with a path and sync: 'full', or leave dw at 0",
  );
}

/** The UTF-8 of a text. @throws {InvalidArgumentError} It has none, so that other texts would be the same. */
export function textBytes(what: string, text: string): Uint8Array {
  if (isWellFormed(text)) return utf8(text);
  throw new InvalidArgumentError(
    `${what} has half of a surrogate pair, which is no text: pass bytes, or mend ${show(text)}`,
  );
}

/** @throws {InvalidArgumentError} It is not an AbortSignal. */
export function checkSignal(signal: AbortSignal | undefined): void {
  if (signal === undefined || signal instanceof AbortSignal) return;
  throw new InvalidArgumentError(`signal must be an AbortSignal, not ${show(signal)}`);
}

/** @throws {InvalidArgumentError} `options` is no object, or has a name that is not in `known`. */
export function checkNames(call: string, options: object, known: ReadonlySet<string>): void {
  if (typeof options !== 'object' || options === null) {
    throw new InvalidArgumentError(`the options of ${call} must be an object, not ${show(options)}`);
  }
  for (const name in options) {
    if (!known.has(name)) {
      throw new InvalidArgumentError(`${call} has no option "${name}"; it has ${[...known].join(', ')}`);
    }
  }
}

function integer(name: string, value: number | undefined, least: number, most: number): number | undefined {
  if (value === undefined) return undefined;
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new InvalidArgumentError(`${name} must be an integer from ${least} to ${most}, not ${show(value)}`);
  }
  return value;
}

/** A value as an error message shows it: short, whatever it is. */
export function show(value: unknown): string {
  const text = typeof value === 'string' ? JSON.stringify(value) : inspect(value, { depth: 0, breakLength: Infinity });
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
