/**
 * The store as one of the application's threads has it: a client, what its handles share, and an end in good order.
 * `EmbeddedStore` is that of the thread which opened it, and has the nodes; `AttachedStore` that of any other.
 */
import { setImmediate as nextPass } from 'node:timers/promises';
import type { QuoralError } from '../base/errors.js';
import { FailureDetector } from '../membership/failure-detector.js';
import { CLIENT_SLOT } from '../messages/addresses.js';
import type { OperationFailure } from '../messages/coordinator-messages.js';
import { Histogram } from '../metrics/histogram.js';
import type { Ring } from '../ring/ring.js';
import type { Conversation } from '../runtime/actor.js';
import type { ThreadHost } from '../runtime/threads/thread-host.js';
import type { Nodes } from './admin.js';
import type { Bucket, BucketOptions } from './api/bucket.js';
import type { CallOptions, ListBucketsOptions } from './api/call-options.js';
import type {
  BucketProperties,
  BucketPropertiesOptions,
  BucketPropertyChanges,
  BucketTypeChanges,
} from './api/properties.js';
import type { NodeState, NodeStatus, PartitionStatus, StoreStats } from './api/status.js';
import type { Admin, ShareTicket, Store } from './api/store.js';
import { BucketHandle } from './bucket.js';
import { type BucketHome, closed, type StoreHome } from './bucket-home.js';
import { listBuckets } from './bucket-list.js';
import { Client } from './client.js';
import { errorOf } from './failures.js';
import type { NodeFigures } from './node-figures.js';
import { type CheckedOptions, canBeDurable } from './options.js';
import { PropertyCache } from './property-cache.js';
import { bucketProperties, bucketType, setBucketProperties, setBucketType } from './property-calls.js';

/** The client is never asked anything: what it hears is nothing. */
const silence: Conversation<never, never> = {
  name: 'client',
  request: { size: () => 0, write: () => {}, read: unexpected },
  answer: { size: () => 0, write: () => {}, read: unexpected },
};

function unexpected(): never {
  throw new TypeError('a client is never asked anything');
}

export interface ApplicationParts {
  readonly options: CheckedOptions;
  readonly ring: Ring;
  /** This thread's. */
  readonly host: ThreadHost;
  readonly client: Client;
  /** By node, kept by its thread: how many hints it holds, in 32 bits. */
  readonly gauges: readonly SharedArrayBuffer[];
}

export abstract class ApplicationStore implements Store {
  abstract readonly admin: Admin;
  protected readonly client: Client;
  /** Set by the first `close`: from then on nothing is begun. */
  protected closing: Promise<void> | undefined;
  /** By node: see `ApplicationParts`. */
  protected readonly gauges: readonly SharedArrayBuffer[];
  private readonly cluster: Ring;
  private readonly host: ThreadHost;
  /** For `nodes()`: goes by pulses alone, while the client also holds against a node what became of its own requests. */
  private readonly health: FailureDetector;
  private readonly home: BucketHome;
  private readonly gets = new Histogram();
  private readonly puts = new Histogram();
  /** Calls under way that consist of several operations. */
  private compounds = 0;
  private onCompoundsEnded: (() => void) | undefined;

  constructor({ options, ring, host, client, gauges }: ApplicationParts) {
    this.client = client;
    this.gauges = gauges;
    this.cluster = ring;
    this.host = host;
    this.health = new FailureDetector(ring.members.length);
    const home: StoreHome = {
      partitions: ring.partitions,
      n: ring.n,
      nodeNames: ring.members.map(({ name }) => name),
      quorums: options.quorums,
      timeoutMs: options.timeoutMs,
      maxValueBytes: options.maxValueBytes,
      maxInFlight: options.maxInFlight,
      canBeDurable: canBeDurable(options),
      gets: this.gets,
      puts: this.puts,
      now: () => host.now(),
      wallClock: () => host.wallClock(),
      client: () => client,
      run: (act, ofCompound) => {
        if (this.closing !== undefined && !ofCompound) throw closed();
        return host.outside(() => act(client));
      },
      compound: (work, ofCompound = false) => this.compound(work, ofCompound),
      errorOf: (operation, failure) => this.errorOf(operation, failure),
    };
    this.home = { ...home, properties: new PropertyCache(home) };
  }

  abstract share(): ShareTicket;
  /** True if its thread is known to run. */
  protected abstract isUp(node: number): boolean;
  /** What the nodes that are up tell of themselves. */
  protected abstract nodeStats(): Promise<NodeFigures>;
  /** What is left to do when nothing is under way on this thread any more. */
  protected abstract end(): Promise<void>;

  bucket<V = Uint8Array>(name: string, options: BucketOptions<V> = {}): Bucket<V> {
    return new BucketHandle<V>(this.home, name, options);
  }

  buckets(options: ListBucketsOptions = {}): AsyncIterableIterator<string> {
    return listBuckets(this.home, options);
  }

  setBucketProperties(
    bucket: string,
    changes: BucketPropertyChanges,
    options: BucketPropertiesOptions = {},
  ): Promise<void> {
    return setBucketProperties(this.home, bucket, changes, options);
  }

  bucketProperties(bucket: string, options: BucketPropertiesOptions = {}): Promise<BucketProperties> {
    return bucketProperties(this.home, bucket, options);
  }

  setBucketType(type: string, changes: BucketTypeChanges = {}, options: CallOptions = {}): Promise<void> {
    return setBucketType(this.home, type, changes, options);
  }

  bucketType(type: string, options: CallOptions = {}): Promise<BucketProperties> {
    return bucketType(this.home, type, options);
  }

  nodes(): NodeStatus[] {
    const { cluster } = this;
    return cluster.members.map(({ name, zone, weight }, node) => ({
      name,
      state: this.stateOf(node),
      zone,
      weight,
      partitions: cluster.owners.filter((owner) => owner === node).length,
      hints: this.hintsOn(node),
    }));
  }

  ring(): PartitionStatus[] {
    const { cluster } = this;
    const nameOf = (node: number) => cluster.members[node]!.name;
    return cluster.preferenceLists.map(({ primaries, fallbacks }, partition) => ({
      partition,
      primaries: primaries.map(nameOf),
      fallbacks: fallbacks.map(nameOf),
    }));
  }

  async stats(): Promise<StoreStats> {
    const figures = await this.nodeStats();
    return {
      gets: this.gets.summary(),
      puts: this.puts.summary(),
      secondAttempts: this.client.secondAttempts.summary(),
      inFlight: this.client.inFlight,
      ...figures,
    };
  }

  close(): Promise<void> {
    this.closing ??= this.shutDown();
    return this.closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** What an operation's failure is to its caller. */
  protected errorOf(operation: 'get' | 'put' | 'scan', failure: OperationFailure): QuoralError {
    return errorOf(operation, failure, this.client.retryAfterMs);
  }

  /** What the acts of `admin` are judged by. */
  protected nodesHere(): Nodes {
    return {
      members: this.cluster.members,
      preferenceLists: this.cluster.preferenceLists,
      refuseIfClosed: () => {
        if (this.closing !== undefined) throw closed();
      },
      isUp: (node) => this.isUp(node),
      hintsOn: (node) => this.hintsOn(node),
    };
  }

  /** Whoever watches the nodes' threads tells that one is up, or is not. */
  protected setUp(node: number, up: boolean): void {
    this.client.setUp(node, up);
    // What was seen of this thread is not held against the next one.
    if (!up) this.health.ended(node);
  }

  private hintsOn(node: number): number {
    return Atomics.load(new Int32Array(this.gauges[node]!), 0);
  }

  private stateOf(node: number): NodeState {
    if (!this.isUp(node)) return 'down';
    const now = performance.now();
    this.health.observe(node, this.host.pulse(node), now);
    // Without a pulse it is about to end: 'down' is told once that is certain, and `start` would act.
    return this.health.state(node, now) === 'up' ? 'up' : 'suspect';
  }

  private async compound<T>(work: () => Promise<T>, ofCompound: boolean): Promise<T> {
    if (this.closing !== undefined && !ofCompound) {
      // As of what `begin` refuses.
      await nextPass();
      throw closed();
    }
    this.compounds++;
    try {
      return await work();
    } finally {
      this.compounds--;
      if (this.compounds === 0) this.onCompoundsEnded?.();
    }
  }

  private async shutDown(): Promise<void> {
    if (this.compounds > 0) {
      await new Promise<void>((resolve) => {
        this.onCompoundsEnded = resolve;
      });
    }
    await new Promise<void>((resolve) => this.client.whenIdle(resolve));
    await this.end();
  }
}

/** The client of a thread, once its host has started it. */
export function spawnClient(host: ThreadHost, ring: Ring, { maxInFlight }: CheckedOptions): Promise<Client> {
  const { preferenceLists } = ring;
  return new Promise((resolve) => {
    host.spawn(CLIENT_SLOT, silence, (context) => {
      const client = new Client({ preferenceLists, nodes: ring.members.length, maxInFlight }, context);
      resolve(client);
      return client;
    });
  });
}
