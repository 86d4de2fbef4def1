/**
 * Goal: the quorum put, in every order of its inputs, does and tells what a naive model of it does and tells.
 *
 * The model writes down who was asked to hold which slot and what came of it, and recomputes everything from the
 * definitions: success as soon as W slots are held, PW of them by their primaries and DW durably; failure as soon as
 * that is out of reach; definite only if nothing may be stored anywhere; nobody holds two slots; a stand-in is asked as
 * soon as a slot's holder fails or is silent, the next in the list, and a fallback mints only if no primary can.
 * All states that can be reached are visited once, for small lists; long ones are walked at random.
 */
import { test } from 'tap';
import { SeededRandom } from '../../../src/base/random.js';
import { LAST_RESORT, type PutNeeds, PutQuorum } from '../../../src/quorum/put-quorum.js';
import { everyone, type Reach } from '../../../src/quorum/reach.js';
import { countSlots, firstSlots, hasSlot, NO_SLOTS, withSlot } from '../../../src/quorum/slots.js';

type AskState = 'open' | 'silent' | 'stored' | 'durable' | 'failed';

interface Ask {
  readonly place: number;
  readonly slot: number;
  state: AskState;
}

interface Model {
  /** Whoever was asked to mint, in order; the last one is the minter. */
  readonly minters: number[];
  minterOpen: boolean;
  minted: boolean;
  /** The minter had stored the write before its minted object was known. */
  overtaken: 'no' | 'stored' | 'durable';
  /** Who was asked to store since, and the minter. */
  asks: Ask[];
  mayBeStored: boolean;
  /** Ended by what was told of the minter, or by the deadline. */
  over: boolean;
  told: 'nothing' | 'succeeded' | 'failed';
}

interface State {
  readonly model: Model;
  readonly quorum: PutQuorum;
}

function copyOf({ model, quorum }: State): State {
  const clone: PutQuorum = Object.assign(
    Object.create(Object.getPrototypeOf(quorum) as object),
    structuredClone({ ...quorum }),
  );
  return { model: structuredClone(model), quorum: clone };
}

type Event = readonly [name: string, act: (state: State) => void];

class Checker {
  readonly story: string[] = [];
  private readonly seen = new Set<string>();
  private readonly reach: Reach;
  private readonly needs: PutNeeds;

  constructor(reach: Reach, needs: PutNeeds) {
    this.reach = reach;
    this.needs = needs;
  }

  get states(): number {
    return this.seen.size;
  }

  begin(quorum: PutQuorum): State {
    const model: Model = {
      ...{ minters: [], minterOpen: false, minted: false, overtaken: 'no' as const, asks: [] },
      ...{ mayBeStored: false, over: false, told: 'nothing' as const },
    };
    const state = { model, quorum };
    this.obey(state);
    return state;
  }

  /** Every state that can be reached from this one. */
  explore(state: State): void {
    const key = JSON.stringify([state.model, state.quorum]);
    if (this.seen.has(key)) return;
    this.seen.add(key);
    for (const [name, act] of this.eventsOf(state)) {
      const next = copyOf(state);
      this.story.push(name);
      act(next);
      this.obey(next);
      this.explore(next);
      this.story.pop();
    }
  }

  /** One way through. */
  walk(state: State, random: SeededRandom): void {
    for (let events = this.eventsOf(state); events.length > 0; events = this.eventsOf(state)) {
      const [name, act] = events[random.uint32() % events.length]!;
      this.story.push(name);
      act(state);
      this.obey(state);
      if (this.story.length > 60) return;
    }
  }

  private eventsOf({ model }: State): Event[] {
    const events: Event[] = [];
    if (model.told === 'failed') return events;
    if (model.minterOpen) this.addMintEvents(events, model);
    for (const [i, ask] of model.asks.entries()) {
      if (ask.state !== 'open' && ask.state !== 'silent') continue;
      const at = ask.place === LAST_RESORT ? LAST_RESORT + ask.slot : ask.place;
      for (const as of ['stored', 'durable'] as const) {
        events.push([
          `${at} ${as}`,
          (next) => {
            next.model.asks[i]!.state = as;
            next.quorum.onWrote(at, as === 'durable');
          },
        ]);
      }
      for (const mayHold of [false, true]) {
        events.push([
          `${at} failed${mayHold ? ', may hold' : ''}`,
          (next) => {
            next.model.asks[i]!.state = 'failed';
            next.quorum.onFailed(at, mayHold);
          },
        ]);
      }
      if (ask.state === 'open' && ask.place !== LAST_RESORT) {
        events.push([
          `${at} is silent`,
          (next) => {
            next.model.asks[i]!.state = 'silent';
            next.quorum.onSilent(at);
          },
        ]);
      }
    }
    if (model.told === 'nothing') {
      events.push([
        'deadline',
        (next) => {
          next.model.over = true;
          if (next.model.minterOpen) next.model.mayBeStored = true;
          next.quorum.onDeadline();
        },
      ]);
    }
    return events;
  }

  private addMintEvents(events: Event[], model: Model): void {
    const minter = model.minters.at(-1)!;
    events.push([
      `${minter} minted`,
      (next) => {
        next.model.minted = true;
        next.model.minterOpen = false;
        next.model.mayBeStored = true;
        next.quorum.onMinted();
        const slot = next.quorum.slotOf(minter);
        const { overtaken } = next.model;
        next.model.asks = [{ place: minter, slot, state: overtaken === 'no' ? 'open' : overtaken }];
        // It answers 'repeated': it is stored already, and as durably as it said before.
        if (overtaken !== 'no') next.quorum.onWrote(minter, false);
      },
    ]);
    for (const canStore of [false, true]) {
      events.push([
        `${minter} did not mint${canStore ? ', but can store' : ''}`,
        (next) => {
          next.model.minterOpen = false;
          // A minter that has forgotten what it minted: nobody else may mint the attempt again.
          if (next.model.overtaken !== 'no') next.model.over = true;
          next.quorum.onNotMinted(canStore);
        },
      ]);
    }
    events.push([
      `${minter} is lost while minting`,
      (next) => {
        next.model.minterOpen = false;
        next.model.mayBeStored = true;
        next.model.over = true;
        next.quorum.onMinterLost();
      },
    ]);
    if (model.overtaken !== 'no') return;
    for (const as of ['stored', 'durable'] as const) {
      events.push([
        `${minter} is ${as} before its minted object is known`,
        (next) => {
          next.model.overtaken = as;
          next.model.mayBeStored = true;
          next.model.minterOpen = false;
          next.quorum.onWrote(minter, as === 'durable');
        },
      ]);
    }
  }

  // ── What the quorum wants, held against the definitions ────────────────────────────────────────────────────────

  private obey({ model, quorum }: State): void {
    for (let steps = 0; ; steps++) {
      this.expect(steps < 100, 'wants things for ever');
      const verdict = quorum.next();
      if (verdict === 'pending') break;
      if (verdict === 'mint') this.checkMint(model, quorum);
      else if (verdict === 'store') this.checkStore(model, quorum);
      else if (verdict === 'succeeded') {
        this.expect(model.told === 'nothing', 'tells an outcome twice');
        this.expect(this.isMet(model), 'tells success too early');
        this.checkReceipt(model, quorum);
        model.told = 'succeeded';
      } else {
        this.expect(model.told === 'nothing', 'tells an outcome twice');
        this.expect(!this.isMet(model) || model.over, 'tells failure although enough is stored');
        this.expect(model.over || this.isHopeless(model), 'gives up too early');
        this.expect(quorum.definite === !model.mayBeStored, `definite: ${quorum.definite}`);
        model.told = 'failed';
      }
    }
    if (model.told === 'nothing') {
      this.expect(!this.isMet(model), 'does not tell success');
      const open = model.minterOpen || model.asks.some(({ state }) => state === 'open' || state === 'silent');
      this.expect(open, 'nothing is under way, and no outcome was told');
    }
    if (model.told === 'succeeded') this.checkCompletion(model, quorum);
  }

  private checkMint(model: Model, quorum: PutQuorum): void {
    this.expect(!model.minterOpen && !model.minted, 'has two asked to mint');
    if (model.overtaken !== 'no') this.expect(quorum.place === model.minters.at(-1), 'must ask the same minter again');
    else this.expect(!model.minters.includes(quorum.place), `asks ${quorum.place} to mint again`);
    const { n, up } = this.reach;
    for (let place = 0; place < n; place++) {
      if (quorum.place < n || !hasSlot(up, place)) continue;
      this.expect(model.minters.includes(place), `fallback ${quorum.place} mints, and primary ${place} was not asked`);
    }
    model.minters.push(quorum.place);
    model.minterOpen = true;
  }

  private checkStore(model: Model, quorum: PutQuorum): void {
    const { place, slot } = quorum;
    const { n, places, up } = this.reach;
    this.expect(model.minted && model.told !== 'failed', 'stores what is not minted, or has failed');
    this.expect(!this.heldSlots(model).has(slot), `slot ${slot} is held already`);
    const holders = model.asks.filter((ask) => ask.slot === slot);
    this.expect(
      holders.every(({ state }) => state === 'failed' || state === 'silent'),
      `slot ${slot} is waited for`,
    );
    const asked = (one: number) => model.asks.some((ask) => ask.place === one);
    if (place === LAST_RESORT) {
      this.expect(model.told === 'succeeded', 'the last resort counts for nothing before the reply');
      this.expect(!holders.some((ask) => ask.place === LAST_RESORT), 'the last resort is asked twice for a slot');
      for (let other = n; other < places; other++) {
        this.expect(asked(other) || !hasSlot(up, other), `the last resort is asked before fallback ${other}`);
      }
    } else {
      this.expect(!asked(place), `${place} would hold two slots`);
      this.expect(place === slot || place >= n, `primary ${place} stands in for another`);
      if (place >= n) {
        this.expect(asked(slot) || !hasSlot(up, slot), `primary ${slot} is passed over`);
        for (let other = n; other < place; other++) {
          this.expect(asked(other) || !hasSlot(up, other), `fallback ${other} is passed over`);
        }
      }
    }
    model.asks.push({ place, slot, state: 'open' });
  }

  private checkReceipt(model: Model, quorum: PutQuorum): void {
    const held = this.heldSlots(model);
    this.expect(quorum.got === held.size, `counts ${quorum.got} of ${held.size} slots`);
    const slots = new Set<number>();
    for (let place = 0; place < this.reach.places; place++) {
      if (!hasSlot(quorum.holders, place)) continue;
      const ask = model.asks.find((one) => one.place === place && (one.state === 'stored' || one.state === 'durable'));
      this.expect(ask !== undefined && !slots.has(ask.slot), `${place} in the receipt`);
      slots.add(ask!.slot);
    }
    this.expect(slots.size === held.size, 'the receipt names one holder of each slot that counts');
  }

  /** After a success, every slot is held, hinted, waited for, or nobody is left to be asked. */
  private checkCompletion(model: Model, quorum: PutQuorum): void {
    let settled = true;
    for (let slot = 0; slot < this.reach.n; slot++) {
      const asks = model.asks.filter((ask) => ask.slot === slot);
      if (asks.some(({ state }) => state === 'stored' || state === 'durable')) continue;
      const open = asks.filter(({ state }) => state === 'open' || state === 'silent');
      const resorted = asks.some(({ place }) => place === LAST_RESORT);
      this.expect(resorted || open.length > 0, `slot ${slot} is forgotten`);
      if (open.length > 0) settled = false;
    }
    this.expect(quorum.settled === settled, `settled: ${quorum.settled}`);
  }

  private heldSlots(model: Model): Set<number> {
    const counted = model.asks.filter(({ place, state }) => {
      return place !== LAST_RESORT && (state === 'stored' || state === 'durable');
    });
    return new Set(counted.map(({ slot }) => slot));
  }

  private isMet(model: Model): boolean {
    if (!model.minted) return false;
    const primaries = model.asks.filter(
      ({ place, state }) => place < this.reach.n && (state === 'stored' || state === 'durable'),
    ).length;
    const durable = new Set(model.asks.filter(({ state }) => state === 'durable').map(({ slot }) => slot)).size;
    const { w, pw, dw } = this.needs;
    return this.heldSlots(model).size >= Math.max(w, pw) && primaries >= pw && durable >= dw;
  }

  /** Even if all that is open ended well, it would not do. */
  private isHopeless(model: Model): boolean {
    if (!model.minted) return true;
    const { w, pw, dw } = this.needs;
    const open = model.asks.filter(({ state }) => state === 'open' || state === 'silent');
    const held = this.heldSlots(model);
    const durable = new Set(model.asks.filter(({ state }) => state === 'durable').map(({ slot }) => slot));
    const slots = new Set([...held, ...open.map(({ slot }) => slot)]);
    for (const { slot } of open) if (!held.has(slot)) durable.add(slot);
    const primaries = model.asks.filter(({ place, state }) => place < this.reach.n && state !== 'failed').length;
    return slots.size < Math.max(w, pw) || durable.size < dw || primaries < pw;
  }

  private expect(holds: boolean, complaint: string): void {
    if (holds) return;
    throw new Error(`${complaint}: ${JSON.stringify({ reach: this.reach, needs: this.needs, story: this.story })}`);
  }
}

type MakeQuorum = (reach: Reach, needs: PutNeeds) => PutQuorum;

function* needsOf(n: number): Generator<PutNeeds> {
  for (let w = 1; w <= n; w++) {
    for (let pw = 0; pw <= w; pw++) for (let dw = 0; dw <= n; dw++) yield { w, pw, dw };
  }
}

/** Visits every state of a put of up to `largest` slots and as many places. @returns how many states. */
function exploreAll(largest: number, fallbacks: number, make: MakeQuorum): number {
  let states = 0;
  for (let n = 1; n <= largest; n++) {
    for (const needs of needsOf(n)) {
      for (let standIns = 0; standIns <= fallbacks; standIns++) {
        const reach = everyone(n, n + standIns);
        const checker = new Checker(reach, needs);
        checker.explore(checker.begin(make(reach, needs)));
        states += checker.states;
      }
    }
  }
  return states;
}

test('in every order of events, for short lists, it does and tells what the definitions say', async (t) => {
  const states = exploreAll(2, 1, (reach, needs) => new PutQuorum(reach, needs));
  t.ok(states > 3_000, `only ${states} states were visited`);
});

test('on long lists, some of them down or suspected, any way through is right', async (t) => {
  const random = new SeededRandom(7n);
  const walks = Number(process.env.QUORAL_WALKS ?? 5_000);
  for (let i = 0; i < walks; i++) {
    const n = 1 + (random.uint32() % 4);
    const places = n + (random.uint32() % 4);
    const all = [...needsOf(n)];
    const needs = all[random.uint32() % all.length]!;
    let reach: Reach;
    do {
      const up = random.uint32() & random.uint32() & firstSlots(places);
      const most = (random.uint32() | random.uint32()) & firstSlots(places);
      reach =
        random.uint32() % 2 === 0 ? everyone(n, places) : { n, places, up: most, suspect: up & ~most, slow: NO_SLOTS };
      // Where too few are up, everybody is asked after all; that has a test of its own.
    } while (countSlots(reach.up) < Math.max(needs.w, needs.dw) || countSlots(reach.up & firstSlots(n)) < needs.pw);
    const checker = new Checker(reach, needs);
    checker.walk(checker.begin(new PutQuorum(reach, needs)), random);
  }
  t.pass(`${walks} walks`);
});

/** What it wants now, in words. */
function wishes(quorum: PutQuorum): string[] {
  const said: string[] = [];
  for (let verdict = quorum.next(); verdict !== 'pending'; verdict = quorum.next()) {
    if (verdict === 'store' && quorum.place === LAST_RESORT) said.push(`last resort for ${quorum.slot}`);
    else if (verdict === 'store') said.push(`${quorum.place} for ${quorum.slot}`);
    else said.push(verdict === 'mint' ? `mint ${quorum.place} for ${quorum.slot}` : verdict);
  }
  return said;
}

const TWO = { w: 2, pw: 0, dw: 0 };

test('a primary that is down is stood in for from the start, in the order of the list', async (t) => {
  const quorum = new PutQuorum({ ...everyone(3, 5), up: 0b11001 }, TWO);
  t.same(wishes(quorum), ['mint 0 for 0']);
  quorum.onMinted();
  t.same(wishes(quorum), ['3 for 1', '4 for 2']);
  quorum.onWrote(3, true);
  quorum.onWrote(4, true);
  t.same(wishes(quorum), ['succeeded'], 'two slots, by two stand-ins');
  t.equal(quorum.hintHolders, 0b11000);
});

test('no primary can be reached: the first fallback mints, for the first of them', async (t) => {
  const quorum = new PutQuorum({ ...everyone(3, 5), up: 0b11000, suspect: 0b00100 }, TWO);
  t.same(wishes(quorum), ['mint 3 for 0']);
  quorum.onMinted();
  t.same(wishes(quorum), ['4 for 1', '2 for 2'], 'whoever is only suspected is asked when nobody else is left');
  quorum.onWrote(3, true);
  quorum.onWrote(4, true);
  t.same(wishes(quorum), ['succeeded']);
  t.equal(quorum.settled, false);
});

test('a primary that refuses for want of room is not replaced by a fallback as minter', async (t) => {
  const quorum = new PutQuorum(everyone(3, 5), { w: 1, pw: 0, dw: 0 });
  wishes(quorum);
  quorum.onNotMinted(false, false);
  t.same(wishes(quorum), ['mint 1 for 1']);
  quorum.onNotMinted(false, false);
  quorum.next();
  quorum.onNotMinted(false, false);
  t.same(wishes(quorum), ['failed']);
  t.equal(quorum.definite, true);
});

test('who is silent is stood in for; his acknowledgement counts all the same, and the slot once', async (t) => {
  const quorum = new PutQuorum(everyone(3, 4), { w: 3, pw: 0, dw: 0 });
  wishes(quorum);
  quorum.onMinted();
  wishes(quorum);
  quorum.onWrote(0, false);
  quorum.onSilent(1);
  t.same(wishes(quorum), ['3 for 1']);
  quorum.onWrote(1, false);
  quorum.onWrote(3, true);
  t.same(wishes(quorum), [], 'two of three slots');
  t.equal(quorum.got, 2);
  quorum.onWrote(2, false);
  t.same(wishes(quorum), ['succeeded']);
  t.equal(quorum.holders, 0b0111, 'the primary acknowledges; the stand-in keeps a hint beside it');
});

test('a failure names the quorum that is lacking, by its own count', async (t) => {
  const failing = (needs: { w: number; pw: number; dw: number }, places: number, what: (quorum: PutQuorum) => void) => {
    const quorum = new PutQuorum(everyone(3, places), needs);
    wishes(quorum);
    what(quorum);
    t.equal(wishes(quorum).at(-1), 'failed');
    const { quorum: name, got, wanted, possible } = quorum.unmet;
    return `${name} ${got}/${wanted} of ${possible}`;
  };
  const mint = (quorum: PutQuorum, durable = false) => {
    quorum.onMinted();
    wishes(quorum);
    quorum.onWrote(0, durable);
    wishes(quorum);
  };
  const lose = (quorum: PutQuorum, ...places: number[]) => {
    for (const place of places) {
      quorum.onFailed(place, false);
      if (place !== places.at(-1)) wishes(quorum);
    }
  };
  // A stand-in makes up for W, not for PW, and nothing makes up for what was not flushed.
  t.equal(
    failing({ w: 2, pw: 2, dw: 0 }, 5, (quorum) => {
      mint(quorum);
      lose(quorum, 1, 2);
    }),
    'pw 1/2 of 1',
  );
  t.equal(
    failing({ w: 1, pw: 0, dw: 2 }, 3, (quorum) => {
      mint(quorum);
      wishes(quorum);
      quorum.onWrote(1, true);
      wishes(quorum);
      lose(quorum, 2);
    }),
    'dw 1/2 of 1',
  );
  t.equal(
    failing({ w: 2, pw: 1, dw: 1 }, 3, (quorum) => {
      mint(quorum, true);
      lose(quorum, 1, 2);
    }),
    'w 1/2 of 1',
  );
  // In time, all might have been met: the first that was not.
  t.equal(
    failing({ w: 2, pw: 2, dw: 2 }, 3, (quorum) => {
      mint(quorum);
      quorum.onDeadline();
    }),
    'w 1/2 of 3',
  );
  t.equal(
    failing({ w: 1, pw: 3, dw: 0 }, 5, (quorum) => quorum.onNotMinted()),
    'pw 0/3 of 2',
  );
});

test('once W is met, a slot that nobody can hold gets a hint here; if that is full, it is let go', async (t) => {
  const quorum = new PutQuorum(everyone(3), TWO);
  wishes(quorum);
  quorum.onMinted();
  wishes(quorum);
  quorum.onFailed(2, false);
  t.same(wishes(quorum), []);
  quorum.onWrote(0, false);
  quorum.onWrote(1, false);
  t.same(wishes(quorum), ['succeeded', 'last resort for 2']);
  t.equal(quorum.settled, false);
  quorum.onFailed(LAST_RESORT + 2, false);
  t.same(wishes(quorum), []);
  t.equal(quorum.settled, true);
});

test('where the view of the others leaves too few, they are asked all the same', async (t) => {
  const quorum = new PutQuorum({ ...everyone(3, 5), up: 0b00001 }, TWO);
  wishes(quorum);
  quorum.onMinted();
  t.same(wishes(quorum), ['1 for 1', '2 for 2']);
});

test('a put waits for 1 to n slots', async (t) => {
  for (const needs of [
    { w: 0, pw: 0, dw: 0 },
    { w: 4, pw: 0, dw: 0 },
    { w: 1, pw: 0, dw: 4 },
    { w: 1, pw: 4, dw: 0 },
  ]) {
    t.throws(() => new PutQuorum(everyone(3), needs), /waits for 1 to n/);
  }
  t.throws(() => new PutQuorum(everyone(33), { w: 1, pw: 0, dw: 0 }), /1 to 32 places/);
});

// ---- The checker must catch mistakes: each class below makes one.

/** Has a slot that was acknowledged by its stand-in acknowledged once more by its primary. */
class CountsASlotTwice extends PutQuorum {
  override get got(): number {
    return countSlots(this.holders | this.hintHolders);
  }
}

/** Lets another mint although the first one may have. */
class MintsTwice extends PutQuorum {
  override onMinterLost(): void {
    this.onNotMinted();
  }
}

class IsAlwaysDefinite extends PutQuorum {
  override get definite(): boolean {
    return true;
  }
}

class IgnoresDurability extends PutQuorum {
  override onWrote(place: number, _durable: boolean): void {
    super.onWrote(place, true);
  }
}

class IgnoresFailures extends PutQuorum {
  override onFailed(): void {}
}

class IgnoresSilence extends PutQuorum {
  override onSilent(): void {}
  override get settled(): boolean {
    return this.replied;
  }
}

/** Takes a hint on the coordinator's own node for an acknowledgement. */
class CountsTheLastResort extends PutQuorum {
  override onWrote(place: number, durable: boolean): void {
    super.onWrote(place >= LAST_RESORT ? place - LAST_RESORT : place, durable);
  }
}

/** Counts what PW asks for without regard to who it is. */
class TakesFallbacksForPrimaries extends PutQuorum {
  constructor(reach: Reach, needs: PutNeeds) {
    super(reach, { ...needs, pw: 0, w: Math.max(needs.w, needs.pw) });
  }
}

for (const Planted of [
  CountsASlotTwice,
  MintsTwice,
  IsAlwaysDefinite,
  IgnoresDurability,
  IgnoresFailures,
  IgnoresSilence,
  CountsTheLastResort,
  TakesFallbacksForPrimaries,
]) {
  test(`the exploration catches a put that ${Planted.name}`, async (t) => {
    t.throws(() => exploreAll(2, 1, (reach, needs) => new Planted(reach, needs)), /"story":/);
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
  t.equal(countSlots(firstSlots(32)), 32);
  t.equal(withSlot(0, 31), 1 << 31);
});
