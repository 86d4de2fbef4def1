/**
 * Goal: the quorum get, in every order of its inputs, tells what a naive model of it tells.
 *
 * A replica's object is a set of writes, as bits; the merge of two is their union, the digest of one is itself, and
 * nothing there is the empty set. What a reply must hold is then plain: every write of every replica that was counted.
 * All states that can be reached are visited once, for every content of the replicas, up to four slots.
 */
import { test } from 'tap';
import { GetQuorum, type GetVerdict } from '../../../src/quorum/get-quorum.js';
import { countSlots, hasSlot } from '../../../src/quorum/slots.js';

type SlotState = 'unasked' | 'object asked' | 'digest asked' | 'digest known' | 'object known' | 'corrupt' | 'failed';

interface Model {
  readonly slots: SlotState[];
  reference: number;
  told: 'nothing' | 'succeeded' | 'failed';
}

interface State {
  readonly model: Model;
  readonly quorum: GetQuorum;
}

function copyOf({ model, quorum }: State): State {
  const clone: GetQuorum = Object.assign(
    Object.create(Object.getPrototypeOf(quorum) as object),
    structuredClone({ ...quorum }),
  );
  return { model: { ...model, slots: [...model.slots] }, quorum: clone };
}

class Explorer {
  private readonly seen = new Set<string>();
  private readonly story: string[] = [];
  /** What each replica holds. */
  private readonly contents: readonly number[];
  private readonly r: number;

  constructor(contents: readonly number[], r: number) {
    this.contents = contents;
    this.r = r;
  }

  get states(): number {
    return this.seen.size;
  }

  explore(state: State): void {
    const key = JSON.stringify([state.model, state.quorum]);
    if (this.seen.has(key)) return;
    this.seen.add(key);
    this.tryDeadline(state);
    this.tryDuplicates(state);
    let underWay = 0;
    for (let slot = 0; slot < this.contents.length; slot++) {
      const asked = state.model.slots[slot];
      if (asked !== 'object asked' && asked !== 'digest asked') continue;
      underWay++;
      this.exploreAnswer(state, slot, asked);
    }
    this.expect(underWay > 0 || state.model.told !== 'nothing', 'nothing is under way, and no outcome was told');
  }

  private exploreAnswer(state: State, slot: number, asked: 'object asked' | 'digest asked'): void {
    const content = this.contents[slot]!;
    if (asked === 'object asked' || content === 0) {
      this.step(state, `${slot} gives its object`, ({ model, quorum }) => {
        model.slots[slot] = 'object known';
        if (model.reference === -1) model.reference = slot;
        this.expectNext(model, quorum, quorum.onObject(slot, content, content));
      });
    } else {
      this.step(state, `${slot} gives its digest`, ({ model, quorum }) => {
        model.slots[slot] = 'digest known';
        this.expectNext(model, quorum, quorum.onDigest(slot, content, content));
      });
    }
    this.step(state, `${slot} is corrupt`, ({ model, quorum }) => {
      model.slots[slot] = 'corrupt';
      this.expectNext(model, quorum, quorum.onCorrupt(slot));
      this.expect(hasSlot(quorum.corruptSlots, slot), 'a corrupt replica is to be repaired');
    });
    this.step(state, `${slot} failed`, ({ model, quorum }) => {
      model.slots[slot] = 'failed';
      this.expectNext(model, quorum, quorum.onFailed(slot));
    });
  }

  private expectNext(model: Model, quorum: GetQuorum, verdict: GetVerdict): void {
    if (model.told !== 'nothing') {
      this.expectVerdict(verdict, 'pending');
      return;
    }
    const counted = this.countedSlots(model);
    const lost = model.slots.filter((state) => state === 'failed' || state === 'corrupt').length;
    if (counted.length >= this.r) {
      this.expectVerdict(verdict, 'succeeded');
      model.told = 'succeeded';
      this.expectEverythingCounted(model, counted);
      this.expect(quorum.got >= this.r, `a success with ${quorum.got} answers`);
    } else if (model.slots.length - lost < this.r && this.isHeardOut(model)) {
      this.expectVerdict(verdict, 'failed');
      model.told = 'failed';
    } else if (verdict === 'fetch') {
      const asked = model.slots[quorum.slotToAsk];
      this.expect(asked === 'unasked' || asked === 'digest known', `fetches slot ${quorum.slotToAsk}: ${asked}`);
      model.slots[quorum.slotToAsk] = 'object asked';
      const contacted = model.slots.filter((state) => state !== 'unasked').length;
      if (model.slots.length - lost < this.r) return;
      this.expect(contacted <= this.r + lost, `${contacted} slots were asked, though only ${lost} failed`);
    } else this.expectVerdict(verdict, 'pending');
  }

  /** A hopeless read is over at once, but one with unreadable replicas only when every other one was heard. */
  private isHeardOut(model: Model): boolean {
    if (!model.slots.includes('corrupt')) return true;
    const open = model.slots.filter((state) => state !== 'failed' && state !== 'corrupt').length;
    return this.countedSlots(model).length === open;
  }

  /** Slots whose object is known, or known to be the same as one that is. */
  private countedSlots(model: Model): number[] {
    const counted: number[] = [];
    for (let slot = 0; slot < model.slots.length; slot++) {
      if (model.slots[slot] === 'object known') counted.push(slot);
      else if (model.slots[slot] === 'digest known' && model.reference !== -1) {
        if (this.contents[slot] === this.contents[model.reference]) counted.push(slot);
      }
    }
    return counted;
  }

  /** The merge of the objects that came must hold all that the counted replicas hold. */
  private expectEverythingCounted(model: Model, counted: readonly number[]): void {
    let merged = 0;
    for (let slot = 0; slot < model.slots.length; slot++) {
      if (model.slots[slot] === 'object known') merged |= this.contents[slot]!;
    }
    for (const slot of counted) {
      this.expect((this.contents[slot]! & ~merged) === 0, `the reply lacks what slot ${slot} holds`);
    }
  }

  private tryDeadline(state: State): void {
    const { model, quorum } = copyOf(state);
    this.story.push('deadline');
    this.expectVerdict(quorum.onDeadline(), model.told === 'nothing' ? 'failed' : 'pending');
    this.story.pop();
  }

  /** No answer that is heard again brings an outcome. */
  private tryDuplicates(state: State): void {
    for (let slot = 0; slot < this.contents.length; slot++) {
      const was = state.model.slots[slot]!;
      const { quorum } = copyOf(state);
      const content = this.contents[slot]!;
      this.story.push(`${slot} (${was}) is heard again`);
      let verdict: GetVerdict = 'pending';
      if (was === 'object known') verdict = quorum.onObject(slot, content, content);
      else if (was === 'digest known') verdict = quorum.onDigest(slot, content, content);
      else if (was === 'failed') verdict = quorum.onFailed(slot);
      else if (was === 'corrupt') verdict = quorum.onCorrupt(slot);
      this.expect(verdict === 'pending' || verdict === 'fetch', `a repeated answer brought '${verdict}'`);
      this.story.pop();
    }
  }

  private step(state: State, event: string, act: (next: State) => void): void {
    const next = copyOf(state);
    this.story.push(event);
    act(next);
    this.explore(next);
    this.story.pop();
  }

  private expectVerdict(verdict: GetVerdict, expected: GetVerdict): void {
    this.expect(verdict === expected, `says '${verdict}' instead of '${expected}'`);
  }

  private expect(holds: boolean, complaint: string): void {
    if (holds) return;
    throw new Error(`${complaint}: ${JSON.stringify({ r: this.r, contents: this.contents, story: this.story })}`);
  }
}

type MakeQuorum = (n: number, needs: { r: number; pr: number }) => GetQuorum;

/** Every content of `n` replicas out of nothing, {1}, {2}, {1, 2}. */
function* contentsOf(n: number): Generator<number[]> {
  for (let number = 0; number < 4 ** n; number++) {
    yield Array.from({ length: n }, (_, slot) => Math.floor(number / 4 ** slot) % 4);
  }
}

/** Visits every state of a get of up to `largest` slots. Throws at the first violation. @returns how many states. */
function exploreAll(largest: number, make: MakeQuorum): number {
  let states = 0;
  for (let n = 1; n <= largest; n++) {
    for (let r = 1; r <= n; r++) {
      for (const contents of contentsOf(n)) {
        const slots = contents.map(
          (_, slot): SlotState => (slot === 0 ? 'object asked' : slot < r ? 'digest asked' : 'unasked'),
        );
        const explorer = new Explorer(contents, r);
        explorer.explore({ model: { slots, reference: -1, told: 'nothing' }, quorum: make(n, { r, pr: 0 }) });
        states += explorer.states;
      }
    }
  }
  return states;
}

test('in every order of events, up to three slots, the verdict is the naive one', async (t) => {
  const states = exploreAll(3, (n, needs) => new GetQuorum(n, needs));
  t.ok(states > 3_000, `only ${states} states were visited`);
});

test('four slots, of which several differ', async (t) => {
  for (const r of [2, 3, 4]) {
    for (const contents of [
      [1, 2, 3, 1],
      [0, 1, 2, 3],
      [1, 1, 1, 2],
      [3, 2, 2, 1],
      [1, 0, 0, 0],
    ]) {
      const slots = contents.map(
        (_, slot): SlotState => (slot === 0 ? 'object asked' : slot < r ? 'digest asked' : 'unasked'),
      );
      const explorer = new Explorer(contents, r);
      explorer.explore({ model: { slots, reference: -1, told: 'nothing' }, quorum: new GetQuorum(4, { r, pr: 0 }) });
      t.ok(explorer.states > 50);
    }
  }
});

test('PR raises R, and a get asks 1 to n slots', async (t) => {
  t.equal(new GetQuorum(3, { r: 1, pr: 2 }).wanted, 2);
  t.throws(() => new GetQuorum(3, { r: 0, pr: 0 }), /1 to n/);
  t.throws(() => new GetQuorum(3, { r: 4, pr: 0 }), /1 to n/);
});

// ---- The checker must catch mistakes: each class below makes one.

/** Takes every digest for an equal one. */
class IgnoresDigestMismatches extends GetQuorum {
  private high = 0;

  override onObject(slot: number, digestHigh: number, digestLow: number): GetVerdict {
    if (this.referenceSlot === -1) this.high = digestHigh;
    return super.onObject(slot, digestHigh, digestLow);
  }

  override onDigest(slot: number, _high: number, _low: number): GetVerdict {
    return super.onDigest(slot, this.high, this.high);
  }
}

class CountsCorruptReplicas extends GetQuorum {
  override onCorrupt(slot: number): GetVerdict {
    return super.onObject(slot, 0, 0);
  }
}

class GivesUpAtTheFirstFailure extends GetQuorum {
  override onFailed(slot: number): GetVerdict {
    const verdict = super.onFailed(slot);
    if (this.replied) return verdict;
    this.replied = true;
    return 'failed';
  }
}

class NeverAsksAnother extends GetQuorum {
  override onFailed(slot: number): GetVerdict {
    const verdict = super.onFailed(slot);
    return verdict === 'fetch' ? 'pending' : verdict;
  }
}

class RepliesTwice extends GetQuorum {
  override onObject(slot: number, high: number, low: number): GetVerdict {
    this.replied = false;
    return super.onObject(slot, high, low);
  }
}

for (const Planted of [
  IgnoresDigestMismatches,
  CountsCorruptReplicas,
  GivesUpAtTheFirstFailure,
  NeverAsksAnother,
  RepliesTwice,
]) {
  test(`the exploration catches a get that ${Planted.name}`, async (t) => {
    t.throws(() => exploreAll(3, (n, needs) => new Planted(n, needs)), /"story":/);
  });
}

test('sets of slots agree with Set', async (t) => {
  for (let bits = 0; bits < 4_096; bits++) {
    const set = (bits * 0x9e37_79b1) | 0;
    let naive = 0;
    for (let slot = 0; slot < 32; slot++) if (hasSlot(set, slot)) naive++;
    if (countSlots(set) !== naive) t.fail(`countSlots(${set})`);
  }
  t.equal(countSlots(-1), 32);
});
