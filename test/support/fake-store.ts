/**
 * A store in one map, for tests of what stands on a store: siblings, tombstones and contexts behave as the real
 * one's do, replicas do not exist. `failures` makes calls fail as the real one may.
 */

import { compareBytes, textOf, utf8 } from '../../src/base/bytes.js';
import {
  ClosedError,
  ConflictError,
  InvalidArgumentError,
  KeyTooLongError,
  QuorumUnavailableError,
  ValueTooLargeError,
} from '../../src/base/errors.js';
import type {
  Bucket,
  BucketOptions,
  Codec,
  DeleteOptions,
  GetOptions,
  Key,
  NodeStatus,
  OpenOptions,
  PartitionStatus,
  PutOptions,
  Quorum,
  ReadResult,
  Receipt,
  ScanEntry,
  ScanOptions,
  Sibling,
  Store,
} from '../../src/store/api.js';

interface Version {
  readonly dot: number;
  readonly value: Uint8Array | undefined;
  readonly contentType: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly timestampMs: number;
}

interface Entry {
  readonly key: Uint8Array;
  seen: Set<number>;
  versions: Version[];
}

type Operation = 'get' | 'put' | 'delete' | 'scan';

export class FakeStore implements Store {
  /** Errors that the next calls of an operation fail with, in order. */
  readonly failures: { operation: Operation; error: Error }[] = [];
  /** Calls so far. */
  readonly calls: Record<Operation, number> = { get: 0, put: 0, delete: 0, scan: 0 };
  /** Awaited by every call before it answers. */
  gate: Promise<void> = Promise.resolve();
  /** What the clock says. */
  nowMs = 1_700_000_000_000;
  closed = false;
  readonly options: OpenOptions;
  private readonly buckets = new Map<string, Map<string, Entry>>();
  private readonly down = new Set<string>();
  private dots = 0;

  constructor(options: OpenOptions = {}) {
    this.options = options;
  }

  readonly admin = {
    stop: async (node: string) => void this.down.add(node),
    start: async (node: string) => void this.down.delete(node),
    crash: async (node: string) => void this.down.add(node),
  };

  get n(): number {
    return this.options.n ?? 3;
  }

  bucket<V = Uint8Array>(name: string, options: BucketOptions<V> = {}): Bucket<V> {
    const type = options.type ?? 'default';
    const codec = codecOf<V>(options.codec);
    const place = `${type}/${name}`;
    return {
      name,
      type,
      get: async (key, how = {}) => {
        await this.begin('get', how, [how.r, how.pr]);
        return this.read(place, codec, this.keyOf(name, key));
      },
      put: async (key, value, how = {}) => {
        await this.begin('put', how, [how.w, how.pw, how.dw]);
        const bytes = codec.encode(value);
        const { maxValueBytes = 8 * 2 ** 20 } = this.options;
        if (bytes.length > maxValueBytes) throw new ValueTooLargeError(`The value is over ${maxValueBytes} bytes`);
        return this.write(place, this.keyOf(name, key), how.causalContext, {
          value: Uint8Array.from(bytes),
          contentType: how.contentType ?? codec.contentType,
          metadata: { ...how.metadata },
        });
      },
      delete: async (key, how = {}) => {
        await this.begin('delete', how, [how.r, how.w, how.pw, how.dw]);
        const bytes = this.keyOf(name, key);
        const context = how.causalContext ?? this.read(place, codec, bytes).causalContext;
        return this.write(place, bytes, context, { value: undefined, contentType: '', metadata: {} });
      },
      scan: (how = {}) => this.scan(place, codec, how),
    };
  }

  nodes(): NodeStatus[] {
    const { nodes = 5 } = this.options;
    const names =
      typeof nodes === 'number' ? [...'abcdefghijklmnopqrstuvwxyz'].slice(0, nodes) : nodes.map(({ name }) => name);
    const state = (name: string) => (this.down.has(name) ? 'down' : 'up');
    return names.map((name) => ({ name, state: state(name), zone: name, weight: 1, partitions: 1, hints: 0 }));
  }

  ring(): PartitionStatus[] {
    const names = this.nodes().map(({ name }) => name);
    return names.map((_, partition) => {
      const order = [...names.slice(partition), ...names.slice(0, partition)];
      return { partition, primaries: order.slice(0, this.n), fallbacks: order.slice(this.n) };
    });
  }

  async stats(): Promise<never> {
    throw new Error('the fake keeps no statistics');
  }

  async close(): Promise<void> {
    this.closed = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  private async begin(
    operation: Operation,
    how: GetOptions & PutOptions & DeleteOptions,
    quorums: (Quorum | undefined)[],
  ): Promise<void> {
    if (this.closed) throw new ClosedError('The store is closed');
    this.calls[operation]++;
    await this.gate;
    const index = this.failures.findIndex((failure) => failure.operation === operation);
    if (index >= 0) throw this.failures.splice(index, 1)[0]!.error;
    const { timeoutMs } = how;
    if (timeoutMs !== undefined && !(timeoutMs >= 1 && timeoutMs <= 3_600_000)) {
      throw new InvalidArgumentError('timeoutMs must be from 1 to 3600000');
    }
    if (how.r === 0 || how.w === 0) throw new InvalidArgumentError('r and w must be at least 1');
    for (const quorum of quorums) {
      if (typeof quorum === 'number' && quorum > this.n)
        throw new InvalidArgumentError(`A quorum is at most n = ${this.n}`);
    }
    const up = this.nodes().filter(({ state }) => state === 'up').length;
    if (up < 2) throw new QuorumUnavailableError(`${up} of 2 replicas can be reached`);
  }

  private keyOf(bucket: string, key: Key): Uint8Array {
    const bytes = typeof key === 'string' ? utf8(key) : key;
    if (bytes.length === 0) throw new InvalidArgumentError('A key has at least one byte');
    if (bytes.length + bucket.length > 1_900) throw new KeyTooLongError('Type, bucket and key are over 1,900 bytes');
    return bytes;
  }

  private entry(place: string, key: Uint8Array): Entry | undefined {
    return this.buckets.get(place)?.get(Buffer.from(key).toString('hex'));
  }

  private read<V>(place: string, codec: Codec<V>, key: Uint8Array): ReadResult<V> {
    const entry = this.entry(place, key);
    const siblings: Sibling<V>[] = (entry?.versions ?? [])
      .filter((version) => version.value !== undefined)
      .map((version) => ({
        value: codec.decode(version.value!),
        contentType: version.contentType,
        metadata: version.metadata,
        timestampMs: version.timestampMs,
      }));
    return {
      found: siblings.length > 0,
      get value(): V | undefined {
        if (siblings.length > 1) throw new ConflictError(`${siblings.length} siblings`);
        return siblings[0]?.value;
      },
      siblings,
      ...(entry && { causalContext: tokenOf(place, key, entry.seen) }),
    };
  }

  private write(
    place: string,
    key: Uint8Array,
    token: string | undefined,
    content: Omit<Version, 'dot' | 'timestampMs'>,
  ): Receipt {
    const covered = token === undefined ? new Set<number>() : seenIn(token, place, key);
    const dot = ++this.dots;
    let entry = this.entry(place, key);
    if (entry === undefined) {
      entry = { key: Uint8Array.from(key), seen: new Set(), versions: [] };
      if (!this.buckets.has(place)) this.buckets.set(place, new Map());
      this.buckets.get(place)!.set(Buffer.from(key).toString('hex'), entry);
    }
    const kept = entry.versions.filter((version) => !covered.has(version.dot));
    entry.versions = [...kept, { ...content, dot, timestampMs: this.nowMs++ }];
    entry.seen = new Set([...entry.seen, ...covered, dot]);
    const primaries = this.ring()[0]!.primaries;
    return {
      causalContext: tokenOf(place, key, new Set([...covered, dot])),
      acks: primaries.slice(0, 2).map((node) => ({ node, role: 'primary', durable: true })),
      hints: [],
    };
  }

  private async *scan<V>(place: string, codec: Codec<V>, how: ScanOptions): AsyncIterableIterator<ScanEntry<V>> {
    await this.begin('scan', how, [how.r]);
    const prefix =
      how.prefix === undefined ? new Uint8Array(0) : typeof how.prefix === 'string' ? utf8(how.prefix) : how.prefix;
    const entries = [...(this.buckets.get(place)?.values() ?? [])].sort((a, b) => compareBytes(a.key, b.key));
    let left = how.limit ?? Number.POSITIVE_INFINITY;
    for (const { key } of entries) {
      const result = this.read(place, codec, key);
      const cursor = Buffer.from(key).toString('base64');
      if (!result.found || compareBytes(key.subarray(0, prefix.length), prefix) !== 0) continue;
      if (how.after !== undefined && compareBytes(key, Buffer.from(how.after, 'base64')) <= 0) continue;
      if (left-- <= 0) return;
      const head = { key: textOf(key) ?? key, cursor };
      yield how.values ? Object.defineProperties(head, Object.getOwnPropertyDescriptors(result)) : head;
    }
  }
}

function codecOf<V>(codec: BucketOptions<V>['codec']): Codec<V> {
  if (typeof codec === 'object') return codec;
  const raw: Codec<Uint8Array> = {
    encode: (value) => value,
    decode: (bytes) => bytes,
    contentType: 'application/octet-stream',
  };
  const text: Codec<string> = {
    encode: utf8,
    decode: (bytes) => Buffer.from(bytes).toString(),
    contentType: 'text/plain; charset=utf-8',
  };
  const json: Codec<unknown> = {
    encode: (value) => utf8(JSON.stringify(value)),
    decode: (bytes) => JSON.parse(Buffer.from(bytes).toString()),
    contentType: 'application/json',
  };
  return { raw, text, json }[codec ?? 'raw'] as unknown as Codec<V>;
}

function tokenOf(place: string, key: Uint8Array, seen: ReadonlySet<number>): string {
  const body = JSON.stringify({ place, key: Buffer.from(key).toString('hex'), seen: [...seen].sort((a, b) => a - b) });
  return Buffer.from(body).toString('base64');
}

function seenIn(token: string, place: string, key: Uint8Array): Set<number> {
  try {
    const body = JSON.parse(Buffer.from(token, 'base64').toString());
    if (body.place === place && body.key === Buffer.from(key).toString('hex')) return new Set(body.seen);
  } catch {
    // Damaged: refused below, as a foreign one is.
  }
  throw new InvalidArgumentError(
    'The causal context is damaged or of another key: pass the one that a read of this key gave',
  );
}
