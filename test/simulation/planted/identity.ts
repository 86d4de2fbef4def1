/** Mistakes in who mints: writers that keep their id where they must not, or mint over what they cannot read. */
import type { Random } from '../../../src/base/random.js';
import { isSoundRecord } from '../../../src/codec/record.js';
import { vnodeConversation } from '../../../src/messages/vnode-messages.js';
import type { ActorContext } from '../../../src/runtime/actor.js';
import { TappedActor, TappedContext } from '../../../src/simulation/tapped-host.js';
import { TappedStorage } from '../../../src/simulation/tapped-storage.js';
import type { Storage } from '../../../src/storage/storage.js';
import { type PlantedBug, tapOf } from './plant.js';

/** Goes on under its writerId after a failed commit, though dots of it may have escaped. */
class KeepsItsId extends TappedActor<unknown, unknown, unknown> {
  override commitFailed(): void {}
}

/** Draws the same numbers in every incarnation. */
export class SameDraws extends TappedContext {
  private readonly same: Random;

  constructor(inner: ActorContext, seed: number) {
    super(inner);
    this.same = { uint32: () => seed };
  }

  override get random(): Random {
    return this.same;
  }
}

/** A storage that gives nothing where it has an unreadable record. */
function hidingCorruptRecords(inner: Storage): Storage {
  return new Proxy(inner, {
    get(target, name) {
      if (name === 'get') {
        return (key: Uint8Array) => {
          const value = target.get(key);
          // The node's own entry lies behind all partitions.
          return value === undefined || key[0] === 0xff || isSoundRecord(value) ? value : undefined;
        };
      }
      const member: unknown = Reflect.get(target, name, target);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
}

/** A storage that is blind to what its turn has written: it gives what stood there before, until that is committed. */
class BlindToItsTurn extends TappedStorage {
  private readonly before = new Map<string, Uint8Array | undefined>();

  override get(key: Uint8Array): Uint8Array | undefined {
    const id = Buffer.from(key).toString('latin1');
    return this.before.has(id) ? this.before.get(id) : super.get(key);
  }

  override put(key: Uint8Array, value: Uint8Array): void {
    const id = Buffer.from(key).toString('latin1');
    // The value may be lent by the storage.
    const kept = Uint8Array.from(value);
    const there = super.get(key);
    if (!this.before.has(id)) this.before.set(id, there === undefined ? undefined : Uint8Array.from(there));
    super.put(key, kept);
  }

  override commit(): void {
    this.before.clear();
    super.commit();
  }
}

export const IDENTITY_BUGS: readonly PlantedBug[] = [
  {
    name: 'the same writerId after a failed commit whose dots escaped',
    nodes: () => tapOf(vnodeConversation.name, { actor: (inner, context) => new KeepsItsId(inner, context) }),
    sync: 'full',
    // Splits would only hide it: a node that could not store refuses writes for a while, and its peers then must be there.
    kinds: ['failing disk'],
    noticed: /^(lost|not read|resurrected|dot|at .* Invariant)/,
    seeds: 30,
  },
  {
    name: 'the same writerId after a crash',
    nodes: (node) => tapOf(vnodeConversation.name, { context: (inner) => new SameDraws(inner, 1_000 + node) }),
    sync: 'full',
    kinds: ['crash of a node', 'crash of an actor'],
    noticed: /^(dot|lost|not read|at .* Invariant)/,
    seeds: 5,
  },
  {
    name: 'minting upon a corrupt record as if there were none',
    objects: hidingCorruptRecords,
    sync: 'full',
    kinds: ['rot', 'split'],
    noticed: /^(lost|not read|resurrected)/,
    seeds: 60,
  },
  {
    name: 'minting upon a stale record: what was committed, without what the turn has written',
    objects: (inner) => new BlindToItsTurn(inner),
    sync: 'full',
    // Mail piles up, and is dealt with in one turn.
    kinds: ['pause', 'slow disk'],
    noticed: /^minted upon an object that lacks/,
    seeds: 5,
  },
];
