/**
 * A client on a thread of its own in the simulation: the store's real client, with what it is told written down.
 */
import { assert } from '../base/assert.js';
import { EMPTY, utf8 } from '../base/bytes.js';
import { EMPTY_CONTEXT, joinContexts } from '../clocks/causal-context.js';
import { laterOf, ZERO_TIMESTAMP } from '../clocks/timestamp.js';
import { encodeBody } from '../codec/body.js';
import { encodeContext, type SeenContext } from '../codec/context.js';
import { encodeLocatedKey, keyHash, setPartition } from '../codec/key.js';
import { decodeRecord } from '../codec/record.js';
import { decodeToken, encodeToken } from '../codec/token.js';
import { CLIENT_SLOT } from '../messages/addresses.js';
import type { CoordinatorAnswer, CoordinatorRequest } from '../messages/coordinator-messages.js';
import { highestTimestamp } from '../objects/resolution.js';
import type { PreferenceList } from '../ring/preference-list.js';
import { partitionOf } from '../ring/token.js';
import type { Actor, ActorContext, ActorHost, ActorRef, Conversation, MessageCodec } from '../runtime/actor.js';
import type { Simulator } from '../runtime/simulator/simulator.js';
import { Client } from '../store/client.js';
import type { GetOutcome, PutOutcome } from '../store/client-outcomes.js';
import { ticketOf } from '../store/pending-request.js';
import { PutReceipt, type ReceiptParts } from '../store/receipt.js';
import type { AcknowledgedPut, GetOperation, History, PutEnd, PutOperation, ReadSibling, Token } from './history.js';
import { TappedContext } from './tapped-host.js';

export interface PutSettings {
  readonly token?: Token | undefined;
  readonly w?: number;
  readonly pw?: number;
  readonly dw?: number;
  readonly timeoutMs?: number;
  readonly lastWriteWins?: boolean;
  /** How long the value lives, in milliseconds (default 0: for good). */
  readonly ttlMs?: number;
}

export interface GetSettings {
  readonly r?: number;
  readonly pr?: number;
  /** What the get must show at least. */
  readonly session?: Token | undefined;
  readonly timeoutMs?: number;
}

const NOTHING_SEEN: SeenContext = { context: EMPTY_CONTEXT, highestTimestamp: ZERO_TIMESTAMP };

export interface SimulatedClientOptions {
  readonly index: number;
  readonly thread: number;
  readonly simulator: Simulator;
  readonly history: History;
  readonly nodes: number;
  readonly preferenceLists: readonly PreferenceList[];
  readonly r: number;
  readonly w: number;
  readonly timeoutMs: number;
  readonly maxInFlight: number;
  /** What a receipt's token is made of; the store's own unless a test plants a mistake. */
  readonly receiptToken?: (parts: ReceiptParts, history: History) => string;
  /** Hears of each put that was acknowledged. */
  readonly acknowledged: (put: AcknowledgedPut) => void;
  /** What the client's context is replaced by; for planted mistakes. */
  readonly tap?: (context: ActorContext) => ActorContext;
  /** What is hosted in the client's stead, with that context; for planted mistakes, too. */
  readonly tapActor?: (inner: ClientActor, context: ActorContext) => ClientActor;
}

export type ClientActor = Actor<never, never, CoordinatorAnswer>;

type Put = CoordinatorRequest & { type: 'put' };

/** A client is never asked anything: the messages of its conversation do not exist. */
const NOTHING: MessageCodec<never> = {
  size: () => 0,
  write: () => undefined,
  read: () => {
    throw new TypeError('a client is never asked anything');
  },
};
const clientConversation: Conversation<never, never> = { name: 'client', request: NOTHING, answer: NOTHING };

const TYPE = utf8('default');
const BUCKET = utf8('simulation');

/** Where a key of the simulation lies. */
export function locate(key: string, partitions: number): Uint8Array {
  const located = encodeLocatedKey(0, { type: TYPE, bucket: BUCKET, key: utf8(key) });
  setPartition(located, partitionOf(keyHash(located).high, partitions));
  return located;
}

export class SimulatedClient {
  readonly index: number;
  readonly thread: number;
  private readonly options: SimulatedClientOptions;
  private client: Client | undefined;
  /** The puts under way, by the tickets of the client's present incarnation. */
  private readonly underWay = new Map<number, PutOperation>();
  /** What is under way, and what is to be called when it has ended. */
  private readonly unsettled = new Map<PutOperation | GetOperation, () => void>();
  private beginning: PutOperation | undefined;

  constructor(options: SimulatedClientOptions) {
    this.options = options;
    this.index = options.index;
    this.thread = options.thread;
  }

  /** Puts the client onto its thread. */
  setup(host: ActorHost, isUp: (node: number) => boolean): void {
    const { nodes, preferenceLists, maxInFlight, tap, tapActor } = this.options;
    host.spawn<never, never, never>(CLIENT_SLOT, clientConversation, (own) => {
      const context = new AttemptTap(own, (correlation, request) => this.noteAttempt(ticketOf(correlation), request));
      const tapped = tap?.(context) ?? context;
      this.client = new Client({ preferenceLists, nodes, maxInFlight }, tapped);
      for (let node = 0; node < nodes; node++) this.client.setUp(node, isUp(node));
      return tapActor?.(this.client, tapped) ?? this.client;
    });
  }

  /** True if requests can be made: its thread is up, and the client has started. */
  get ready(): boolean {
    return this.client !== undefined && this.options.simulator.host(this.thread).up;
  }

  /** Word of a node's rise or fall comes to this client. */
  setUp(node: number, up: boolean): void {
    this.client?.setUp(node, up);
  }

  /** The process of this client died: what it had under way is never told. */
  died(): void {
    this.client = undefined;
    for (const [operation, ended] of this.unsettled) {
      operation.end = { type: 'abandoned' };
      operation.endedAt = this.options.simulator.time;
      ended();
    }
    this.unsettled.clear();
    this.underWay.clear();
  }

  /** Begins a put (of `null`: a delete). `then` is called once it is settled, between two events. */
  put(key: string, value: string | null, settings: PutSettings = {}, then?: (put: PutOperation) => void): PutOperation {
    const { history, simulator } = this.options;
    const { token, w = this.options.w, pw = 0, dw = 0, lastWriteWins = false, ttlMs = 0 } = settings;
    const { timeoutMs = this.options.timeoutMs } = settings;
    const put: PutOperation = {
      id: history.puts.length,
      client: this.index,
      key,
      value,
      lastWriteWins,
      ttlMs,
      past: token?.events ?? new Set(),
      events: [],
      w,
      dw,
      timeoutMs,
      startedAt: simulator.time,
      endedAt: Number.NaN,
      end: undefined,
      conditional: false,
      told: 0,
    };
    history.puts.push(put);
    const located = locate(key, this.options.preferenceLists.length);
    const given: SeenContext = token === undefined ? NOTHING_SEEN : decodeToken(token.text, keyHash(located));
    const ended = (): void => {
      if (then !== undefined) simulator.at(0, () => then(put));
    };
    const settle = (outcome: PutOutcome): void => {
      put.told++;
      this.unsettled.delete(put);
      put.endedAt = simulator.time;
      const end = this.putEnd(put, located, given, outcome);
      put.end = end;
      if (end.type === 'acknowledged') this.options.acknowledged(put as AcknowledgedPut);
      ended();
    };
    simulator.outside(this.thread, () => {
      this.beginning = put;
      const ticket = this.running().put(
        {
          key: located,
          causalContext: bytesOf(token, located),
          minting: lastWriteWins ? 'last-write-wins' : 'siblings',
          condition: 'none',
          ifMatch: EMPTY,
          maxSiblings: 0,
          tombstone: value === null,
          ttlMs,
          body: value === null ? EMPTY : bodyOf(value),
          w,
          pw,
          dw,
          timeoutMs,
        },
        { settle },
      );
      this.beginning = undefined;
      if (typeof ticket === 'number') {
        this.underWay.set(ticket, put);
        this.unsettled.set(put, ended);
      } else settle({ ok: false, failure: ticket });
    });
    return put;
  }

  /** Begins a get. `then` as with `put`. */
  get(key: string, settings: GetSettings = {}, then?: (get: GetOperation) => void): GetOperation {
    const { history, simulator } = this.options;
    const { r = this.options.r, pr = 0, session, timeoutMs = this.options.timeoutMs } = settings;
    const get: GetOperation = {
      id: history.gets.length,
      client: this.index,
      key,
      r,
      pr,
      session: session?.events,
      timeoutMs,
      startedAt: simulator.time,
      endedAt: Number.NaN,
      end: undefined,
      told: 0,
    };
    history.gets.push(get);
    const located = locate(key, this.options.preferenceLists.length);
    const ended = (): void => {
      if (then !== undefined) simulator.at(0, () => then(get));
    };
    const settle = (outcome: GetOutcome): void => {
      get.told++;
      this.unsettled.delete(get);
      get.endedAt = simulator.time;
      if (!outcome.ok) get.end = { type: 'failed', failure: outcome.failure };
      else {
        const siblings = history.siblingsOf(outcome.record, `get ${get.id} of ${key}`);
        const { mayMissHints } = outcome;
        get.end = { type: 'got', siblings, token: this.readToken(located, outcome.record, siblings), mayMissHints };
      }
      ended();
    };
    simulator.outside(this.thread, () => {
      const ticket = this.running().get(
        {
          type: 'get',
          key: located,
          r,
          pr,
          notfoundOk: true,
          basicQuorum: false,
          session: bytesOf(session, located),
          timeoutMs,
        },
        { settle },
      );
      if (typeof ticket === 'number') this.unsettled.set(get, ended);
      else settle({ ok: false, failure: ticket });
    });
    return get;
  }

  /** The join of tokens of one key: what a client has seen that got all of them. */
  join(key: string, a: Token | undefined, b: Token | undefined): Token | undefined {
    if (a === undefined || b === undefined) return a ?? b;
    const hash = keyHash(locate(key, this.options.preferenceLists.length));
    const left = decodeToken(a.text, hash);
    const right = decodeToken(b.text, hash);
    const text = encodeToken(
      hash,
      joinContexts(left.context, right.context),
      laterOf(left.highestTimestamp, right.highestTimestamp),
    );
    return { text, events: new Set([...a.events, ...b.events]) };
  }

  private putEnd(put: PutOperation, located: Uint8Array, given: SeenContext, outcome: PutOutcome): PutEnd {
    if (!outcome.ok) return { type: 'failed', failure: outcome.failure };
    const { dot, timestamp, acks, attempts } = outcome;
    this.options.history.noteDot(dot, attempts[attempts.length - 1]!, `the receipt of put ${put.id}`);
    const parts: ReceiptParts = { key: keyHash(located), given, outcome, nodeNames: [] };
    const text = this.options.receiptToken?.(parts, this.options.history) ?? new PutReceipt(parts).causalContext;
    return {
      type: 'acknowledged',
      dot,
      timestamp,
      acks,
      token: { text, events: new Set([...put.past, ...put.events]) },
    };
  }

  private readToken(located: Uint8Array, record: Uint8Array, siblings: readonly ReadSibling[]): Token | undefined {
    if (record.length === 0) return undefined;
    const object = decodeRecord(record);
    const text = encodeToken(keyHash(located), object.context, highestTimestamp(object));
    const { history } = this.options;
    return { text, events: history.seenIn(siblings) };
  }

  private noteAttempt(ticket: number, request: CoordinatorRequest): void {
    if (request.type !== 'put') return;
    const put = this.beginning ?? this.underWay.get(ticket);
    assert(put !== undefined, 'every attempt belongs to a put under way');
    if (request.put.condition !== 'none') put.conditional = true;
    this.options.history.noteAttempt(put, (request as Put).put.attempt);
  }

  private running(): Client {
    assert(this.client !== undefined, 'requests are made of a client that has started');
    return this.client;
  }
}

/** Hears under which attempts the client tries its puts. */
class AttemptTap extends TappedContext {
  private readonly hear: (correlation: number, request: CoordinatorRequest) => void;

  constructor(inner: ActorContext, hear: (correlation: number, request: CoordinatorRequest) => void) {
    super(inner);
    this.hear = hear;
  }

  override request<Request, Answer>(to: ActorRef<Request, Answer>, message: Request, correlation: number): void {
    this.hear(correlation, message as CoordinatorRequest);
    super.request(to, message, correlation);
  }
}

function bodyOf(value: string): Uint8Array {
  return encodeBody({ contentType: 'text/plain; charset=utf-8', metadata: {}, value: utf8(value) });
}

/** A token as requests carry it. */
function bytesOf(token: Token | undefined, located: Uint8Array): Uint8Array {
  if (token === undefined) return EMPTY;
  const { context, highestTimestamp } = decodeToken(token.text, keyHash(located));
  return encodeContext(context, highestTimestamp);
}
