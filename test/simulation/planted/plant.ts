/** How a mistake is planted from outside, without a line in the actors: what every file of this folder is made of. */
import type { Actor, ActorContext, ActorFactory, Conversation } from '../../../src/runtime/actor.js';
import type { Planted, SpawnNode } from '../../../src/simulation/cluster-options.js';
import type { FaultKind } from '../../../src/simulation/faults.js';
import type { Tap } from '../../../src/simulation/tapped-host.js';

/** A mistake, and under which faults it must be noticed. */
export interface PlantedBug extends Planted {
  readonly sync: 'full' | 'none';
  readonly kinds: readonly FaultKind[];
  /** What at least one checker must say. */
  readonly noticed: RegExp;
  /** How many seeds it may take. */
  readonly seeds: number;
  /** What puts a node's actors onto a host, if the mistake is in how they are made. */
  readonly spawn?: SpawnNode;
}

// biome-ignore lint/suspicious/noExplicitAny: a tap takes actors of all conversations.
type AnyActor = Actor<any, any, any>;

/** Taps only the actors of one conversation. */
export function tapOf(
  conversation: string,
  how: {
    context?: (inner: ActorContext) => ActorContext;
    actor?: (inner: AnyActor, context: ActorContext) => AnyActor;
  },
): Tap {
  return {
    context: (spoken: Conversation<unknown, unknown>, _slot, inner) =>
      spoken.name === conversation && how.context !== undefined ? how.context(inner) : inner,
    actor: (spoken: Conversation<unknown, unknown>, make: ActorFactory<AnyActor>, context) => {
      const actor = make(context);
      return spoken.name === conversation && how.actor !== undefined ? how.actor(actor, context) : actor;
    },
  };
}
