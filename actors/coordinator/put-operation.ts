/**
 * A put under way at a coordinator: one vnode mints, the minted object goes to the holders of the other slots while that
 * vnode's commit runs, and the reply leaves when `quorum/put-quorum.ts` says so. A fallback holds its slot through the
 * hint keeper of its node. After the reply the put goes on until every slot is stored, or a hint stands for it.
 */
import { sameEvent } from '../../src/clocks/event-id.js';
import { partitionOf } from '../../src/codec/key.js';
import type {
  Ack,
  CoordinatorAnswer,
  CoordinatorRequest,
  HintPlace,
  OperationFailure,
} from '../../src/messages/coordinator-messages.js';
import type { MintedVersion } from '../../src/messages/minted-version.js';
import type { ObjectPut } from '../../src/messages/object-request.js';
import type { NotMinted, VnodeAnswer, VnodeRequest } from '../../src/messages/vnode-messages.js';
import type { AttemptWindow } from '../../src/quorum/attempt-window.js';
import { LAST_RESORT, PutQuorum } from '../../src/quorum/put-quorum.js';
import { hasSlot, NO_SLOTS, type PlaceSet, withoutSlot, withSlot } from '../../src/quorum/slots.js';
import { toldOf } from '../../src/quorum/tally.js';
import { type ActorContext, type Failure, type Incoming, neverReceived } from '../../src/runtime/actor.js';
import { type Desk, type Operation, WRITE } from './desk.js';

type PutRequest = CoordinatorRequest & { readonly type: 'put' };

const NO_HINTS: readonly HintPlace[] = [];

/** How long after its deadline a put that succeeded goes on to place the hints that are missing, in milliseconds. */
const GRACE_MS = 1_000;
/** A put whose deadline comes so soon after a refusal has failed for want of room, in milliseconds: some retries long. */
const JUST_REFUSED_MS = 50;
/** How often the minted object is read again because somebody has reaped tombstones since it was read. */
const MAX_READ_AGAIN = 3;

export class PutOperation implements Operation {
  deadline: number;
  private readonly beganAt: number;
  private readonly desk: Desk;
  private readonly incoming: Incoming<CoordinatorAnswer>;
  private readonly partition: number;
  /** Place → node. */
  private readonly order: readonly number[];
  private readonly put: ObjectPut;
  private readonly durable: boolean;
  private readonly quorum: PutQuorum;
  private ticket = -1;
  /** Further copies of the request, which get the same answer. */
  private copies: Incoming<CoordinatorAnswer>[] | null = null;
  /** The minted object, and what the vnodes are sent of it. */
  private minted: MintedVersion | null = null;
  private write: VnodeRequest | null = null;
  /** Places that refused for lack of room in a mailbox. */
  private refusals = 0;
  /** When one last did, in monotonic milliseconds; and at the deadline, whether that was just before. */
  private refusedAt = Number.NEGATIVE_INFINITY;
  private isWithoutRoom = false;
  /** Times that a place could not store it, and how many of them for lack of room on its disk. */
  private storageFailures = 0;
  private fullDisks = 0;
  /** Places that could not mint because their record of the key is unreadable. */
  private corrupt = 0;
  private isMinterDead = false;
  private late = false;
  private inGrace = false;
  /** When the minted object was known; −1 once more than the first holders were asked. */
  private mintedAt = -1;
  /** Places that had no room, and are to be asked again. */
  private refused: PlaceSet = NO_SLOTS;
  /** Places that have refused the object as read before a reaping: they get what the minter has now. Mostly none. */
  private stale: number[] | null = null;
  private readAgain = 0;

  private constructor(desk: Desk, message: PutRequest, incoming: Incoming<CoordinatorAnswer>, context: ActorContext) {
    this.desk = desk;
    this.incoming = incoming;
    this.beganAt = context.now();
    this.deadline = this.beganAt + message.timeoutMs;
    this.partition = partitionOf(message.put.key);
    this.order = desk.orders[this.partition]!;
    this.put = message.put;
    this.durable = message.dw > 0;
    this.quorum = new PutQuorum(desk.reachOf(this.partition), message);
  }

  /** @param attempts - the puts that came to this coordinator before */
  static begin(
    desk: Desk,
    attempts: AttemptWindow,
    message: PutRequest,
    incoming: Incoming<CoordinatorAnswer>,
    context: ActorContext,
  ): void {
    if (attempts.see(message.put.attempt) !== 'new') {
      PutOperation.join(desk, message, incoming, context);
      return;
    }
    const operation = new PutOperation(desk, message, incoming, context);
    operation.ticket = desk.operations.add(operation);
    if (operation.ticket === -1) {
      desk.refuse(incoming, context);
      return;
    }
    desk.counters.puts++;
    operation.act(context);
  }

  /**
   * A transport that resends has delivered this put before. Acting on it again could mint it at a second vnode, or after
   * it had failed for certain.
   */
  private static join(
    desk: Desk,
    { put }: PutRequest,
    incoming: Incoming<CoordinatorAnswer>,
    context: ActorContext,
  ): void {
    let joined = false;
    desk.operations.forEach((operation) => {
      if (!(operation instanceof PutOperation) || operation.quorum.replied) return;
      if (!sameEvent(operation.put.attempt, put.attempt)) return;
      operation.copies ??= [];
      operation.copies.push(incoming);
      joined = true;
    });
    if (joined) return;
    // The first copy has had the outcome; should that answer be lost, this one claims nothing.
    const failure: OperationFailure = { why: 'timeout', quorum: 'w', got: 0, wanted: 0, definite: false };
    context.reply(incoming, { type: 'failed', failure });
  }

  get isReplied(): boolean {
    return this.quorum.replied;
  }

  get bytes(): number {
    return this.put.body.length + (this.minted?.record.length ?? 0);
  }

  nodeAt(place: number): number {
    return this.order[place]!;
  }

  awaits(place: number): boolean {
    return !hasSlot(this.refused, place) && this.quorum.isHopedFor(place);
  }

  answered(place: number, answer: VnodeAnswer, context: ActorContext): void {
    const { quorum } = this;
    if (place < LAST_RESORT) {
      this.desk.answered(WRITE, this.order[place]!, place < this.desk.n ? this.mintedAt : -1, context);
    }
    switch (answer.type) {
      case 'minted':
        this.minted ??= answer;
        if (!quorum.isMinted) this.mintedAt = context.now();
        quorum.onMinted();
        break;
      case 'wrote':
        quorum.onWrote(place, answer.durable);
        break;
      case 'repeated':
        // Minted by an earlier copy of this message: what the replica has now goes to the others all the same.
        this.minted ??= answer;
        quorum.onMinted();
        quorum.onWrote(place, false);
        break;
      case 'not-minted':
        if (this.notMinted(answer.why, context)) return;
        break;
      case 'stale-fence':
        this.refusedAsStale(place, context);
        break;
      case 'object':
        this.wasReadAgain(answer, context);
        break;
      case 'nothing':
        this.cannotReadAgain();
        break;
      case 'corrupt':
        quorum.onFailed(place, false);
        if (place === quorum.minter) this.cannotReadAgain();
        break;
      case 'no-storage':
        this.noteStorageFailure(answer.full);
        this.notStored(place);
        break;
      case 'not-ready':
        this.notStored(place);
        break;
      default:
        throw new TypeError(`a put was answered with '${answer.type}'`);
    }
    this.act(context);
  }

  failed(place: number, failure: Failure, context: ActorContext): void {
    const { quorum } = this;
    if (place < LAST_RESORT) this.desk.lost(this.order[place]!, failure, context);
    if (place === quorum.minter) {
      this.cannotReadAgain();
      if (failure === 'died') this.isMinterDead = true;
    }
    if (failure === 'refused') {
      this.refusals++;
      this.refusedAt = context.now();
      // Overload passes: the replica is to have the write itself, if there is time.
      if (!this.isToMint(place) && place < LAST_RESORT && !this.inGrace) {
        this.refused = withSlot(this.refused, place);
        this.desk.retryLater(this.ticket, place, context);
        return;
      }
    }
    if (failure === 'unreachable') quorum.onUnreachable(place);
    if (failure === 'commit-failed' || failure === 'commit-full') this.noteStorageFailure(failure === 'commit-full');
    if (!this.isToMint(place)) quorum.onFailed(place, !neverReceived(failure));
    else if (neverReceived(failure)) quorum.onNotMinted(false, failure !== 'refused');
    else quorum.onMinterLost();
    this.act(context);
  }

  /** While nothing is minted nobody can be asked instead: only the client can make another attempt that covers this one. */
  silent(place: number, context: ActorContext): void {
    if (!this.quorum.isMinted) return;
    this.mintedAt = -1;
    this.quorum.onSilent(place);
    this.act(context);
  }

  retry(place: number, context: ActorContext): void {
    if (!hasSlot(this.refused, place)) return;
    this.refused = withoutSlot(this.refused, place);
    if (this.quorum.isHopedFor(place)) this.askToStore(place, this.quorum.slotOf(place), context);
  }

  expired(context: ActorContext): void {
    this.noteSilence(context);
    if (this.quorum.replied && !this.inGrace) {
      // It has succeeded, and somebody has not acknowledged all the time: others are to keep hints for those.
      this.inGrace = true;
      this.deadline = context.now() + GRACE_MS;
      this.mintedAt = -1;
      for (let place = 0; place < this.order.length; place++) {
        if (this.quorum.isHopedFor(place)) this.quorum.onSilent(place);
      }
      this.act(context);
      return;
    }
    this.late = true;
    this.isWithoutRoom = context.now() - this.refusedAt < JUST_REFUSED_MS;
    this.quorum.onDeadline();
    this.act(context);
    this.desk.operations.remove(this.ticket);
  }

  /** Whoever has not answered in all that time counts as one who does not. */
  private noteSilence(context: ActorContext): void {
    for (let place = 0; place < this.order.length; place++) {
      if (this.awaits(place)) this.desk.unanswered(this.order[place]!, context);
    }
  }

  /** Somebody has forgotten deletions since the object was read, and must not be told of what they deleted: read it again. */
  private refusedAsStale(place: number, context: ActorContext): void {
    const { quorum, desk, ticket } = this;
    const { minter } = quorum;
    if (this.minted === null || minter >= desk.n || this.readAgain === MAX_READ_AGAIN) {
      quorum.onFailed(place, false);
      return;
    }
    if (this.stale !== null) {
      this.stale.push(place);
      return;
    }
    this.stale = [place];
    this.readAgain++;
    const message = { type: 'read', key: this.put.key, digestOnly: false } as const;
    desk.askVnode(WRITE, this.order[minter]!, this.partition, message, ticket, minter, context);
  }

  /** What the minter has now goes to those who refused what it had. */
  private wasReadAgain({ record, tag }: VnodeAnswer & { type: 'object' }, context: ActorContext): void {
    const { stale } = this;
    if (this.minted === null || stale === null) return;
    this.stale = null;
    this.minted = { ...this.minted, record, tag };
    this.write = null;
    for (const place of stale) {
      if (place >= LAST_RESORT) this.askToStore(LAST_RESORT, place - LAST_RESORT, context);
      else this.askToStore(place, this.quorum.slotOf(place), context);
    }
  }

  private cannotReadAgain(): void {
    const { stale } = this;
    if (stale === null) return;
    this.stale = null;
    for (const place of stale) this.quorum.onFailed(place, false);
  }

  private isToMint(place: number): boolean {
    return this.minted === null && place === this.quorum.minter;
  }

  /** True if the put has ended by it. */
  private notMinted(why: NotMinted, context: ActorContext): boolean {
    const { quorum } = this;
    switch (why) {
      case 'late':
        quorum.onNotMinted();
        return false;
      case 'corrupt':
        this.corrupt++;
        quorum.onNotMinted(true);
        return false;
      case 'doubtful':
        quorum.onMinterLost();
        return false;
      case 'too-many-siblings':
      case 'object-too-large':
      case 'precondition-failed':
      case 'voided':
        // Another replica is not asked to overrule it. But if this one may have minted when it was asked before, nobody
        // can tell what came of that.
        if (!quorum.definite) {
          quorum.onMinterLost();
          return false;
        }
        this.fail(why, context);
        return true;
    }
  }

  /** Does what the quorum wants, until it wants nothing. */
  private act(context: ActorContext): void {
    const { quorum } = this;
    for (;;) {
      switch (quorum.next()) {
        case 'mint':
          this.askToMint(quorum.place, quorum.slot, context);
          break;
        case 'store':
          this.askToStore(quorum.place, quorum.slot, context);
          break;
        case 'succeeded':
          this.succeed(context);
          break;
        case 'failed':
          this.fail(this.whyFailed(), context);
          return;
        case 'pending':
          if (quorum.replied && quorum.settled) this.desk.operations.remove(this.ticket);
          return;
      }
    }
  }

  private askToMint(place: number, slot: number, context: ActorContext): void {
    const { desk, order, durable, ticket, quorum } = this;
    // One that has stored it is to say what: should it have forgotten the attempt meanwhile, it must not mint it anew,
    // for what it minted may have been replaced. Nobody mints a put whose time is over.
    const put = quorum.definite ? this.put : { ...this.put, expiresAtMs: 0 };
    if (place < desk.n) {
      desk.askVnode(WRITE, order[place]!, this.partition, { type: 'mint', put, durable }, ticket, place, context);
    } else {
      desk.askKeeper(WRITE, order[place]!, { type: 'mint', owner: order[slot]!, put, durable }, ticket, place, context);
    }
  }

  private askToStore(place: number, slot: number, context: ActorContext): void {
    const { desk, order, durable, ticket } = this;
    const { key } = this.put;
    const { record, tag } = this.minted!;
    if (place < desk.n) {
      this.write ??= { type: 'write', key, record, durable, tag };
      desk.askVnode(WRITE, order[place]!, this.partition, this.write, ticket, place, context);
      return;
    }
    const isLastResort = place === LAST_RESORT;
    desk.askKeeper(
      WRITE,
      isLastResort ? desk.node : order[place]!,
      { type: 'keep', owner: order[slot]!, key, record, durable, mayWait: this.quorum.isSpare, tag },
      ticket,
      isLastResort ? LAST_RESORT + slot : place,
      context,
    );
  }

  private succeed(context: ActorContext): void {
    const { dot, timestamp } = this.minted!;
    this.reply({ type: 'put-done', dot, timestamp, acks: this.acks(), hints: this.hints() }, context);
  }

  private fail(why: OperationFailure['why'], context: ActorContext): void {
    this.desk.counters.failed++;
    const { definite, unmet } = this.quorum;
    this.reply(
      { type: 'failed', failure: { why, ...toldOf(unmet, why === 'unavailable' || why === 'died'), definite } },
      context,
    );
    this.desk.operations.remove(this.ticket);
  }

  private reply(answer: CoordinatorAnswer, context: ActorContext): void {
    context.reply(this.incoming, answer);
    const tookMs = context.now() - this.beganAt;
    this.desk.budget.requestTook(tookMs);
    if (answer.type === 'put-done') this.desk.latencies.puts.record(tookMs);
    if (this.copies === null) return;
    for (const copy of this.copies) context.reply(copy, answer);
    this.copies = null;
  }

  private acks(): Ack[] {
    const { quorum, order } = this;
    const { holders } = quorum;
    const acks: Ack[] = [];
    for (let place = 0; place < order.length; place++) {
      if (!hasSlot(holders, place)) continue;
      const role = place < this.desk.n ? 'primary' : 'fallback';
      acks.push({ node: order[place]!, role, durable: quorum.isDurable(place) });
    }
    return acks;
  }

  private hints(): readonly HintPlace[] {
    const { quorum, order } = this;
    const { hintHolders } = quorum;
    if (hintHolders === NO_SLOTS) return NO_HINTS;
    const hints: HintPlace[] = [];
    for (let place = this.desk.n; place < order.length; place++) {
      if (hasSlot(hintHolders, place)) hints.push({ owner: order[quorum.slotOf(place)]!, holder: order[place]! });
    }
    return hints;
  }

  /** For certain. */
  private notStored(place: number): void {
    if (this.isToMint(place)) this.quorum.onNotMinted();
    else this.quorum.onFailed(place, false);
  }

  private noteStorageFailure(full: boolean): void {
    this.storageFailures++;
    if (full) this.fullDisks++;
  }

  private whyFailed(): OperationFailure['why'] {
    const { got } = this.quorum;
    if (this.corrupt === this.desk.n) return 'corrupt';
    if (this.late && this.isWithoutRoom) return 'overloaded';
    if (this.late) return got === 0 ? 'timeout' : 'not-met';
    if (this.refusals > 0) return 'overloaded';
    if (this.storageFailures > 0) return this.fullDisks === this.storageFailures ? 'storage-full' : 'storage';
    if (got > 0) return 'not-met';
    return this.isMinterDead ? 'died' : 'unavailable';
  }
}
