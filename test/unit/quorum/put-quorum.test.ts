/**
 * Goal: the quorum put, in every order of its inputs, tells what a naive model of it tells.
 *
 * The model keeps, slot by slot, what happened, and recomputes every verdict from the definitions: success as soon as W
 * slots have stored the write and DW of them durably; failure as soon as that is out of reach; definite only if nothing
 * may be stored anywhere. All states that can be reached are visited once, up to four slots.
 */
import { test } from 'tap';
import { type PutNeeds, PutQuorum, type PutVerdict } from '../../../src/quorum/put-quorum.js';
import { hasSlot } from '../../../src/quorum/slots.js';

type SlotState = 'unasked' | 'minting' | 'passed-over' | 'writing' | 'stored' | 'durable' | 'failed';

interface Model {
  readonly slots: SlotState[];
  minter: number;
  minted: boolean;
  /** The minter had stored the write before its minted object was known: when it did, as what. */
  overtaken: 'no' | 'stored' | 'durable';
  /** Some slot may hold the write. */
  mayBeStored: boolean;
  told: 'nothing' | 'succeeded' | 'failed';
}

interface State {
  readonly model: Model;
  readonly quorum: PutQuorum;
}

interface Violation {
  readonly needs: PutNeeds;
  readonly story: readonly string[];
  readonly complaint: string;
}

function copyOf({ model, quorum }: State): State {
  const clone: PutQuorum = Object.assign(Object.create(Object.getPrototypeOf(quorum) as object), quorum);
  return { model: { ...model, slots: [...model.slots] }, quorum: clone };
}

function count(model: Model, ...states: SlotState[]): number {
  return model.slots.filter((state) => states.includes(state)).length;
}

/** What the definitions say of a put whose slots are in these states. */
function outcomeOf(model: Model, needs: PutNeeds): 'pending' | 'succeeded' | 'failed' {
  const w = Math.max(needs.w, needs.pw);
  const lost = model.minted ? count(model, 'failed') : count(model, 'failed', 'passed-over');
  const atBest = model.slots.length - lost;
  if (model.minted && count(model, 'stored', 'durable') >= w && count(model, 'durable') >= needs.dw) return 'succeeded';
  const durableAtBest = atBest - count(model, 'stored');
  return atBest < w || durableAtBest < needs.dw ? 'failed' : 'pending';
}

class Explorer {
  readonly needs: PutNeeds;
  private readonly seen = new Set<string>();
  private readonly story: string[] = [];

  constructor(needs: PutNeeds) {
    this.needs = needs;
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
    const { model } = state;
    for (let slot = 0; slot < model.slots.length; slot++) {
      if (model.slots[slot] === 'minting') this.exploreMinting(state, slot);
      else if (model.slots[slot] === 'writing') this.exploreWriting(state, slot);
    }
    if (count(model, 'minting', 'writing') === 0) {
      this.expect(model.told !== 'nothing', 'nothing is under way, and no outcome was told');
      this.expect(!model.minted || state.quorum.settled, 'every slot has answered, and it is not settled');
    }
  }

  private exploreMinting(state: State, slot: number): void {
    this.step(state, `${slot} minted`, ({ model, quorum }) => {
      const overtaken = model.overtaken;
      model.minted = true;
      model.mayBeStored = true;
      model.slots[slot] = 'writing';
      for (let other = 0; other < model.slots.length; other++) if (other !== slot) model.slots[other] = 'writing';
      this.expectVerdict(quorum.onMinted(), model.slots.length > 1 ? 'replicate' : 'pending');
      if (overtaken === 'no') return;
      // It answers 'repeated': it is stored already, and as durably as it said before.
      model.slots[slot] = overtaken;
      this.expectOutcome(model, quorum, quorum.onWrote(slot, false));
    });
    this.step(state, `${slot} did not mint`, ({ model, quorum }) => {
      const verdict = quorum.onNotMinted();
      model.slots[slot] = 'passed-over';
      // A minter that has forgotten what it minted: nobody else may mint the attempt again.
      if (model.overtaken !== 'no') this.expectFailure(model, quorum, verdict);
      else if (outcomeOf(model, this.needs) === 'failed') this.expectFailure(model, quorum, verdict);
      else {
        this.expectVerdict(verdict, 'mint');
        this.expect(model.slots[quorum.minter] === 'unasked', `asks slot ${quorum.minter} to mint again`);
        model.minter = quorum.minter;
        model.slots[quorum.minter] = 'minting';
      }
    });
    this.step(state, `${slot} is lost while minting`, ({ model, quorum }) => {
      model.slots[slot] = 'failed';
      model.mayBeStored = true;
      this.expectFailure(model, quorum, quorum.onMinterLost());
    });
    if (state.model.overtaken === 'no') {
      for (const as of ['stored', 'durable'] as const) {
        this.step(state, `${slot} is ${as} before its minted object is known`, ({ model, quorum }) => {
          model.overtaken = as;
          model.mayBeStored = true;
          this.expectVerdict(quorum.onWrote(slot, as === 'durable'), 'mint');
          this.expect(quorum.minter === slot, 'must ask the same minter again');
        });
      }
    }
  }

  private exploreWriting(state: State, slot: number): void {
    for (const as of ['stored', 'durable'] as const) {
      this.step(state, `${slot} ${as}`, ({ model, quorum }) => {
        model.slots[slot] = as;
        this.expectOutcome(model, quorum, quorum.onWrote(slot, as === 'durable'));
      });
    }
    for (const mayHold of [false, true]) {
      this.step(state, `${slot} failed${mayHold ? ', may hold' : ''}`, ({ model, quorum }) => {
        model.slots[slot] = 'failed';
        this.expectOutcome(model, quorum, quorum.onFailed(slot, mayHold));
      });
    }
  }

  /** At a deadline the put is given up, whatever was under way. */
  private tryDeadline(state: State): void {
    const { model, quorum } = copyOf(state);
    this.story.push('deadline');
    const minting = count(model, 'minting') > 0;
    const verdict = quorum.onDeadline();
    if (model.told !== 'nothing') this.expectVerdict(verdict, 'pending');
    else {
      model.mayBeStored ||= minting;
      this.expectFailure(model, quorum, verdict);
    }
    this.story.pop();
  }

  /** What was heard before changes nothing when it is heard again, or contradicted. */
  private tryDuplicates(state: State): void {
    for (let slot = 0; slot < state.model.slots.length; slot++) {
      const was = state.model.slots[slot]!;
      const { quorum } = copyOf(state);
      this.story.push(`${slot} (${was}) is heard again`);
      const before = JSON.stringify(quorum);
      if (was === 'stored' || was === 'durable') {
        this.expectVerdict(quorum.onWrote(slot, was === 'durable'), 'pending');
        this.expectVerdict(quorum.onFailed(slot, true), 'pending');
        this.expectVerdict(quorum.onMinted(), 'pending');
      } else if (was === 'failed' && state.model.minted) {
        this.expectVerdict(quorum.onWrote(slot, true), 'pending');
        this.expectVerdict(quorum.onFailed(slot, false), 'pending');
      }
      this.expect(JSON.stringify(quorum) === before, 'a repeated answer changed the put');
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

  private expectOutcome(model: Model, quorum: PutQuorum, verdict: PutVerdict): void {
    const outcome = model.told === 'nothing' ? outcomeOf(model, this.needs) : 'pending';
    if (outcome === 'failed') {
      this.expectFailure(model, quorum, verdict);
      return;
    }
    this.expectVerdict(verdict, outcome);
    if (outcome === 'succeeded') model.told = 'succeeded';
    const stored = count(model, 'stored', 'durable');
    this.expect(quorum.got === stored, `counts ${quorum.got} of ${stored} acknowledgements`);
    for (let slot = 0; slot < model.slots.length; slot++) {
      const acknowledged = model.slots[slot] === 'stored' || model.slots[slot] === 'durable';
      this.expect(hasSlot(quorum.ackedSlots, slot) === acknowledged, `slot ${slot} in the receipt`);
      this.expect(quorum.isDurable(slot) === (model.slots[slot] === 'durable'), `slot ${slot} durable in the receipt`);
    }
  }

  private expectFailure(model: Model, quorum: PutQuorum, verdict: PutVerdict): void {
    this.expectVerdict(verdict, 'failed');
    this.expect(quorum.definite === !model.mayBeStored, `definite: ${quorum.definite}`);
    model.told = 'failed';
  }

  private expectVerdict(verdict: PutVerdict, expected: PutVerdict): void {
    this.expect(verdict === expected, `says '${verdict}' instead of '${expected}'`);
  }

  private expect(holds: boolean, complaint: string): void {
    if (holds) return;
    const violation: Violation = { needs: this.needs, story: [...this.story], complaint };
    throw Object.assign(new Error(`${complaint}: ${JSON.stringify(violation)}`), { violation });
  }
}

type MakeQuorum = (n: number, minter: number, needs: PutNeeds) => PutQuorum;

/** Visits every state of a put of up to `largest` slots. Throws at the first violation. @returns how many states. */
function exploreAll(largest: number, make: MakeQuorum): number {
  let states = 0;
  for (let n = 1; n <= largest; n++) {
    for (let w = 1; w <= n; w++) {
      for (let dw = 0; dw <= n; dw++) {
        const needs = { w, pw: 0, dw };
        const slots = new Array<SlotState>(n).fill('unasked');
        slots[0] = 'minting';
        const model: Model = { slots, minter: 0, minted: false, overtaken: 'no', mayBeStored: false, told: 'nothing' };
        const explorer = new Explorer(needs);
        explorer.explore({ model, quorum: make(n, 0, needs) });
        states += explorer.states;
      }
    }
  }
  return states;
}

test('in every order of events, up to four slots, the verdict is the naive one', async (t) => {
  const states = exploreAll(4, (n, minter, needs) => new PutQuorum(n, minter, needs));
  t.ok(states > 10_000, `only ${states} states were visited`);
});

test('PW raises W: in a strict quorum every slot is a primary', async (t) => {
  const quorum = new PutQuorum(3, 0, { w: 1, pw: 2, dw: 0 });
  quorum.onMinted();
  t.equal(quorum.onWrote(0, false), 'pending');
  t.equal(quorum.onWrote(2, false), 'succeeded');
  t.equal(quorum.wanted, 2);
});

test('a put waits for 1 to n slots', async (t) => {
  for (const needs of [
    { w: 0, pw: 0, dw: 0 },
    { w: 4, pw: 0, dw: 0 },
    { w: 1, pw: 0, dw: 4 },
    { w: 1, pw: 4, dw: 0 },
  ]) {
    t.throws(() => new PutQuorum(3, 0, needs), /waits for 1 to n/);
  }
  t.throws(() => new PutQuorum(33, 0, { w: 1, pw: 0, dw: 0 }), /1 to 32 slots/);
  t.throws(() => new PutQuorum(3, 3, { w: 1, pw: 0, dw: 0 }), /1 to 32 slots/);
});

// ---- The checker must catch mistakes: each class below makes one.

/** Counts acknowledgements instead of slots. */
class CountsASlotTwice extends PutQuorum {
  private heard = 0;
  private needed: number;

  constructor(n: number, minter: number, needs: PutNeeds) {
    super(n, minter, needs);
    this.needed = needs.w;
  }

  override onWrote(slot: number, durable: boolean): PutVerdict {
    const verdict = super.onWrote(slot, durable);
    if (verdict !== 'pending' || this.replied || ++this.heard < this.needed) return verdict;
    this.replied = true;
    return 'succeeded';
  }
}

class ForgetsThatItReplied extends PutQuorum {
  override onFailed(slot: number, mayHold: boolean): PutVerdict {
    this.replied = false;
    return super.onFailed(slot, mayHold);
  }
}

/** Lets another slot mint although the first one may have. */
class MintsTwice extends PutQuorum {
  override onMinterLost(): PutVerdict {
    return this.onNotMinted();
  }
}

class IsAlwaysDefinite extends PutQuorum {
  override get definite(): boolean {
    return true;
  }
}

class IgnoresDurability extends PutQuorum {
  override onWrote(slot: number, _durable: boolean): PutVerdict {
    return super.onWrote(slot, true);
  }
}

class WaitsForTheDeadline extends PutQuorum {
  override onFailed(slot: number, mayHold: boolean): PutVerdict {
    const verdict = super.onFailed(slot, mayHold);
    if (verdict !== 'failed') return verdict;
    this.replied = false;
    return 'pending';
  }
}

/** Tells success though it does not know the minted object, and so cannot replicate it. */
class TrustsAnOvertakenMinter extends PutQuorum {
  private knows = false;

  override onMinted(): PutVerdict {
    this.knows = true;
    return super.onMinted();
  }

  override onWrote(slot: number, durable: boolean): PutVerdict {
    const verdict = super.onWrote(slot, durable);
    return this.knows || verdict !== 'mint' ? verdict : 'pending';
  }
}

for (const Planted of [
  CountsASlotTwice,
  ForgetsThatItReplied,
  MintsTwice,
  IsAlwaysDefinite,
  IgnoresDurability,
  WaitsForTheDeadline,
  TrustsAnOvertakenMinter,
]) {
  test(`the exploration catches a put that ${Planted.name}`, async (t) => {
    t.throws(() => exploreAll(3, (n, minter, needs) => new Planted(n, minter, needs)), /"story":/);
  });
}
