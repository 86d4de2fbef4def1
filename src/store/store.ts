/**
 * The open store: the nodes, each on a worker thread of its own (`ThreadGroup`), their administration, and the way down.
 * What else it does is what every thread's does that uses it: see `ApplicationStore`.
 */
import { InvalidArgumentError, StorageFailedError, StorageFullError } from '../base/errors.js';
import { FailureDetector } from '../membership/failure-detector.js';
import type { HintStatus, NodeControl, NodeStart } from '../messages/node-control.js';
import type { Ring } from '../ring/ring.js';
import { type GroupEvent, ThreadGroup, ThreadStartError } from '../runtime/threads/thread-group.js';
import type { Admin, CallOptions, NodeState, ShareTicket, StoreStats } from './api.js';
import { ApplicationStore, spawnClient } from './application-store.js';
import { BOOT } from './boot-id.js';
import { closed } from './bucket-home.js';
import type { Client } from './client.js';
import { unlessStuck, within } from './deadline.js';
import { HintWait } from './hint-wait.js';
import { type CheckedOptions, checkPause, MAX_SIBLINGS, show } from './options.js';
import { Shares } from './shares.js';
import type { WorkerOptions } from './worker-options.js';

/** Operations that one coordinator has under way at a time. */
const MAX_OPERATIONS = 10_000;
/** All siblings of a key together may take so many of the largest values, and what goes with them. */
const OBJECT_VALUES = 4;
const OBJECT_OVERHEAD_BYTES = 2 ** 20;
/** What attached threads are given beyond the time of a call, to finish what they have under way, in milliseconds. */
const ATTACHED_SLACK_MS = 1_000;
/** Troubles whose message says what the node does. */
const SENTENCES = new Set(['storage', 'heap-full']);
/**
 * The directories of nodes of this process, of whatever store, whose thread died within a transaction and has not been
 * up since: their files are locked until the process ends, and must be copied before they are opened.
 */
const STRANDED = new Set<string>();
const WORKER_ENTRY = new URL('../../actors/worker.js', import.meta.url);

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
  readonly admin: Admin = {
    stop: (node, options = {}) => within(options, `the stop of node ${show(node)}`, () => this.stopNode(node)),
    start: (node, options = {}) => within(options, `the start of node ${show(node)}`, () => this.startNode(node)),
    crash: (node, options = {}) => within(options, `the crash of node ${show(node)}`, () => this.crashNode(node)),
    pause: (node, ms, options = {}) =>
      within(options, `the pause of node ${show(node)}`, () => this.pauseNode(node, ms)),
    split: (nodes, options = {}) => within(options, `the split of nodes ${show(nodes)}`, () => this.splitNodes(nodes)),
    heal: (options = {}) => within(options, 'the healing of splits', () => this.heal()),
    waitForHints: (options = {}) => this.waitForHints(options),
  };
  private readonly parts: StoreParts;
  private readonly group: ThreadGroup;
  /** For `nodes()`. */
  private readonly health: FailureDetector;
  private readonly shares: Shares;
  /** Resolves when no attached thread is left. */
  private seeingOut: Promise<void> | undefined;
  private readonly lastErrors = new Map<number, string>();
  /** Nodes that were started before. */
  private readonly launched = new Set<number>();
  /** By node, kept by its thread: how many hints it holds. */
  private readonly gauges: readonly Int32Array<SharedArrayBuffer>[];

  private constructor(parts: StoreParts, group: ThreadGroup, client: Client) {
    super({ ...parts, host: group.host, client });
    this.parts = parts;
    this.group = group;
    this.health = new FailureDetector(parts.ring.members.length);
    this.gauges = parts.ring.members.map(() => new Int32Array(new SharedArrayBuffer(4)));
    this.shares = new Shares({
      ...parts,
      group,
      control: {
        stop: (node) => this.stopNode(node),
        start: (node) => this.startNode(node),
        crash: (node) => this.crashNode(node),
        pause: (node, ms) => this.pauseNode(node, ms),
        split: (nodes) => this.splitNodes(nodes),
        heal: () => this.heal(),
        waitForHints: (options) => this.admin.waitForHints(options),
        nodeStats: () => this.nodeStats(),
      },
      stateOf: (node) => this.stateOf(node),
      gauges: this.gauges.map(({ buffer }) => buffer),
    });
  }

  /** Starts every node. @throws what the first node that could not be started met; the others are stopped again. */
  static async start(parts: StoreParts): Promise<EmbeddedStore> {
    let store: EmbeddedStore | undefined;
    const group = new ThreadGroup({
      entry: WORKER_ENTRY,
      ...parts.workers,
      workers: parts.ring.members.length,
      applications: 1 + parts.options.maxShares,
      onEvent: (event) => store?.onEvent(event),
    });
    store = new EmbeddedStore(parts, group, await spawnClient(group.host, parts.ring, parts.options));
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

  protected async nodeStats(): Promise<StoreStats['nodes']> {
    const asked = this.parts.ring.members.map(({ name }, node) => this.countersOf(name, node));
    const known = (await Promise.all(asked)).filter((entry) => entry !== undefined);
    return Object.fromEntries(known);
  }

  /** Nothing if the node is down, or dies while it is asked. */
  private async countersOf(name: string, node: number): Promise<[string, Record<string, number>] | undefined> {
    if (this.group.state(node) !== 'up') return undefined;
    const control = this.group.control<NodeControl>(node);
    const [counters, storage, hints] = await Promise.allSettled([
      control.counters(),
      control.storage(),
      control.hints(),
    ]);
    if (counters.status !== 'fulfilled' || storage.status !== 'fulfilled' || hints.status !== 'fulfilled') {
      return undefined;
    }
    return [
      name,
      {
        ...counters.value,
        storedEntries: storage.value.entries,
        storedBytes: storage.value.bytes,
        filesSetAside: storage.value.filesSetAside,
        partitionsToRefill: storage.value.partitionsToRefill,
        ...hintFigures(hints.value, Date.now()),
      },
    ];
  }

  protected async end(): Promise<void> {
    await this.seeingOut;
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
      isNew: this.parts.isNew && !this.launched.has(node),
      gauges: this.gauges[node]!.buffer,
      maxHintBytes: options.maxHintBytes,
      preferenceLists: ring.preferenceLists,
      maxOperations: MAX_OPERATIONS,
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

  private async startNode(name: string): Promise<void> {
    await this.launch(this.indexOf(name));
  }

  private async waitForHints(options: CallOptions): Promise<void> {
    const { ring } = this.parts;
    const wait = new HintWait({
      nodes: ring.members.length,
      isUp: (node) => {
        if (this.closing !== undefined) throw closed();
        return this.group.state(node) === 'up';
      },
      hintsOn: (node) => this.hintsOn(node),
      ask: async (node) => this.group.control<NodeControl>(node).hints(),
    });
    const names = (nodes: readonly number[]) => nodes.map((node) => ring.members[node]?.name ?? `#${node}`).join(', ');
    const what = () => {
      const { holders, owners } = wait.awaited;
      return `the delivery of the hints that ${names(holders)} may keep${owners.length > 0 ? ` for ${names(owners)}` : ''}`;
    };
    try {
      await within(options, what, () => wait.done());
    } finally {
      wait.stop();
    }
  }

  private async stopNode(name: string): Promise<void> {
    const node = this.indexOf(name);
    this.client.setUp(node, false);
    await this.group.stop(node);
  }

  private async crashNode(name: string): Promise<void> {
    await this.group.crash(this.indexOf(name));
  }

  private async pauseNode(name: string, ms: number): Promise<void> {
    await this.group.pause(this.indexOf(name), checkPause(ms));
  }

  private async splitNodes(names: readonly string[]): Promise<void> {
    if (!Array.isArray(names)) throw new InvalidArgumentError(`a split takes a list of nodes, not ${show(names)}`);
    const side = new Set(names.map((name: string) => this.indexOf(name)));
    if (side.size === 0 || side.size === this.parts.ring.members.length) {
      throw new InvalidArgumentError(`a split cuts some nodes off from others, not ${show(names)}`);
    }
    await this.group.split([...side]);
  }

  private async heal(): Promise<void> {
    this.refuseIfClosed();
    await this.group.heal();
  }

  private refuseIfClosed(): void {
    if (this.closing !== undefined) throw closed();
  }

  protected stateOf(node: number): NodeState {
    if (this.group.state(node) !== 'up') return 'down';
    const now = performance.now();
    this.health.observe(node, this.group.host.pulse(node), now);
    // Without a pulse it is about to end: 'down' is told once that is certain, and `start` would act.
    return this.health.state(node, now) === 'up' ? 'up' : 'suspect';
  }

  protected hintsOn(node: number): number {
    return Atomics.load(this.gauges[node]!, 0);
  }

  private onEvent(event: GroupEvent): void {
    if (event.type === 'state') {
      this.client.setUp(event.thread, event.state === 'up');
      this.shares.tell(event.thread, this.stateOf(event.thread));
      if (event.state === 'up') STRANDED.delete(this.parts.paths[event.thread] ?? '');
      if (event.state === 'given-up') {
        this.tell(event.thread, `died again and again and is left down: ${event.error?.message}; start it by hand`);
      } else if (event.state === 'stuck') {
        this.tell(event.thread, 'was to end and does not: it is stuck in a commit or other native code');
      } else if (event.state === 'waiting') {
        this.tell(event.thread, `died and is restarted: ${event.error?.message}`);
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

/** What a node keeps for others, in figures. */
function hintFigures({ owners }: HintStatus, nowMs: number): Record<string, number> {
  let hints = 0;
  let hintBytes = 0;
  let sinceMs = nowMs;
  for (const owner of owners) {
    hints += owner.count;
    hintBytes += owner.bytes;
    sinceMs = Math.min(sinceMs, owner.sinceMs);
  }
  return { hints, hintBytes, hintsWaitingMs: nowMs - sinceMs };
}
