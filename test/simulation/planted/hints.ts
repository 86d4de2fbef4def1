/** Mistakes of those who stand in: in whose name they mint, what they delete, and when. */
import type { Random } from '../../../src/base/random.js';
import { hintDeliveryConversation } from '../../../src/messages/hint-delivery-messages.js';
import { hintConversation } from '../../../src/messages/hint-messages.js';
import { type VnodeAnswer, vnodeConversation } from '../../../src/messages/vnode-messages.js';
import type { ActorContext, Incoming, Release } from '../../../src/runtime/actor.js';
import { TappedActor, TappedContext } from '../../../src/simulation/tapped-host.js';
import type { Storage } from '../../../src/storage/storage.js';
import { type PlantedBug, tapOf } from './plant.js';

/** Draws one name, for whatever hint. */
class OneName extends TappedContext {
  private readonly name: Random;

  constructor(inner: ActorContext, name: number) {
    super(inner);
    this.name = { uint32: () => name };
  }

  override get random(): Random {
    return this.name;
  }
}

/** Says that hints were taken as soon as they are stored. */
class TakesLightly extends TappedContext {
  override reply<Answer>(incoming: Incoming<Answer>, answer: Answer, release?: Release): void {
    super.reply(incoming, answer, (answer as VnodeAnswer).type === 'took' ? 'stored' : release);
  }
}

/** Says that hints were taken before they are. */
class TakesAtOnce extends TappedContext {
  override reply<Answer>(incoming: Incoming<Answer>, answer: Answer, release?: Release): void {
    super.reply(incoming, answer, (answer as VnodeAnswer).type === 'took' ? 'now' : release);
  }
}

/** True while a deliverer acts upon an answer. */
let deleting = false;

class Deletes extends TappedActor<unknown, unknown, unknown> {
  override answered(correlation: number, answer: unknown, interim: boolean, context: ActorContext): void {
    deleting = true;
    super.answered(correlation, answer, interim, context);
    deleting = false;
  }
}

/** A storage that shows whoever deletes what he has read before, not what there is now. */
function forgetfulOfChanges(inner: Storage): Storage {
  const read = new Map<string, Uint8Array>();
  return overriding(inner, {
    range: (options) => {
      const found = inner.range(options);
      for (const { key, value } of found) read.set(Buffer.from(key).toString('latin1'), value);
      return found;
    },
    get: (key) => {
      const present = inner.get(key);
      return present !== undefined && deleting ? (read.get(Buffer.from(key).toString('latin1')) ?? present) : present;
    },
  });
}

/** A storage that is empty at each start. */
function forgetfulOfAll(inner: Storage): Storage {
  for (const { key } of inner.range({ limit: Number.POSITIVE_INFINITY })) inner.remove(key);
  return inner;
}

function overriding(inner: Storage, own: Partial<Storage>): Storage {
  return new Proxy(inner, {
    get(target, name) {
      const member: unknown = Reflect.get(name in own ? own : target, name, target);
      return typeof member === 'function' && !(name in own) ? member.bind(target) : member;
    },
  });
}

export const HINT_BUGS: readonly PlantedBug[] = [
  {
    name: 'a fallback that mints every hint by one id',
    nodes: (node) => tapOf(hintConversation.name, { context: (inner) => new OneName(inner, 7_000 + node) }),
    sync: 'full',
    kinds: ['crash of several nodes'],
    noticed: /^(dot|lost|not read|resurrected)/,
    seeds: 20,
  },
  {
    name: 'a hint deleted on a stored acknowledgement',
    nodes: () => tapOf(vnodeConversation.name, { context: (inner) => new TakesLightly(inner) }),
    sync: 'none',
    kinds: ['crash of several nodes', 'power loss of a node'],
    noticed: /^lost/,
    seeds: 60,
  },
  {
    name: 'a hint deleted before its owner has stored it',
    nodes: () => tapOf(vnodeConversation.name, { context: (inner) => new TakesAtOnce(inner) }),
    sync: 'none',
    kinds: ['crash of several nodes', 'power loss of a node'],
    noticed: /^(lost|not read)/,
    seeds: 60,
  },
  {
    name: 'a hint deleted though it changed',
    nodes: () => tapOf(hintDeliveryConversation.name, { actor: (inner, context) => new Deletes(inner, context) }),
    hints: forgetfulOfChanges,
    sync: 'none',
    kinds: ['crash of several nodes', 'power loss of a node'],
    noticed: /^(lost|not read)/,
    seeds: 100,
  },
  {
    name: 'hints dropped on a restart',
    hints: forgetfulOfAll,
    sync: 'none',
    kinds: ['crash of several nodes', 'power loss of a node'],
    noticed: /^(lost|not read)/,
    seeds: 30,
  },
];
