/**
 * Goal: the quorum get, in every order of its inputs, tells what a naive model of it tells.
 *
 * A replica's object is a set of writes, as bits; the merge of two is their union, the digest of one is itself, and
 * nothing there is the empty set. What a reply must hold is then plain: every write of every replica that was counted.
 * All states that can be reached are visited once, for every content of the replicas, up to four slots, with and
 * without notfoundOk and basicQuorum.
 */
import { test } from 'tap';
import { SeededRandom } from '../../../src/base/random.js';
import { type GetNeeds, GetQuorum, type GetVerdict } from '../../../src/quorum/get-quorum.js';
import { everyone, type Reach } from '../../../src/quorum/reach.js';
import { countSlots, firstSlots, hasSlot } from '../../../src/quorum/slots.js';

type SlotState =
  | 'unasked'
  | 'object asked'
  | 'digest asked'
  | 'digest known'
  | 'object known'
  | 'absent'
  | 'corrupt'
  | 'failed';

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
  private readonly needs: GetNeeds;

  constructor(contents: readonly number[], needs: GetNeeds) {
    this.contents = contents;
    this.r = needs.r;
    this.needs = needs;
  }

  /** So many slots that give no answer that counts end the read: Riak's formula. */
  private get threshold(): number {
    const n = this.contents.length;
    const outOfReach = n - this.r + 1;
    const { notfoundOk, basicQuorum } = this.needs;
    return basicQuorum && !notfoundOk ? Math.min(Math.floor(n / 2) + 1, outOfReach) : outOfReach;
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
    if (content === 0) {
      this.step(state, `${slot} has nothing`, ({ model, quorum }) => {
        model.slots[slot] = this.needs.notfoundOk ? 'object known' : 'absent';
        this.expectNext(model, quorum, quorum.onNothing(slot));
      });
    } else if (asked === 'object asked') {
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
      this.expect(hasSlot(quorum.corrupt, slot), 'a corrupt replica is to be repaired');
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
    const failed = model.slots.filter((state) => state === 'failed' || state === 'corrupt').length;
    const lost = failed + model.slots.filter((state) => state === 'absent').length;
    const over = lost >= this.threshold;
    if (counted.length >= this.r) {
      this.expectVerdict(verdict, 'succeeded');
      model.told = 'succeeded';
      this.expectEverythingCounted(model, counted);
      this.expect(quorum.got >= this.r, `a success with ${quorum.got} answers`);
    } else if (over && failed === 0 && !this.exists(model)) {
      this.expectVerdict(verdict, 'succeeded');
      model.told = 'succeeded';
    } else if (over && this.isHeardOut(model)) {
      this.expectVerdict(verdict, 'failed');
      model.told = 'failed';
    } else if (verdict === 'fetch') {
      const asked = model.slots[quorum.placeToAsk];
      this.expect(asked === 'unasked' || asked === 'digest known', `fetches slot ${quorum.placeToAsk}: ${asked}`);
      model.slots[quorum.placeToAsk] = 'object asked';
      const contacted = model.slots.filter((state) => state !== 'unasked').length;
      if (over) return;
      this.expect(contacted <= this.r + lost, `${contacted} slots were asked, though only ${lost} failed`);
    } else this.expectVerdict(verdict, 'pending');
  }

  private exists(model: Model): boolean {
    return model.slots.includes('object known') || model.slots.includes('digest known');
  }

  /**
   * A hopeless read is over at once, but one with replicas that are unreadable, or lack what others have, only when
   * every other one was heard.
   */
  private isHeardOut(model: Model): boolean {
    if (!model.slots.includes('corrupt') && !(model.slots.includes('absent') && this.exists(model))) return true;
    const open = model.slots.filter((state) => state !== 'failed' && state !== 'corrupt' && state !== 'absent').length;
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
      if (was === 'absent' || (was === 'object known' && content === 0)) verdict = quorum.onNothing(slot);
      else if (was === 'object known') verdict = quorum.onObject(slot, content, content);
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
    throw new Error(
      `${complaint}: ${JSON.stringify({ needs: this.needs, contents: this.contents, story: this.story })}`,
    );
  }
}

type MakeQuorum = (reach: Reach, needs: GetNeeds) => GetQuorum;

const ABSENCES = [
  { notfoundOk: true, basicQuorum: false },
  { notfoundOk: true, basicQuorum: true },
  { notfoundOk: false, basicQuorum: false },
  { notfoundOk: false, basicQuorum: true },
];

/** Every state of one get. @returns how many there are */
function explore(contents: readonly number[], needs: GetNeeds, make: MakeQuorum): number {
  const slots = contents.map(
    (_, slot): SlotState => (slot === 0 ? 'object asked' : slot < needs.r ? 'digest asked' : 'unasked'),
  );
  const explorer = new Explorer(contents, needs);
  explorer.explore({
    model: { slots, reference: -1, told: 'nothing' },
    quorum: make(everyone(contents.length), needs),
  });
  return explorer.states;
}

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
        for (const absences of ABSENCES) states += explore(contents, { r, pr: 0, ...absences }, make);
      }
    }
  }
  return states;
}

test('in every order of events, up to three slots, the verdict is the naive one', async (t) => {
  const states = exploreAll(3, (reach, needs) => new GetQuorum(reach, needs));
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
      for (const absences of ABSENCES) {
        const states = explore(contents, { r, pr: 0, ...absences }, (reach, needs) => new GetQuorum(reach, needs));
        // One that is over after few answers has few states.
        t.ok(states > 20, `${states} states`);
      }
    }
  }
});

test('PR raises R, and a get asks 1 to n slots', async (t) => {
  t.equal(new GetQuorum(everyone(3), { r: 1, pr: 2 }).wanted, 2);
  t.throws(() => new GetQuorum(everyone(3), { r: 0, pr: 0 }), /1 to n/);
  t.throws(() => new GetQuorum(everyone(3), { r: 4, pr: 0 }), /1 to n/);
});

test('a failure names the quorum that is lacking, by its own count', async (t) => {
  const unmet = (r: number, pr: number, places: number, failing: readonly number[], late = false) => {
    const quorum = new GetQuorum(everyone(3, places), { r, pr });
    let verdict: GetVerdict = 'pending';
    if (!failing.includes(0)) verdict = quorum.onObject(0, 1, 1);
    for (const place of failing) verdict = quorum.onFailed(place);
    if (late) verdict = quorum.onDeadline();
    t.equal(verdict, 'failed');
    const { quorum: name, got, wanted, possible } = quorum.unmet;
    return `${name} ${got}/${wanted} of ${possible}`;
  };
  t.equal(unmet(2, 0, 3, [1, 2]), 'r 1/2 of 1');
  // Stand-ins make up for R, not for PR.
  t.equal(unmet(2, 2, 5, [1, 2]), 'pr 1/2 of 1');
  t.equal(unmet(1, 3, 5, [0]), 'pr 0/3 of 2');
  t.equal(unmet(1, 2, 3, [], true), 'pr 1/2 of 3');
  t.equal(unmet(2, 2, 3, [], true), 'r 1/2 of 3');
});

// ---- The checker must catch mistakes: each class below makes one.

/** Takes every digest for an equal one. */
class IgnoresDigestMismatches extends GetQuorum {
  private high = 0;

  override onObject(slot: number, digestHigh: number, digestLow: number): GetVerdict {
    if (this.reference === -1) this.high = digestHigh;
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

class CountsAbsences extends GetQuorum {
  override onNothing(slot: number): GetVerdict {
    return super.onObject(slot, 0, 0);
  }
}

class TakesAbsencesForFailures extends GetQuorum {
  override onNothing(slot: number): GetVerdict {
    return super.onFailed(slot);
  }
}

class KnowsNoBasicQuorum extends GetQuorum {
  constructor(reach: Reach, needs: GetNeeds) {
    super(reach, { ...needs, basicQuorum: false });
  }
}

/** Ends a read with absences by the threshold alone, and heals nobody. */
class NeverHearsOut extends GetQuorum {
  override onNothing(slot: number): GetVerdict {
    const verdict = super.onNothing(slot);
    if (verdict !== 'fetch' || this.got === 0) return verdict;
    this.replied = true;
    return 'failed';
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
  CountsAbsences,
  TakesAbsencesForFailures,
  KnowsNoBasicQuorum,
  NeverHearsOut,
  RepliesTwice,
]) {
  test(`the exploration catches a get that ${Planted.name}`, async (t) => {
    t.throws(() => exploreAll(3, (reach, needs) => new Planted(reach, needs)), /"story":/);
  });
}

// ---- Beyond the primaries: stand-ins, replicas that are behind, silence.

/** One way through a get of a list with fallbacks, held against what each answer is worth. */
class Walk {
  private readonly reach: Reach;
  private readonly r: number;
  /** By place, what it holds: bits of writes; and whether it may lack what stand-ins keep for it. */
  private readonly contents: readonly number[];
  private readonly behind: readonly boolean[];
  private readonly quorum: GetQuorum;
  private readonly open = new Map<number, 'object' | 'digest'>();
  private readonly asked: number[] = [];
  private readonly objects = new Set<number>();
  private readonly digests = new Set<number>();
  private readonly story: string[] = [];
  /** The first object that came: what digests are compared with. */
  private reference = 0;
  private told: GetVerdict = 'pending';

  constructor(quorum: GetQuorum, reach: Reach, r: number, random: SeededRandom) {
    this.quorum = quorum;
    this.reach = reach;
    this.r = r;
    const shape = random.uint32() % 3;
    this.contents = Array.from({ length: reach.places }, () => (shape === 0 ? 0 : random.uint32() % 3));
    this.behind = this.contents.map((_, place) => place < reach.n && random.uint32() % 3 === 0);
    for (let place = 0; place < reach.places; place++) {
      if (hasSlot(quorum.firstAsked, place)) this.ask(place, place === quorum.firstFull ? 'object' : 'digest');
    }
    this.expect(this.asked.length === r, `asks ${this.asked.length} of ${r}`);
    while (this.told === 'pending' && this.open.size > 0) this.step(random);
    this.expect(this.told !== 'pending', 'nothing is under way, and no outcome was told');
  }

  private step(random: SeededRandom): void {
    const place = [...this.open.keys()][random.uint32() % this.open.size]!;
    const kind = this.open.get(place)!;
    const chance = random.uint32() % 8;
    const content = this.contents[place]!;
    const behind = this.behind[place]!;
    if (chance === 0) {
      this.story.push(`${place} is silent`);
      this.hear(this.quorum.onSilent(place));
      return;
    }
    this.open.delete(place);
    if (chance === 1) {
      this.story.push(`${place} failed`);
      this.digests.delete(place);
      this.hear(this.quorum.onFailed(place));
    } else if (content === 0 || kind === 'object') {
      this.story.push(`${place} gives ${content}${behind ? ', behind' : ''}`);
      this.objects.add(place);
      if (this.reference === 0) this.reference = content;
      this.digests.delete(place);
      const { quorum } = this;
      this.hear(content === 0 ? quorum.onNothing(place, behind) : quorum.onObject(place, content, content, behind));
    } else {
      this.story.push(`${place} has ${content}${behind ? ', behind' : ''}`);
      this.digests.add(place);
      this.hear(this.quorum.onDigest(place, content, content, behind));
    }
  }

  private hear(verdict: GetVerdict): void {
    if (verdict === 'fetch') {
      this.ask(this.quorum.placeToAsk, 'object');
      return;
    }
    this.told = verdict;
    if (verdict === 'succeeded') this.checkSuccess();
    // What is still open may come too late; whoever was not asked could have helped.
    if (verdict === 'failed') {
      const left = firstSlots(this.reach.places) & (this.reach.up | this.reach.suspect);
      const untried = this.asked.reduce((set, place) => set & ~(1 << place), left);
      this.expect(untried === 0, 'gives up although not everybody was asked');
    }
  }

  private checkSuccess(): void {
    const { n } = this.reach;
    const known = [...this.objects].map((place) => this.contents[place]!);
    const merged = known.reduce((all, content) => all | content, 0);
    const agreeing = [...this.digests].filter((place) => this.contents[place] === this.reference);
    const heard = [...this.objects, ...agreeing];
    const primaryHeard = heard.some((place) => place < n);
    const counted = heard.filter((place) => place < n || this.contents[place] !== 0 || primaryHeard);
    this.expect(counted.length >= this.r, `a success with ${counted.length} answers`);
    const isBehind = counted.some((place) => this.behind[place]);
    this.expect(this.quorum.mayMissHints === isBehind, `may miss hints: ${this.quorum.mayMissHints}`);
    if (merged !== 0 || !isBehind || counted.some((place) => place < n && !this.behind[place])) return;
    // Only ignorance was heard: then from everybody who can be asked.
    const up = firstSlots(this.reach.places) & (this.reach.up | this.reach.suspect);
    this.expect(this.asked.length === countSlots(up) && this.open.size === 0, 'tells what it cannot know');
  }

  private ask(place: number, kind: 'object' | 'digest'): void {
    this.expect(!this.objects.has(place), `fetches what ${place} gave before`);
    const again = this.asked.includes(place);
    this.expect(!again || this.digests.has(place), `asks ${place} again`);
    if (!again) {
      const better = this.reach.up & ~this.asked.reduce((set, one) => set | (1 << one), 0) & firstSlots(place);
      this.expect(!hasSlot(this.reach.up, place) || better === 0, `${place} is asked before others that are up`);
      this.asked.push(place);
    }
    this.digests.delete(place);
    this.open.set(place, kind);
  }

  private expect(holds: boolean, complaint: string): void {
    if (holds) return;
    const { reach, r, contents, behind, story } = this;
    throw new Error(`${complaint}: ${JSON.stringify({ reach, r, contents, behind, story })}`);
  }
}

function walkAll(make: (reach: Reach, r: number) => GetQuorum): void {
  const random = new SeededRandom(11n);
  const walks = Number(process.env.QUORAL_WALKS ?? 5_000);
  for (let i = 0; i < walks; i++) {
    const n = 1 + (random.uint32() % 4);
    const places = n + (random.uint32() % 4);
    const r = 1 + (random.uint32() % n);
    const some = random.uint32() & firstSlots(places);
    const reach: Reach = {
      ...everyone(n, places),
      ...(random.uint32() % 2 === 0 && countSlots(some) >= r ? { up: some, suspect: ~some & firstSlots(places) } : {}),
    };
    new Walk(make(reach, r), reach, r, random);
  }
}

test('with fallbacks, replicas that are behind, and silence, an outcome is worth what was heard', async (t) => {
  walkAll((reach, r) => new GetQuorum(reach, { r, pr: 0 }));
  t.pass('held on every walk');
});

/** Takes what a fallback does not have for something that is not there. */
class TrustsAFallbacksNothing extends GetQuorum {
  override onNothing(place: number, behind?: boolean): GetVerdict {
    // As if it were an empty object.
    return place < this.primaryCount ? super.onNothing(place, behind) : super.onObject(place, 0, 0);
  }

  primaryCount = 0;
}

/** Takes a replica that has just come back for one that knows everything. */
class TrustsWhoIsBehind extends GetQuorum {
  override onNothing(place: number): GetVerdict {
    return super.onNothing(place, false);
  }
}

test('the walks catch a get that trusts a nothing that proves nothing', async (t) => {
  const fallbacks = (reach: Reach, r: number) => {
    const quorum = new TrustsAFallbacksNothing(reach, { r, pr: 0 });
    quorum.primaryCount = reach.n;
    return quorum;
  };
  t.throws(() => walkAll(fallbacks), /"story":/);
  t.throws(() => walkAll((reach, r) => new TrustsWhoIsBehind(reach, { r, pr: 0 })), /"story":/);
});

test('a session that is not satisfied asks everybody, until nobody is left', async (t) => {
  const quorum = new GetQuorum(everyone(3, 5), { r: 1, pr: 0 });
  t.equal(quorum.onNothing(0), 'succeeded');
  quorum.reopen();
  t.same(
    [1, 2, 3, 4].map(() => quorum.nextToHear()),
    [1, 2, 3, 4],
  );
  t.equal(quorum.nextToHear(), -1);
  t.equal(quorum.onObject(1, 7, 7), 'succeeded');
  quorum.reopen();
  t.equal(quorum.nextToHear(), -1);
  t.equal(quorum.awaits, true);
  t.equal(quorum.onFailed(2), 'pending');
  t.equal(quorum.onFailed(3), 'pending');
  t.equal(quorum.onFailed(4), 'failed');
});

test('PR: stand-ins do not count for it, and suspected primaries are asked for it', async (t) => {
  const quorum = new GetQuorum({ ...everyone(3, 5), up: 0b11001, suspect: 0b00110 }, { r: 2, pr: 2 });
  t.equal(quorum.firstAsked, 0b00011);
  t.equal(quorum.onFailed(1), 'fetch');
  t.equal(quorum.placeToAsk, 2);
  t.equal(quorum.onFailed(2), 'failed');
});

test('without notfoundOk a stand-in’s nothing does not end a read while primaries may answer', async (t) => {
  for (const basicQuorum of [false, true]) {
    const quorum = new GetQuorum(everyone(3, 5), { r: 3, pr: 3, notfoundOk: false, basicQuorum });
    t.equal(quorum.onSilent(0), 'fetch');
    t.equal(quorum.onNothing(3), 'pending');
    quorum.onObject(0, 1, 1);
    quorum.onDigest(1, 1, 1);
    t.equal(quorum.onDigest(2, 1, 1), 'succeeded');
    t.ok(quorum.agreesWithReference(2));
  }
});
