/**
 * What a node answers to those who lead exchanges of its replicas: from a tree at once, from records when hashing has
 * brought them; and what it learns from them.
 */
import { type ExchangeAnswer, type ExchangeAsk, leavesOf } from '../src/anti-entropy/exchange-asks.js';
import { PairAges } from '../src/anti-entropy/pair-ages.js';
import { assert } from '../src/base/assert.js';
import type { ExchangeReply, ExchangeRequest, Root } from '../src/messages/exchange-messages.js';
import type { PreferenceList } from '../src/ring/preference-list.js';
import type { ActorContext, Incoming } from '../src/runtime/actor.js';
import type { Storage } from '../src/storage/storage.js';
import type { NodeIdentity } from './node-identity.js';
import type { ReplicaTree } from './replica-tree.js';
import type { ReplicaTrees } from './replica-trees.js';

/** A question waits for hashing so long at most: less than a node that stops waits for what it has in hand. */
const HELD_MS = 500;

export interface ExchangeReplicaOptions {
  /** This node's index in the ring. */
  readonly node: number;
  readonly preferenceLists: readonly PreferenceList[];
  readonly objects: Storage;
  readonly identity: NodeIdentity;
  readonly trees: ReplicaTrees;
}

/** A question that cannot be answered before hashing has come so far. */
interface Held {
  readonly incoming: Incoming<ExchangeReply>;
  /** When it is answered as not ready. */
  readonly untilMs: number;
  answer(): ExchangeReply | undefined;
}

export class ExchangeReplica {
  private readonly options: ExchangeReplicaOptions;
  private readonly ages: PairAges;
  private held: Held[] = [];

  constructor(options: ExchangeReplicaOptions, context: ActorContext) {
    this.options = options;
    const primaries = options.preferenceLists.map((list) => list.primaries);
    this.ages = new PairAges(options.node, primaries, context.now());
  }

  /** For how long some replica of this node has not been found equal to another one's, in milliseconds. */
  lagMs(context: ActorContext): number {
    return Math.floor(this.ages.longestMs(context.now()));
  }

  /** True while questions wait for hashing: look again soon. */
  get isHolding(): boolean {
    return this.held.length > 0;
  }

  asked(
    { partition, leader, ask }: ExchangeRequest & { type: 'exchange' },
    incoming: Incoming<ExchangeReply>,
    context: ActorContext,
  ): void {
    const tree = this.options.trees.get(partition);
    if (tree === undefined) this.reply(incoming, { type: 'not-ready' }, context);
    else if (!tree.lease.admits(this.placeOf(leader, partition), context.now()))
      this.reply(incoming, { type: 'busy' }, context);
    else this.answer(ask, leader, tree, incoming, context);
  }

  /** A replica that was found equal to all others lacks nothing that any of them has. */
  foundEqual({ partition, leader, other, root }: ExchangeRequest & { type: 'equal' }, context: ActorContext): void {
    const { identity, node, preferenceLists, trees } = this.options;
    const tree = trees.get(partition);
    tree?.lease.ended(this.placeOf(leader, partition));
    if (tree === undefined || !sameRoot(tree.told.get(leader), root)) return;
    this.ages.foundEqual(partition, other, context.now());
    if (!identity.refilling.has(partition)) return;
    tree.equalWith.add(other);
    const { primaries } = preferenceLists[partition]!;
    if (!primaries.every((one) => one === node || tree.equalWith.has(one))) return;
    identity.refilled(partition);
    // It may be lost once more.
    tree.equalWith.clear();
  }

  /** Answers what can be answered by now. */
  work(context: ActorContext): void {
    if (this.held.length === 0) return;
    const { held } = this;
    this.held = [];
    for (const one of held) {
      const late = context.now() > one.untilMs;
      const answer = one.answer() ?? (late ? ({ type: 'not-ready' } as const) : undefined);
      if (answer === undefined) this.held.push(one);
      else this.reply(one.incoming, answer, context);
    }
  }

  /** Of a leader among the primaries of a partition. */
  private placeOf(leader: number, partition: number): number {
    const place = this.options.preferenceLists[partition]!.primaries.indexOf(leader);
    assert(place >= 0, 'a primary leads');
    return place;
  }

  private answer(
    ask: ExchangeAsk,
    leader: number,
    tree: ReplicaTree,
    incoming: Incoming<ExchangeReply>,
    context: ActorContext,
  ): void {
    const { noted } = this.options.trees.log;
    let listed: ExchangeAnswer | undefined;
    if (ask.type === 'keys') {
      tree.list(ask, (answer) => {
        listed = answer;
      });
    }
    const untilMs = context.now() + HELD_MS;
    const held: Held = { incoming, untilMs, answer: () => listed ?? this.look(ask, leader, tree, noted) };
    const answer = held.answer();
    if (answer === undefined) this.held.push(held);
    else this.reply(incoming, answer, context);
  }

  private look(ask: ExchangeAsk, leader: number, tree: ReplicaTree, noted: number): ExchangeAnswer | undefined {
    if (ask.type === 'keys') return undefined;
    if (ask.type === 'leaves') return leavesOf(ask.keys, (key) => this.options.objects.get(key));
    const answer = tree.answer(ask, noted);
    if (answer?.type === 'root') tree.told.set(leader, { high: answer.high, low: answer.low });
    return answer;
  }

  /** What shows a write of this turn is held back until that is stored. */
  private reply(incoming: Incoming<ExchangeReply>, answer: ExchangeReply, context: ActorContext): void {
    context.reply(incoming, answer, this.options.objects.pending ? 'stored' : 'now');
  }
}

function sameRoot(a: Root | undefined, b: Root): boolean {
  return a !== undefined && a.high === b.high && a.low === b.low;
}
