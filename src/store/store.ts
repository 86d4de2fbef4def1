/**
 * The open store: the nodes, each on a worker thread of its own (`ThreadGroup`), their administration, and the way down.
 * What else it does is what every thread's does that uses it: see `ApplicationStore`.
 */
import { buffersOf } from '../anti-entropy/hash-task.js';
import { StorageFailedError, StorageFullError } from '../base/errors.js';
import type { HasherResult, HasherTask } from '../messages/hasher-task.js';
import type { NodeControl, NodeStart } from '../messages/node-control.js';
import { MAX_ATTEMPT_MS } from '../messages/object-request.js';
import type { Ring } from '../ring/ring.js';
import { HashingPool } from '../runtime/threads/hashing-pool.js';
import { ThreadStartError } from '../runtime/threads/thread-errors.js';
import { type GroupEvent, ThreadGroup } from '../runtime/threads/thread-group.js';
import { SharedOpening } from '../storage/shared-opening.js';
import { adminOf, type NodeActs } from './admin.js';
import type { Admin, ShareTicket } from './api/store.js';
import { ApplicationStore, spawnClient } from './application-store.js';
import { BOOT } from './boot-id.js';
import { closed } from './bucket-home.js';
import type { Client } from './client.js';
import { unlessStuck } from './deadline.js';
import { type FiguresOfNode, hintFigures, type NodeFigures, nodeFigures } from './node-figures.js';
import { type CheckedOptions, MAX_SIBLINGS } from './options.js';
import { Shares } from './shares.js';
import { ToldOnce } from './told-once.js';
import type { WorkerOptions } from './worker-options.js';

/** Operations that one coordinator has under way at a time. */
const MAX_OPERATIONS = 10_000;
/** All siblings of a key together may take so many of the largest values, and what goes with them. */
const OBJECT_VALUES = 4;
const OBJECT_OVERHEAD_BYTES = 2 ** 20;
/** What attached threads are given beyond the time of a call, to finish what they have under way, in milliseconds. */
const ATTACHED_SLACK_MS = 1_000;
/** How long the end of the process waits for threads that read a node's records, in milliseconds. */
const READERS_OUT_MS = 1_000;
/** A node whose disk fails at its restart is started again after so long, in milliseconds, until it is well. */
const RETRY_START_MS = 1_000;
/** By the kind of a trouble, what stands before its message: nothing, where that says what the node does. */
const LEADS: Readonly<Record<string, string>> = {
  storage: '',
  'heap-full': '',
  put: '',
  standby: 'has lost the thread that stands by for nodes, and has another one later: ',
  'commit-failed': 'cannot store: ',
};
/**
 * The directories of nodes of this process, of whatever store, whose thread died within a transaction and has not been
 * up since: their files are locked until the process ends, and must be copied before they are opened.
 */
const STRANDED = new Set<string>();
const WORKER_ENTRY = new URL('../../actors/worker.js', import.meta.url);
const HASHER_ENTRY = new URL('../../actors/tree-hasher.js', import.meta.url);

export interface StoreParts {
  readonly options: CheckedOptions;
  readonly ring: Ring;
  /** By node: its directory, or null for memory only. */
  readonly paths: readonly (string | null)[];
  /** True if this opening has created the store. */
  readonly isNew: boolean;
  /** Called last, when every node is down: gives the data directory back. */
  readonly release: () => Promise<void> | void;
  readonly workers?: WorkerOptions;
}

export class EmbeddedStore extends ApplicationStore {
  readonly admin: Admin;
  private readonly parts: StoreParts;
  private readonly group: ThreadGroup;
  private readonly shares: Shares;
  /** Resolves when no attached thread is left. */
  private seeingOut: Promise<void> | undefined;
  private readonly told = new ToldOnce();
  /** By node, whether it has its objects file open. */
  private readonly openings: readonly SharedArrayBuffer[];
  /** Hashes for the nodes that keep their data on disk. */
  private readonly pool: HashingPool<HasherTask, HasherResult> | undefined;
  /** Nodes that were started before. */
  private readonly launched = new Set<number>();

  /** The process ends without having closed the store: threads of the pool may be within calls of lmdb. */
  private readonly seeReadersOut = (): void => {
    const until = performance.now() + READERS_OUT_MS;
    for (const word of this.openings) new SharedOpening(new Int32Array(word)).shut(until);
  };

  private constructor(
    parts: StoreParts,
    group: ThreadGroup,
    client: Client,
    pool: HashingPool<HasherTask, HasherResult> | undefined,
  ) {
    // By node, kept by its thread: how many hints it holds.
    const gauges = parts.ring.members.map(() => new SharedArrayBuffer(4));
    super({ ...parts, host: group.host, client, gauges });
    this.parts = parts;
    this.group = group;
    this.pool = pool;
    this.openings = parts.ring.members.map(() => new SharedArrayBuffer(4));
    if (pool !== undefined) process.on('exit', this.seeReadersOut);
    const acts: NodeActs = {
      stop: (node) => this.stopNode(node),
      start: (node) => this.launch(node),
      crash: (node) => group.crash(node),
      pause: (node, ms) => group.pause(node, ms),
      split: (nodes) => group.split(nodes),
      heal: () => group.heal(),
      hints: async (node) => group.control<NodeControl>(node).hints(),
      compare: async (node, session, call) => group.control<NodeControl>(node).compare(session, call),
      rebuild: async (node, session, call) => group.control<NodeControl>(node).rebuild(session, call),
      reap: async (node, session, call) => group.control<NodeControl>(node).reap(session, call),
    };
    this.admin = adminOf(acts, this.nodesHere());
    this.shares = new Shares({
      ...parts,
      group,
      gauges,
      control: { ...acts, nodeStats: () => this.nodeStats() },
      isUp: (node) => this.isUp(node),
    });
  }

  /** Starts every node. @throws what the first node that could not be started met; the others are stopped again. */
  static async start(parts: StoreParts): Promise<EmbeddedStore> {
    let store: EmbeddedStore | undefined;
    const isOnDisk = parts.paths.some((path) => path !== null);
    const pool = isOnDisk ? newHashingPool(parts.options.hashingThreads) : undefined;
    const group = new ThreadGroup({
      service: pool === undefined ? undefined : () => pool.connect(),
      entry: WORKER_ENTRY,
      // An entry of somebody's own may rely on knowing its thread from the beginning.
      standby: parts.workers?.entry === undefined ? { data: parts.paths[0] ?? null } : undefined,
      ...parts.workers,
      workers: parts.ring.members.length,
      applications: 1 + parts.options.maxShares,
      retryStartMs: ({ code }) => (code === 'STORAGE_FULL' || code === 'STORAGE_FAILED' ? RETRY_START_MS : undefined),
      onEvent: (event) => store?.onEvent(event),
    });
    store = new EmbeddedStore(parts, group, await spawnClient(group.host, parts.ring, parts.options), pool);
    const opened = store;
    const starts = await Promise.allSettled(parts.ring.members.map((_, node) => opened.launch(node)));
    const failed = starts.find((start) => start.status === 'rejected');
    if (failed !== undefined) {
      await opened.close();
      throw failed.reason;
    }
    return opened;
  }

  share(): ShareTicket {
    if (this.closing !== undefined) throw closed();
    return this.shares.give();
  }

  override close(): Promise<void> {
    // At the same time as what this thread has under way.
    this.seeingOut ??= this.shares.close(this.parts.options.timeoutMs + ATTACHED_SLACK_MS);
    return super.close();
  }

  protected async nodeStats(): Promise<NodeFigures> {
    const asked = this.parts.ring.members.map(({ name }, node) => this.figuresOf(name, node));
    return nodeFigures((await Promise.all(asked)).filter((figures) => figures !== undefined));
  }

  /** Nothing if the node is down, or dies while it is asked. */
  private async figuresOf(name: string, node: number): Promise<FiguresOfNode | undefined> {
    if (this.group.state(node) !== 'up') return undefined;
    const control = this.group.control<NodeControl>(node);
    const [counters, latencies, storage, memory, hints, keys] = await Promise.allSettled([
      control.counters(),
      control.latencies(),
      control.storage(),
      control.memory(),
      control.hints(),
      control.hotKeys(),
    ]);
    if (counters.status !== 'fulfilled' || latencies.status !== 'fulfilled') return undefined;
    if (storage.status !== 'fulfilled') return undefined;
    if (memory.status !== 'fulfilled' || hints.status !== 'fulfilled' || keys.status !== 'fulfilled') return undefined;
    return {
      name,
      keys: keys.value,
      latencies: latencies.value,
      counters: {
        ...counters.value,
        ...memory.value,
        storedEntries: storage.value.entries,
        storedBytes: storage.value.bytes,
        filesSetAside: storage.value.filesSetAside,
        partitionsToRefill: storage.value.partitionsToRefill,
        ...hintFigures(hints.value, Date.now()),
      },
    };
  }

  protected async end(): Promise<void> {
    await this.seeingOut;
    try {
      await unlessStuck('the close', this.group.close());
    } finally {
      try {
        await this.pool?.close();
        process.off('exit', this.seeReadersOut);
      } finally {
        await this.parts.release();
      }
    }
  }

  private launch(node: number): Promise<void> {
    const { ring, options, paths } = this.parts;
    const start: NodeStart = {
      path: paths[node]!,
      sync: options.sync,
      boot: this.parts.workers?.boot ?? BOOT,
      isNew: this.parts.isNew && !this.launched.has(node),
      gauges: this.gauges[node]!,
      maxHintBytes: options.maxHintBytes,
      preferenceLists: ring.preferenceLists,
      maxOperations: MAX_OPERATIONS,
      exchangeIntervalMs: options.exchangeIntervalMs,
      exchangeWindow: options.exchangeWindow,
      rebuildIntervalMs: options.rebuildIntervalMs,
      tombstoneGraceMs: options.tombstoneGraceMs,
      attemptMs: this.parts.workers?.attemptMs ?? MAX_ATTEMPT_MS,
      opening: this.openings[node]!,
      maxSiblings: MAX_SIBLINGS,
      maxObjectBytes: OBJECT_VALUES * options.maxValueBytes + OBJECT_OVERHEAD_BYTES,
    };
    this.launched.add(node);
    const stranded = start.path !== null && STRANDED.has(start.path);
    return this.group.start(node, start, { stranded }).catch((error: unknown) => {
      if (!(error instanceof ThreadStartError)) throw error;
      if (this.closing !== undefined) throw closed();
      const { name } = ring.members[node]!;
      const message = `node "${name}" could not be started: ${error.data.message}`;
      const Thrown = error.data.code === 'STORAGE_FULL' ? StorageFullError : StorageFailedError;
      throw new Thrown(message, { definite: true, cause: error });
    });
  }

  private async stopNode(node: number): Promise<void> {
    this.setUp(node, false);
    await this.group.stop(node);
  }

  protected isUp(node: number): boolean {
    return this.group.state(node) === 'up';
  }

  private onEvent(event: GroupEvent): void {
    if (event.type === 'state') {
      this.setUp(event.thread, event.state === 'up');
      this.shares.tell(event.thread, this.isUp(event.thread));
      if (event.state === 'up') {
        STRANDED.delete(this.parts.paths[event.thread] ?? '');
        this.told.forget(event.thread);
      }
      if (event.state === 'given-up') {
        this.tell(event.thread, `died again and again and is left down: ${event.error?.message}; start it by hand`);
      } else if (event.state === 'stuck') {
        this.tell(event.thread, 'was to end and does not: it is stuck in a commit or other native code');
      } else if (event.state === 'waiting') {
        this.tellOnce(event.thread, `died and is restarted: ${event.error?.message}`);
      }
      return;
    }
    if (event.type === 'stranded') {
      const path = this.parts.paths[event.thread];
      if (path) STRANDED.add(path);
      this.tell(
        event.thread,
        `died within a transaction: its files are replaced by copies, and this process can end by SIGKILL only`,
      );
      return;
    }
    const lead = event.type === 'trouble' ? (LEADS[event.what] ?? 'trouble: ') : `${event.type}: `;
    this.tellOnce(event.thread, `${lead}${event.error.message}`);
  }

  /** A node in trouble may be so with every message. */
  private tellOnce(thread: number, text: string): void {
    if (this.told.isNews(thread, text, performance.now())) this.tell(thread, text);
  }

  /** What an operator must know: on the error stream, as a warning of the process. */
  private tell(thread: number, text: string): void {
    const name = this.parts.ring.members[thread]?.name;
    const who = name === undefined ? 'the client' : `node "${name}"`;
    process.emitWarning(`${who} ${text}`, { type: 'QuoralWarning' });
  }
}

/** It has no thread before a node has something for it. */
function newHashingPool(threads: number): HashingPool<HasherTask, HasherResult> {
  return new HashingPool({ entry: HASHER_ENTRY, name: 'hash', threads, buffersOf });
}
