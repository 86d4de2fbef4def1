/**
 * The exchanger: compares its node's replicas with those of the other nodes, and has what differs merged. When which two
 * are compared, how, and how a tree is kept is decided in `src/anti-entropy`.
 *
 *     leader: schedule ──pair──▶ exchange ──questions──▶ exchangers of both nodes ──▶ their trees and records
 *                                         ──repairs────▶ vnodes of both nodes
 *
 * Beside what it leads (`exchange-leader.ts`) and what it answers (`exchange-replica.ts`) it has trees built, records
 * that have rotted healed (`rot-healer.ts`), and sees to it that replicas that were lost are compared at once.
 *
 * Everything that is more than a look at a tree takes a slice of the node's background budget. While nothing is due it
 * wakes up about once a second, to see whether something is.
 *
 * Lives once per node. Hears `ExchangeRequest`; asks other exchangers and vnodes.
 * Source: Dynamo (SOSP 2007), §4.7 (replica synchronisation).
 */
import { isWithin } from '../src/anti-entropy/schedule.js';
import type { ExchangeReply, ExchangeRequest, RefillPair } from '../src/messages/exchange-messages.js';
import type { Actor, ActorContext, Failure, Incoming } from '../src/runtime/actor.js';
import { ExchangeLeader, type ExchangeLeaderOptions, minuteOf } from './exchange-leader.js';
import { ExchangePeers, NOBODY, type PeerAnswer } from './exchange-peers.js';
import { ExchangeReplica, type ExchangeReplicaOptions } from './exchange-replica.js';
import { RotHealer } from './rot-healer.js';
import { Wakeup } from './wakeup.js';

export type ExchangerOptions = ExchangeLeaderOptions & ExchangeReplicaOptions;

/** How often it looks whether something is due, in milliseconds: at most, and at least. */
const MAX_TICK_MS = 1_000;
const MIN_TICK_MS = 20;
/** While nothing is due, nor awaited, the others are looked at once in so many ticks: a look wakes their threads. */
const TICKS_PER_LOOK = 10;
/** How soon it looks again for what hashing has to bring. */
const SOON_MS = 5;
const TICK = 'tick';
const RESUME = 'resume';

export class Exchanger implements Actor<ExchangeRequest, ExchangeReply, PeerAnswer> {
  private readonly options: ExchangerOptions;
  private readonly peers: ExchangePeers;
  private readonly replica: ExchangeReplica;
  private readonly leader: ExchangeLeader;
  private readonly healer: RotHealer;
  private readonly tickMs: number;
  /** True if there is more than one replica of anything. */
  private readonly isReplicated: boolean;
  private ticksUntilLook = 0;
  /** Resumes what is under way. */
  private readonly resume = new Wakeup(RESUME);

  constructor(options: ExchangerOptions, context: ActorContext) {
    this.options = options;
    const { node, preferenceLists, intervalMs, trees } = options;
    const nodes = Math.max(
      node,
      ...preferenceLists.flatMap(({ primaries, fallbacks }) => [...primaries, ...fallbacks]),
    );
    this.peers = new ExchangePeers(node, nodes + 1);
    this.replica = new ExchangeReplica(options, context);
    this.leader = new ExchangeLeader(options, this.peers, (ms) => this.resume.at(ms, context), context);
    this.healer = new RotHealer({ ...options, rotten: trees.rotten }, this.peers);
    this.isReplicated = preferenceLists.some(({ primaries }) => primaries.length > 1);
    this.tickMs = Math.max(MIN_TICK_MS, Math.min(MAX_TICK_MS, intervalMs / 64));
  }

  start(context: ActorContext): void {
    this.tick(context);
  }

  receive(message: ExchangeRequest, incoming: Incoming<ExchangeReply>, context: ActorContext): void {
    if (message.type === 'exchange') this.replica.asked(message, incoming, context);
    else {
      this.note(message, context);
      context.reply(incoming, { type: 'noted' });
    }
    this.work(context);
  }

  answered(correlation: number, answer: PeerAnswer, _interim: boolean, context: ActorContext): void {
    this.peers.answered(correlation, answer, context);
  }

  failed(correlation: number, failure: Failure, context: ActorContext): void {
    this.peers.failed(correlation, failure, context);
  }

  timer(message: unknown, context: ActorContext): void {
    if (message === TICK) {
      this.tick(context);
      return;
    }
    this.resume.came();
    this.work(context);
    this.leader.conduct(context);
  }

  private note(message: Exclude<ExchangeRequest, { type: 'exchange' }>, context: ActorContext): void {
    switch (message.type) {
      case 'rebuild':
        this.options.trees.get(message.partition)?.rebuild();
        return;
      case 'equal':
        this.replica.foundEqual(message, context);
        return;
      case 'refill': {
        const { node } = message;
        const wanted = new Set(message.pairs.map(({ partition, other }) => pairNumber(partition, other)));
        this.leader.refill(context, ({ partition, first, second }) => {
          if (first === node) return wanted.has(pairNumber(partition, second));
          return second === node && wanted.has(pairNumber(partition, first));
        });
        this.leader.conduct(context);
        return;
      }
    }
  }

  private tick(context: ActorContext): void {
    const awaited = this.options.record.takeAwaited();
    if (awaited !== undefined) this.leader.hurry(context, awaited);
    const { refilling } = this.options.identity;
    const isAwaited = awaited !== undefined || refilling.size > 0;
    if (--this.ticksUntilLook <= 0 || isAwaited || this.leader.isActive(context)) {
      this.ticksUntilLook = TICKS_PER_LOOK;
      this.peers.observe(context);
    }
    if (refilling.size > 0) this.callForRefill(context);
    this.lookAtAges(context);
    this.leader.tick(context);
    this.healer.tick();
    this.work(context);
    this.leader.conduct(context);
    this.options.counters.exchangeLagMs = this.replica.lagMs(context);
    context.after(this.tickMs, TICK);
  }

  /**
   * Whether or not anybody asks for them, trees are built anew once they are old: who reads all records finds those that
   * have rotted. A replica that is the only one is never compared, and nobody could heal it: it has no tree.
   */
  private lookAtAges(context: ActorContext): void {
    const { trees, window } = this.options;
    if (this.isReplicated && isWithin(window, minuteOf(context))) trees.lookAtAges(context.wallClock());
  }

  /** Has whoever leads the exchanges of the replicas that were lost begin with them. */
  private callForRefill(context: ActorContext): void {
    const { node, identity, preferenceLists, trees } = this.options;
    const byLeader = new Map<number, RefillPair[]>();
    for (const partition of identity.refilling) {
      const { primaries } = preferenceLists[partition]!;
      const leader = primaries.find((one) => this.peers.isUp(one, context.now()))!;
      // What lies there is little, and everybody waits for its tree.
      trees.get(partition)?.buildIfNone();
      const pairs = byLeader.get(leader) ?? [];
      byLeader.set(leader, pairs);
      for (const other of primaries) {
        if (other !== node && trees.get(partition)?.equalWith.has(other) !== true) pairs.push({ partition, other });
      }
    }
    for (const [leader, pairs] of byLeader) {
      this.peers.askExchanger(leader, { type: 'refill', node, pairs }, NOBODY, context);
    }
  }

  /** Answers what can be answered now, heals what is unreadable, and goes on building trees. */
  private work(context: ActorContext): void {
    const { trees, budget } = this.options;
    const now = context.now();
    this.replica.work(context);
    this.healer.work(context);
    const buildable = trees.buildable(now);
    if (buildable !== undefined && budget.take(now)) buildable.build(budget.hashingShare, context);
    if (trees.builds.size > 0 || this.replica.isHolding || this.healer.isWaiting) {
      this.resume.at(now + SOON_MS, context);
    }
  }
}

/** One number for a partition and a node of it. */
function pairNumber(partition: number, node: number): number {
  return partition * 2 ** 16 + node;
}
