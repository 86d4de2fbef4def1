/** Mistakes in what is acknowledged, when, by whom and to whom. */
import { digestHigh, digestLow } from '../../../src/codec/record.js';
import {
  type CoordinatorAnswer,
  type CoordinatorRequest,
  coordinatorConversation,
} from '../../../src/messages/coordinator-messages.js';
import { type VnodeAnswer, vnodeConversation } from '../../../src/messages/vnode-messages.js';
import type { Actor, ActorContext, ActorFactory, Committer, Incoming, Release } from '../../../src/runtime/actor.js';
import { TappedActor, TappedContext } from '../../../src/simulation/tapped-host.js';
import { type PlantedBug, tapOf } from './plant.js';

/** Releases every reply at once. */
class RepliesAtOnce extends TappedContext {
  override reply<Answer>(incoming: Incoming<Answer>, answer: Answer, _release?: Release): void {
    super.reply(incoming, answer, 'now');
  }
}

/** Keeps to itself that a commit failed. */
function silent(inner: Committer): Committer {
  return {
    get pending() {
      return inner.pending;
    },
    get commitIsDurable() {
      return inner.commitIsDurable;
    },
    commit() {
      try {
        inner.commit();
      } catch {
        // The planted mistake.
      }
    },
    flush: () => inner.flush(),
  };
}

const SLOTS = 64;

/** Counts the first acknowledgement of every put for two slots. */
class CountsTwice extends TappedActor<CoordinatorRequest, CoordinatorAnswer, VnodeAnswer> {
  override answered(correlation: number, answer: VnodeAnswer, interim: boolean, context: ActorContext): void {
    super.answered(correlation, answer, interim, context);
    if (answer.type !== 'wrote') return;
    const slot = correlation % SLOTS;
    if (slot < 3) super.answered(correlation - slot + ((slot + 1) % 3), answer, interim, context);
  }
}

/** Takes every digest for one that agrees. */
class IgnoresMismatches extends TappedActor<CoordinatorRequest, CoordinatorAnswer, VnodeAnswer> {
  private readonly objects = new Map<number, { high: number; low: number }>();
  private readonly early = new Map<number, number[]>();

  override answered(correlation: number, answer: VnodeAnswer, interim: boolean, context: ActorContext): void {
    const ticket = Math.floor(correlation / SLOTS);
    const known = this.objects.get(ticket);
    if (answer.type === 'digest') {
      if (known !== undefined)
        super.answered(correlation, { type: 'digest', ...known, behind: false }, interim, context);
      else this.early.set(ticket, [...(this.early.get(ticket) ?? []), correlation]);
      return;
    }
    super.answered(correlation, answer, interim, context);
    if (answer.type !== 'object' && answer.type !== 'nothing') return;
    const digest =
      answer.type === 'object'
        ? { high: digestHigh(answer.record), low: digestLow(answer.record) }
        : { high: 0, low: 0 };
    this.objects.set(ticket, known ?? digest);
    const early = this.early.get(ticket) ?? [];
    this.early.delete(ticket);
    for (const waiting of early) super.answered(waiting, { type: 'digest', ...digest, behind: false }, false, context);
  }
}

/** Loses one reply in so many, as if there had been no room for it. */
class LosesReplies extends TappedContext {
  private replies = 0;

  override reply<Answer>(incoming: Incoming<Answer>, answer: Answer, release?: Release): void {
    if (++this.replies % 50 !== 0) super.reply(incoming, answer, release);
  }
}

/** A coordinator that begins anew now and then, and is given the answers that were meant for the one before. */
class HearsItsPredecessor extends TappedActor<CoordinatorRequest, CoordinatorAnswer, VnodeAnswer> {
  private readonly make: () => Actor<CoordinatorRequest, CoordinatorAnswer, VnodeAnswer>;
  private present: Actor<CoordinatorRequest, CoordinatorAnswer, VnodeAnswer>;
  private readonly inHand = new Set<Incoming<CoordinatorAnswer>>();
  private received = 0;

  constructor(make: () => Actor<CoordinatorRequest, CoordinatorAnswer, VnodeAnswer>, context: ActorContext) {
    const first = make();
    super(first, context);
    this.make = make;
    this.present = first;
  }

  override receive(message: CoordinatorRequest, incoming: Incoming<CoordinatorAnswer>, _context: ActorContext): void {
    if (++this.received % 10 === 0) {
      this.present = this.make();
      for (const left of this.inHand) this.fail(left);
      this.inHand.clear();
    }
    this.inHand.add(incoming);
    this.present.receive(message, incoming, this.listening());
  }

  override answered(correlation: number, answer: VnodeAnswer, interim: boolean, _context: ActorContext): void {
    this.present.answered?.(correlation, answer, interim, this.listening());
  }

  override failed(): void {
    // What failed was asked by a predecessor, or runs into its deadline.
  }

  override timer(message: unknown, _context: ActorContext): void {
    this.present.timer?.(message, this.listening());
  }

  private fail(incoming: Incoming<CoordinatorAnswer>): void {
    const failure = { why: 'not-met', quorum: 'w', got: 0, wanted: 0, definite: false } as const;
    this.context.reply(incoming, { type: 'failed', failure });
  }

  private listening(): ActorContext {
    return new ForgetsReplied(this.context, this.inHand as Set<unknown>);
  }
}

class ForgetsReplied extends TappedContext {
  private readonly inHand: Set<unknown>;

  constructor(inner: ActorContext, inHand: Set<unknown>) {
    super(inner);
    this.inHand = inHand;
  }

  override reply<Answer>(incoming: Incoming<Answer>, answer: Answer, release?: Release): void {
    if (this.inHand.delete(incoming)) super.reply(incoming, answer, release);
  }
}

export const ACKNOWLEDGEMENT_BUGS: readonly PlantedBug[] = [
  {
    name: 'acknowledgement before the commit',
    nodes: () => tapOf(vnodeConversation.name, { context: (inner) => new RepliesAtOnce(inner) }),
    sync: 'full',
    kinds: ['failing disk'],
    noticed: /^(lost|not read)/,
    seeds: 10,
  },
  {
    name: 'acknowledgements released after a failed group commit',
    nodes: () => ({ context: (_conversation, _slot, inner) => inner, committer: silent }),
    sync: 'full',
    kinds: ['failing disk', 'full disk'],
    noticed: /^(lost|not read)/,
    seeds: 10,
  },
  {
    name: 'one slot counted twice',
    nodes: () => tapOf(coordinatorConversation.name, { actor: (inner, context) => new CountsTwice(inner, context) }),
    sync: 'full',
    kinds: ['split', 'crash of a node'],
    noticed: /^(not read|lost)/,
    seeds: 80,
  },
  {
    name: 'digest mismatch ignored',
    nodes: () =>
      tapOf(coordinatorConversation.name, { actor: (inner, context) => new IgnoresMismatches(inner, context) }),
    sync: 'full',
    kinds: ['split', 'crash of a node'],
    noticed: /^not read/,
    seeds: 30,
  },
  {
    name: 'a reply refused for lack of credit',
    nodes: () => tapOf(coordinatorConversation.name, { context: (inner) => new LosesReplies(inner) }),
    sync: 'full',
    kinds: ['pause'],
    noticed: /requests are unanswered/,
    seeds: 2,
  },
  {
    name: "a reply delivered to an actor's later incarnation",
    nodes: () => ({
      context: (_conversation, _slot, inner) => inner,
      actor: (conversation, make: ActorFactory, context) =>
        conversation.name === coordinatorConversation.name
          ? new HearsItsPredecessor(() => make(context), context)
          : make(context),
    }),
    sync: 'full',
    kinds: ['delay', 'slow disk', 'split'],
    noticed: /^(not read|lost|resurrected|the receipt|dot|a sibling|at .* (Invariant|TypeError))/,
    seeds: 20,
  },
];
