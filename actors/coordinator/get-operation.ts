/**
 * A get under way at a coordinator: one replica gives the object, the others its digest, and what they hold is merged;
 * `quorum/get-quorum.ts` says when. Fallbacks answer through their nodes' hint keepers. Primaries that were asked and hold
 * less are repaired after the reply, fallbacks never.
 *
 * With a session the result must cover what the session has seen: if the quorum's answers do not, everybody is asked.
 */
import { contextCovers, EMPTY_CONTEXT } from '../../src/clocks/causal-context.js';
import { decodeContext } from '../../src/codec/context.js';
import { partitionOf } from '../../src/codec/key.js';
import { decodeRecord, digestHigh, digestLow, sameDigest } from '../../src/codec/record.js';
import { mergeRecords } from '../../src/codec/record-update.js';
import type { CoordinatorAnswer, CoordinatorRequest } from '../../src/messages/coordinator-messages.js';
import type { VnodeAnswer, VnodeRequest } from '../../src/messages/vnode-messages.js';
import { coversButForReduced } from '../../src/objects/reduction.js';
import { GetQuorum, type GetVerdict } from '../../src/quorum/get-quorum.js';
import { hasSlot, lowestSlot, NO_SLOTS, withoutSlot } from '../../src/quorum/slots.js';
import type { ActorContext, Incoming } from '../../src/runtime/actor.js';
import { type Desk, READ } from './desk.js';
import { ReadOperation } from './read-operation.js';

type GetRequest = CoordinatorRequest & { readonly type: 'get' };

const NOTHING_STORED = new Uint8Array(0);

export class GetOperation extends ReadOperation {
  protected readonly quorum: GetQuorum;
  private readonly key: Uint8Array;
  private readonly session: Uint8Array;
  /** By place: its object, null if it has none, undefined if unknown. */
  private readonly records: (Uint8Array | null | undefined)[] = [];
  /** The lowest tag of the objects that came. */
  private tag = Number.MAX_SAFE_INTEGER;
  /** R replicas were read, and did not cover the session. */
  private isStale = false;
  /** Somebody may lack what he had acknowledged. */
  private someoneIsBehind = false;

  private constructor(desk: Desk, message: GetRequest, incoming: Incoming<CoordinatorAnswer>, context: ActorContext) {
    super(desk, partitionOf(message.key), message.timeoutMs, incoming, context);
    this.key = message.key;
    this.session = message.session;
    this.quorum = new GetQuorum(desk.reachOf(this.partition), message);
  }

  static begin(desk: Desk, message: GetRequest, incoming: Incoming<CoordinatorAnswer>, context: ActorContext): void {
    const operation = new GetOperation(desk, message, incoming, context);
    operation.ticket = desk.operations.add(operation);
    if (operation.ticket === -1) {
      desk.refuse(incoming, context);
      return;
    }
    desk.counters.gets++;
    const { firstAsked, firstFull } = operation.quorum;
    for (let left = firstAsked; left !== NO_SLOTS; ) {
      const place = lowestSlot(left);
      left = withoutSlot(left, place);
      operation.ask(place, place !== firstFull, context);
    }
  }

  answered(place: number, answer: VnodeAnswer, context: ActorContext): void {
    const { quorum } = this;
    this.desk.answered(READ, this.order[place]!, this.more || place >= this.desk.n ? -1 : this.beganAt, context);
    let verdict: GetVerdict;
    if ('behind' in answer) this.someoneIsBehind ||= answer.behind;
    switch (answer.type) {
      case 'object':
        this.records[place] = answer.record;
        this.tag = Math.min(this.tag, answer.tag);
        verdict = quorum.onObject(place, digestHigh(answer.record), digestLow(answer.record), answer.behind);
        break;
      case 'nothing':
        this.records[place] = null;
        verdict = quorum.onNothing(place, answer.behind);
        break;
      case 'digest':
        verdict = quorum.onDigest(place, answer.high, answer.low, answer.behind);
        if (verdict === 'fetch') this.desk.counters.digestMismatches++;
        break;
      case 'corrupt':
        verdict = quorum.onCorrupt(place);
        break;
      default:
        throw new TypeError(`a read was answered with '${answer.type}'`);
    }
    this.act(verdict, context);
  }

  protected act(verdict: GetVerdict, context: ActorContext, late = false): void {
    switch (verdict) {
      case 'pending':
        return;
      case 'fetch':
        this.more = true;
        this.ask(this.quorum.placeToAsk, false, context);
        return;
      case 'succeeded':
        this.succeed(mergeAll(this.records), context);
        return;
      case 'failed':
        this.fail(late, context);
        return;
    }
  }

  private succeed(merged: Uint8Array | null, context: ActorContext): void {
    if (this.session.length > 0 && !coversSession(merged, this.session)) {
      this.askEveryone(context);
      return;
    }
    const { mayMissHints } = this.quorum;
    this.end({ type: 'got', record: merged ?? NOTHING_STORED, mayMissHints }, context);
    if (merged !== null) this.repair(merged, context);
  }

  /** What was read is not what the session has seen: whoever is left may have it. */
  private askEveryone(context: ActorContext): void {
    const { quorum } = this;
    this.isStale = true;
    quorum.reopen();
    for (let place = quorum.nextToHear(); place !== -1; place = quorum.nextToHear()) this.ask(place, false, context);
    if (!quorum.awaits) this.fail(false, context);
  }

  private fail(late: boolean, context: ActorContext): void {
    if (this.isStale && this.isAllThereIs()) {
      const merged = mergeAll(this.records);
      if (merged === null || coversSessionButForReduced(merged, this.session)) {
        this.end({ type: 'got', record: merged ?? NOTHING_STORED, mayMissHints: false }, context);
        if (merged !== null) this.repair(merged, context);
        return;
      }
    }
    this.end(this.failure(late, this.isStale), context);
    // Too few were readable: what there is heals the others, and the next read may succeed.
    const readable = this.quorum.healsWhenFailed ? mergeAll(this.records) : null;
    if (readable !== null) this.repair(readable, context);
  }

  /**
   * True if every replica and everybody who may stand in for one has answered, surely. What the session has seen and they
   * have not was deleted, and the deletion is forgotten, or it was left out of a context: either takes all replicas, and a
   * round. Where there was none, it is lost.
   */
  private isAllThereIs(): boolean {
    if (this.someoneIsBehind || !this.desk.mayBeForgotten(this.partition)) return false;
    for (let place = 0; place < this.order.length; place++) {
      if (this.records[place] === undefined && !this.quorum.agreesWithReference(place)) return false;
    }
    return true;
  }

  private ask(place: number, digestOnly: boolean, context: ActorContext): void {
    const { desk, order, key, ticket } = this;
    const message = { type: 'read', key, digestOnly } as const;
    if (place < desk.n) desk.askVnode(READ, order[place]!, this.partition, message, ticket, place, context);
    else desk.askKeeper(READ, order[place]!, message, ticket, place, context);
  }

  private end(answer: CoordinatorAnswer, context: ActorContext): void {
    context.reply(this.incoming, answer);
    const tookMs = context.now() - this.beganAt;
    this.desk.budget.requestTook(tookMs);
    if (answer.type === 'got') this.desk.latencies.gets.record(tookMs);
    this.desk.operations.remove(this.ticket);
  }

  /** Sends the merged object to every asked primary that is known to hold something else. After the reply. */
  private repair(merged: Uint8Array, context: ActorContext): void {
    const { quorum, records, order } = this;
    let message: VnodeRequest | null = null;
    for (let place = 0; place < this.desk.n; place++) {
      const record = records[quorum.agreesWithReference(place) ? quorum.reference : place];
      const corrupt = hasSlot(quorum.corrupt, place);
      if (record === undefined && !corrupt) continue;
      if (!corrupt && record !== null && record !== undefined && sameDigest(record, merged)) continue;
      if (record === null && quorum.isBehind(place)) this.desk.lacks(this.partition, place, context);
      message ??= { type: 'write', key: this.key, record: merged, durable: false, tag: this.tag };
      this.desk.repair(order[place]!, this.partition, message, context);
    }
  }
}

function coversSession(record: Uint8Array | null, session: Uint8Array): boolean {
  const seen = decodeContext(session).context;
  return contextCovers(record === null ? EMPTY_CONTEXT : decodeRecord(record).context, seen);
}

function coversSessionButForReduced(record: Uint8Array, session: Uint8Array): boolean {
  return coversButForReduced(decodeRecord(record), decodeContext(session).context);
}

function mergeAll(records: readonly (Uint8Array | null | undefined)[]): Uint8Array | null {
  let merged: Uint8Array | null = null;
  for (const record of records) {
    if (record === null || record === undefined) continue;
    merged = merged === null ? record : mergeRecords(merged, record);
  }
  return merged;
}
