/**
 * The rehearsal of a node's failure: a small cluster in memory, hosted by the thread of one node, loses a node, goes on
 * without it, and takes it back.
 *
 *     all are up ─▶ one crashes ─▶ hints are kept ─▶ it starts again ─▶ hints are delivered ─▶ all are up
 *
 * Why: what V8 compiles while nothing fails holds only as long as nothing does. A field that never changed is taken for a
 * constant, a branch that was never taken is left out. When a node dies, all that is thrown away, in all threads at
 * once, in the very moment in which the others have more to do: seen were a hundred functions within 70 ms, clients that
 * waited for 300 to 800 ms at half of the store's capacity, and for 20 to 30 when the same happened once more. So each
 * thread lives through it once before, by itself, with nothing at stake (benchmarks/README.md).
 *
 * The cluster's nodes are those of the simulator (simulated-node.ts), on hosts as the threads have them. It takes
 * half a second to one of a core, a quarter of it a fifth, in turns of a few milliseconds at most.
 */
import { assert } from '../src/base/assert.js';
import { EMPTY, utf8 } from '../src/base/bytes.js';
import type { Random } from '../src/base/random.js';
import { encodeBody } from '../src/codec/body.js';
import { encodeLocatedKey } from '../src/codec/key.js';
import { CLIENT_SLOT, coordinatorRef, hintKeeperRef } from '../src/messages/addresses.js';
import type { CoordinatorAnswer, CoordinatorRequest } from '../src/messages/coordinator-messages.js';
import { CLOCK_ALLOWANCE_MS, MAX_ATTEMPT_MS } from '../src/messages/object-request.js';
import type { VnodeAnswer } from '../src/messages/vnode-messages.js';
import { type NodeCounters, newNodeCounters } from '../src/metrics/node-counters.js';
import type { PreferenceList } from '../src/ring/preference-list.js';
import type { Actor, ActorContext, ActorHost, Conversation, MessageCodec } from '../src/runtime/actor.js';
import type { Storage } from '../src/storage/storage.js';
import { spawn } from './simulated-node.js';

/** Where it takes place: threads of which the cluster's nodes have the first ones, and its client the next. */
export interface RehearsalStage {
  start(thread: number, setup: (host: ActorHost) => void): void;
  crash(thread: number): void;
  /** Runs `work` as if within a turn of a thread. */
  outside(thread: number, work: () => void): void;
}

export interface RehearsalOptions {
  readonly stage: RehearsalStage;
  readonly random: Random;
  /** A storage in memory: of the kind that the thread's own node has, for whose code this is done. */
  readonly openStorage: () => Storage;
  /** How much of all rounds there are, up to 1: after a few V8 has seen what there is, after all it has compiled it. */
  readonly share: number;
  /** Between two rounds of requests, in milliseconds: what the thread is there for goes on. */
  readonly restMs: number;
  /** Tells of whatever went wrong. */
  readonly report: (what: string, error: Error) => void;
}

/** What was rehearsed. */
export interface Rehearsed {
  readonly operations: number;
  /** Those that the node that failed had in hand, or that were on their way to it. */
  readonly failed: number;
  /** Until it was back. */
  readonly hintsKept: number;
  readonly hintsDelivered: number;
}

const NODES = 4;
/** The node that fails. */
const VICTIM = 1;
const CLIENT = NODES;
const PARTITIONS = 4;
/** The requests of a round: turns have more than one message, and none takes long. */
const AT_ONCE = 16;
/** Rounds with all nodes up, and with all again: each code path was seen some dozen times then. */
const ROUNDS = 20;
/** Rounds with one missing. */
const ROUNDS_WITHOUT = 40;
/**
 * Then so many rounds of so many hints alone: enough for what delivers and takes them to be compiled before there are any. A hint
 * is so much less work than a put that more of them make a round.
 */
const HINTING_ROUNDS = 50;
const HINTS_AT_ONCE = 64;
/** How often it is looked whether all hints were delivered, and how long a look takes, in milliseconds. */
const LOOKS = 1_500;
const LOOK_MS = 20;
const TIMEOUT_MS = 5_000;
const HOUR_MS = 3_600_000;
const MAX_OPERATIONS = 1_000;
const MAX_BYTES = 2 ** 24;
const MAX_SIBLINGS = 100;

const NONE: MessageCodec<never> = {
  size: () => 0,
  write: () => undefined,
  read: () => {
    throw new TypeError('the rehearsing client is never asked anything');
  },
};
const conversation: Conversation<never, never> = { name: 'rehearsal', request: NONE, answer: NONE };

const PLACES = [0, 1, 2, 3] as const;
const PREFERENCE_LISTS: readonly PreferenceList[] = PLACES.map((first) => {
  const nodes = PLACES.map((place) => (first + place) % NODES);
  return { primaries: nodes.slice(0, 3), fallbacks: nodes.slice(3) };
});

/** Runs it; resolves once it is over. An operation that fails is counted. Rejects if the stage is not as it should be. */
export async function rehearse(options: RehearsalOptions): Promise<Rehearsed> {
  const { stage, share, restMs } = options;
  const nodes = PLACES.map((node) => new RehearsedNode(node, options));
  for (const node of nodes) node.start();
  const client = new RehearsingClient(stage, restMs);
  await client.run(ROUNDS * share);
  // With requests under way: some are answered by nobody.
  client.halfway = () => {
    stage.crash(VICTIM);
    client.isUp = (node) => node !== VICTIM;
  };
  await client.run(ROUNDS_WITHOUT * share);
  await client.hint(HINTING_ROUNDS * share);
  nodes[VICTIM]!.start();
  client.isUp = () => true;
  const sum = (of: (counters: NodeCounters) => number): number =>
    nodes.reduce((n, { counters }) => n + of(counters), 0);
  const kept = sum(({ hintsKept }) => hintsKept);
  await client.run(ROUNDS * share);
  for (let look = 0; look < LOOKS && sum(({ hintsDelivered }) => hintsDelivered) < kept; look++)
    await client.rest(LOOK_MS);
  return {
    operations: client.ended,
    failed: client.failures,
    hintsKept: kept,
    hintsDelivered: sum(({ hintsDelivered }) => hintsDelivered),
  };
}

class RehearsedNode {
  readonly counters = newNodeCounters();
  private readonly node: number;
  private readonly options: RehearsalOptions;
  private readonly storages: { readonly objects: Storage; readonly system: Storage; readonly hints: Storage };
  private isNew = true;

  constructor(node: number, options: RehearsalOptions) {
    this.node = node;
    this.options = options;
    const { openStorage } = options;
    this.storages = { objects: openStorage(), system: openStorage(), hints: openStorage() };
  }

  /** With what it had, if it was started before. */
  start(): void {
    const { stage, random, report } = this.options;
    stage.start(this.node, (host) => {
      spawn(host, {
        node: this.node,
        preferenceLists: PREFERENCE_LISTS,
        ...this.storages,
        random,
        report,
        isNew: this.isNew,
        mayHintsBeOld: false,
        counters: this.counters,
        canBeDurable: false,
        losses: 0,
        maxHintBytes: MAX_BYTES,
        maxOperations: MAX_OPERATIONS,
        maxSiblings: MAX_SIBLINGS,
        maxObjectBytes: MAX_BYTES,
        attemptMs: MAX_ATTEMPT_MS,
        // All is there that a node has, though it does not last long enough for them to do much.
        exchangeIntervalMs: HOUR_MS,
        maxTreeAgeMs: Number.POSITIVE_INFINITY,
        tombstoneGraceMs: HOUR_MS,
        control: () => undefined,
      });
    });
    this.isNew = false;
  }
}

/** Puts new keys, and gets each of them once, round after round. */
class RehearsingClient implements Actor<never, never, CoordinatorAnswer | VnodeAnswer> {
  isUp: (node: number) => boolean = () => true;
  ended = 0;
  failures = 0;
  /** Called once, between two turns, while the requests of the next round are under way. */
  halfway: (() => void) | undefined = undefined;
  private readonly stage: RehearsalStage;
  private readonly restMs: number;
  private context: ActorContext | undefined = undefined;
  private begun = 0;
  /** One that was read. */
  private record: Uint8Array = EMPTY;
  private onRoundEnd: () => void = () => undefined;

  constructor(stage: RehearsalStage, restMs: number) {
    this.stage = stage;
    this.restMs = restMs;
    stage.start(CLIENT, (host) => {
      host.spawn<never, never, CoordinatorAnswer | VnodeAnswer>(CLIENT_SLOT, conversation, (context) => {
        this.context = context;
        return this;
      });
    });
  }

  /** Has puts and gets done. */
  async run(rounds: number): Promise<void> {
    for (let round = 0; round < rounds; round++) await this.round(AT_ONCE, this.ask);
  }

  /** Has hints kept for the node that is down, each for a key of its own, as a coordinator would. */
  async hint(rounds: number): Promise<void> {
    for (let round = 0; round < rounds; round++) await this.round(HINTS_AT_ONCE, this.askToKeep);
  }

  rest(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.stage.outside(CLIENT, () => this.context?.after(ms, resolve));
    });
  }

  timer(message: unknown): void {
    (message as () => void)();
  }

  receive(): never {
    throw new TypeError('the rehearsing client is never asked anything');
  }

  answered(_correlation: number, answer: CoordinatorAnswer | VnodeAnswer): void {
    if (answer.type === 'failed') this.failures++;
    else if (answer.type === 'got') this.record = Uint8Array.from(answer.record);
    this.end();
  }

  failed(): void {
    this.failures++;
    this.end();
  }

  private async round(requests: number, ask: (n: number, context: ActorContext) => void): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.onRoundEnd = resolve;
      this.stage.outside(CLIENT, () => {
        const { context } = this;
        assert(context !== undefined, 'the client is started');
        for (let i = 0; i < requests; i++) ask(this.begun++, context);
      });
      if (this.halfway === undefined) return;
      Promise.resolve().then(this.halfway).catch(reject);
      this.halfway = undefined;
    });
    await this.rest(this.restMs);
  }

  private end(): void {
    this.ended++;
    if (this.ended === this.begun) this.onRoundEnd();
  }

  private readonly ask = (n: number, context: ActorContext): void => {
    const { primaries } = PREFERENCE_LISTS[n % PARTITIONS]!;
    const coordinator = primaries.find((node) => this.isUp(node))!;
    context.request(coordinatorRef(coordinator), this.requestOf(n, context), n);
  };

  private readonly askToKeep = (n: number, context: ActorContext): void => {
    const partition = HINTED[n % HINTED.length]!;
    const [holder] = PREFERENCE_LISTS[partition]!.fallbacks;
    const { record } = this;
    const hint = { owner: VICTIM, key: keyOf(partition, n), record, durable: false, mayWait: false, tag: 0 } as const;
    context.request(hintKeeperRef(holder!), { type: 'keep', ...hint }, n);
  };

  private requestOf(n: number, context: ActorContext): CoordinatorRequest {
    const isPut = n % 8 < 4;
    // Four puts, one to each partition, and then the gets of those.
    const key = keyOf(n % PARTITIONS, isPut ? n : n - 4);
    if (!isPut) {
      return {
        type: 'get',
        key,
        r: 2,
        pr: 0,
        notfoundOk: true,
        basicQuorum: false,
        session: EMPTY,
        timeoutMs: TIMEOUT_MS,
      };
    }
    const put = {
      key,
      causalContext: EMPTY,
      attempt: { ...CLIENT_ID, counter: n + 1 },
      earlier: [],
      expiresAtMs: context.wallClock() + TIMEOUT_MS + CLOCK_ALLOWANCE_MS,
      minting: 'siblings',
      condition: 'none',
      ifMatch: EMPTY,
      maxSiblings: 0,
      tombstone: false,
      ttlMs: 0,
      body: BODY,
    } as const;
    return { type: 'put', put, w: 2, pw: 0, dw: 0, timeoutMs: TIMEOUT_MS };
  }
}

function keyOf(partition: number, n: number): Uint8Array {
  return encodeLocatedKey(partition, { type: TYPE, bucket: BUCKET, key: utf8(`key ${n}`) });
}

/** The partitions of the node that fails. */
const HINTED = PLACES.filter((partition) => PREFERENCE_LISTS[partition]!.primaries.includes(VICTIM));
const TYPE = utf8('default');
const BUCKET = utf8('rehearsal');
const BODY = encodeBody({ contentType: 'application/octet-stream', metadata: {}, value: new Uint8Array(100) });
const CLIENT_ID = { high: 1, low: 1 };
