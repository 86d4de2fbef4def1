/**
 * The open store: handles on buckets, what the nodes and the ring look like, administration, and the way down.
 * Nodes live on worker threads (`ThreadGroup`); this thread keeps only the client.
 */
import { InvalidArgumentError, StorageFailedError, StorageFullError } from '../base/errors.js';
import { CLIENT_SLOT } from '../messages/addresses.js';
import type { NodeControl, NodeStart } from '../messages/node-control.js';
import { Histogram } from '../metrics/histogram.js';
import type { Ring } from '../ring/ring.js';
import type { Conversation } from '../runtime/actor.js';
import { type GroupEvent, ThreadGroup, ThreadStartError } from '../runtime/threads/thread-group.js';
import type {
  Admin,
  Bucket,
  BucketOptions,
  ListBucketsOptions,
  NodeState,
  NodeStatus,
  PartitionStatus,
  Store,
  StoreStats,
} from './api.js';
import { BOOT } from './boot-id.js';
import { BucketHandle } from './bucket.js';
import { type BucketHome, closed } from './bucket-home.js';
import { listBuckets } from './bucket-list.js';
import { Client } from './client.js';
import { unlessStuck, within } from './deadline.js';
import { type CheckedOptions, canBeDurable, MAX_SIBLINGS, show } from './options.js';

/** Operations that one coordinator has under way at a time. */
const MAX_OPERATIONS = 10_000;
/** All siblings of a key together may take so many of the largest values, and what goes with them. */
const OBJECT_VALUES = 4;
const OBJECT_OVERHEAD_BYTES = 2 ** 20;
/** Troubles whose message says what the node does. */
const SENTENCES = new Set(['storage', 'heap-full']);
const WORKER_ENTRY = new URL('../../actors/worker.js', import.meta.url);

/** The client is never asked anything: what it hears is nothing. */
const silence: Conversation<never, never> = {
  name: 'client',
  request: { size: () => 0, write: () => {}, read: unexpected },
  answer: { size: () => 0, write: () => {}, read: unexpected },
};

function unexpected(): never {
  throw new TypeError('a client is never asked anything');
}

export interface StoreParts {
  readonly options: CheckedOptions;
  readonly ring: Ring;
  /** By node: its directory, or null for memory only. */
  readonly paths: readonly (string | null)[];
  /** Called last, when every node is down: gives the data directory back. */
  readonly release: () => Promise<void> | void;
  readonly workers?: WorkerOptions;
}

/** How the nodes' threads are made; for tests that make them fail. */
export interface WorkerOptions {
  /** What they run. Default: `actors/worker`. */
  readonly entry?: URL;
  /** What the JavaScript heap of each may take, in MiB. Default: what Node gives it. */
  readonly heapMb?: number;
  /** What the system was booted as. Default: what it says. */
  readonly boot?: string;
}

export class EmbeddedStore implements Store {
  readonly admin: Admin = {
    stop: (node, options = {}) => within(options, `the stop of node ${show(node)}`, () => this.stopNode(node)),
    start: (node, options = {}) => within(options, `the start of node ${show(node)}`, () => this.startNode(node)),
    crash: (node, options = {}) => within(options, `the crash of node ${show(node)}`, () => this.crashNode(node)),
  };
  private readonly parts: StoreParts;
  private readonly group: ThreadGroup;
  private readonly client: Client;
  private readonly home: BucketHome;
  private readonly gets = new Histogram();
  private readonly puts = new Histogram();
  private readonly lastErrors = new Map<number, string>();
  private closing: Promise<void> | undefined;
  /** Calls under way that consist of several operations. */
  private compounds = 0;
  private onCompoundsEnded: (() => void) | undefined;

  private constructor(parts: StoreParts, group: ThreadGroup, client: Client) {
    this.parts = parts;
    this.group = group;
    this.client = client;
    const { ring, options } = parts;
    const { host } = group;
    this.home = {
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
      now: () => performance.now(),
      wallClock: () => Date.now(),
      client: () => client,
      run: (act, ofCompound) => {
        if (this.closing !== undefined && !ofCompound) throw closed();
        return host.outside(() => act(client));
      },
      compound: (work) => this.compound(work),
    };
  }

  /** Starts every node. @throws what the first node that could not be started met; the others are stopped again. */
  static async start(parts: StoreParts): Promise<EmbeddedStore> {
    let store: EmbeddedStore | undefined;
    const group = new ThreadGroup({
      entry: WORKER_ENTRY,
      ...parts.workers,
      workers: parts.ring.members.length,
      onEvent: (event) => store?.onEvent(event),
    });
    store = new EmbeddedStore(parts, group, await spawnClient(group, parts));
    const opened = store;
    const starts = await Promise.allSettled(parts.ring.members.map((_, node) => opened.launch(node)));
    const failed = starts.find((start) => start.status === 'rejected');
    if (failed !== undefined) {
      await opened.close();
      throw failed.reason;
    }
    return opened;
  }

  bucket<V = Uint8Array>(name: string, options: BucketOptions<V> = {}): Bucket<V> {
    return new BucketHandle<V>(this.home, name, options);
  }

  buckets(options: ListBucketsOptions = {}): AsyncIterableIterator<string> {
    return listBuckets(this.home, options);
  }

  nodes(): NodeStatus[] {
    const { ring } = this.parts;
    return ring.members.map(({ name, zone, weight }, node) => ({
      name,
      state: this.stateOf(node),
      zone,
      weight,
      partitions: ring.owners.filter((owner) => owner === node).length,
      hints: 0,
    }));
  }

  ring(): PartitionStatus[] {
    const { ring } = this.parts;
    const nameOf = (node: number) => ring.members[node]!.name;
    return ring.preferenceLists.map(({ primaries, fallbacks }, partition) => ({
      partition,
      primaries: primaries.map(nameOf),
      fallbacks: fallbacks.map(nameOf),
    }));
  }

  async stats(): Promise<StoreStats> {
    const asked = this.parts.ring.members.map(({ name }, node) => this.countersOf(name, node));
    const known = (await Promise.all(asked)).filter((entry) => entry !== undefined);
    const nodes = Object.fromEntries(known);
    return { gets: this.gets.summary(), puts: this.puts.summary(), inFlight: this.client.inFlight, nodes };
  }

  /** Nothing if the node is down, or dies while it is asked. */
  private async countersOf(name: string, node: number): Promise<[string, Record<string, number>] | undefined> {
    if (this.group.state(node) !== 'up') return undefined;
    const control = this.group.control<NodeControl>(node);
    const [counters, storage] = await Promise.allSettled([control.counters(), control.storage()]);
    if (counters.status !== 'fulfilled' || storage.status !== 'fulfilled') return undefined;
    return [
      name,
      {
        ...counters.value,
        storedEntries: storage.value.entries,
        storedBytes: storage.value.bytes,
        filesSetAside: storage.value.filesSetAside,
      },
    ];
  }

  close(): Promise<void> {
    this.closing ??= this.shutDown();
    return this.closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private async compound<T>(work: () => Promise<T>): Promise<T> {
    if (this.closing !== undefined) throw closed();
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
    try {
      await unlessStuck('the close', this.group.close());
    } finally {
      await this.parts.release();
    }
  }

  private launch(node: number): Promise<void> {
    const { ring, options, paths } = this.parts;
    const start: NodeStart = {
      path: paths[node]!,
      sync: options.sync,
      boot: this.parts.workers?.boot ?? BOOT,
      preferenceLists: ring.preferenceLists,
      maxOperations: MAX_OPERATIONS,
      maxSiblings: MAX_SIBLINGS,
      maxObjectBytes: OBJECT_VALUES * options.maxValueBytes + OBJECT_OVERHEAD_BYTES,
    };
    return this.group.start(node, start).catch((error: unknown) => {
      if (!(error instanceof ThreadStartError)) throw error;
      if (this.closing !== undefined) throw closed();
      const { name } = ring.members[node]!;
      const message = `node "${name}" could not be started: ${error.data.message}`;
      const Thrown = error.data.code === 'STORAGE_FULL' ? StorageFullError : StorageFailedError;
      throw new Thrown(message, { definite: true, cause: error });
    });
  }

  private async startNode(name: string): Promise<void> {
    await this.launch(this.indexOf(name));
  }

  private async stopNode(name: string): Promise<void> {
    const node = this.indexOf(name);
    this.client.setUp(node, false);
    await this.group.stop(node);
  }

  private async crashNode(name: string): Promise<void> {
    await this.group.crash(this.indexOf(name));
  }

  private indexOf(name: string): number {
    if (this.closing !== undefined) throw closed();
    const node = this.parts.ring.members.findIndex((member) => member.name === name);
    if (node !== -1) return node;
    const names = this.parts.ring.members.map((member) => member.name).join(', ');
    throw new InvalidArgumentError(`there is no node ${show(name)}; the nodes are ${names}`);
  }

  private stateOf(node: number): NodeState {
    return this.group.state(node) === 'up' ? 'up' : 'down';
  }

  private onEvent(event: GroupEvent): void {
    if (event.type === 'state') {
      this.client.setUp(event.thread, event.state === 'up');
      if (event.state === 'given-up') {
        this.tell(event.thread, `died again and again and is left down: ${event.error?.message}; start it by hand`);
      } else if (event.state === 'waiting') {
        this.tell(event.thread, `died and is restarted: ${event.error?.message}`);
      }
      return;
    }
    // A node in trouble may be so with every message: each kind of trouble is told once until the next kind.
    const isSentence = event.type === 'trouble' && SENTENCES.has(event.what);
    const text = isSentence ? event.error.message : `${event.type}: ${event.error.message}`;
    if (this.lastErrors.get(event.thread) === text) return;
    this.lastErrors.set(event.thread, text);
    this.tell(event.thread, text);
  }

  /** What an operator must know: on the error stream, as a warning of the process. */
  private tell(thread: number, text: string): void {
    const name = this.parts.ring.members[thread]?.name;
    const who = name === undefined ? 'the client' : `node "${name}"`;
    process.emitWarning(`${who} ${text}`, { type: 'QuoralWarning' });
  }
}

/** The client, once its host has started it. */
function spawnClient(group: ThreadGroup, { ring, options }: StoreParts): Promise<Client> {
  const { preferenceLists } = ring;
  const { maxInFlight } = options;
  return new Promise((resolve) => {
    group.host.spawn(CLIENT_SLOT, silence, (context) => {
      const client = new Client({ preferenceLists, nodes: ring.members.length, maxInFlight }, context);
      resolve(client);
      return client;
    });
  });
}
