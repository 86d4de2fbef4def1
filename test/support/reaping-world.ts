/**
 * A small world in which one key is written, deleted and reaped, and its context reduced: primaries that keep objects in memory and on disk,
 * stand-ins with hints, a network that delays, doubles and loses, power losses, restored copies, and rounds of
 * reaping that overlap, are abandoned, or hear their answers twice. The real code of minting, merging, rounds and fences runs
 * in it; each rule that keeps it safe can be broken by name (`PLANTED_BUGS`).
 *
 * Beside it runs a causal oracle: it knows of every write which others it replaced, and whether it ever was durable
 * anywhere. In the end, when everything has arrived and all replicas have exchanged what they have:
 * - nothing may be visible that a durable write had replaced (a resurrection);
 * - everything that was durable and that nothing has replaced must be visible (a loss): no hint may have become undeliverable.
 */
import { Fence, HintFence, heldOf } from '../../src/anti-entropy/fence.js';
import {
  candidateOf,
  type ReapAnswer,
  type ReapAsk,
  type ReapCandidate,
  ReapRound,
  type ReapVerb,
} from '../../src/anti-entropy/reaping.js';
import { EMPTY } from '../../src/base/bytes.js';
import { below, pick, SeededRandom } from '../../src/base/random.js';
import { type CausalContext, coversDot, EMPTY_CONTEXT, joinContexts } from '../../src/clocks/causal-context.js';
import type { Attempt, Dot } from '../../src/clocks/event-id.js';
import { ZERO_TIMESTAMP } from '../../src/clocks/timestamp.js';
import { encodeRecord } from '../../src/codec/record.js';
import { merge } from '../../src/objects/merge.js';
import { mint } from '../../src/objects/mint.js';
import { reduce } from '../../src/objects/reduction.js';
import type { StoredObject } from '../../src/objects/stored-object.js';
import { keyOf, PARTITION } from './tree-replica.js';

export const PLANTED_BUGS = [
  'no tags',
  'a vote is not flushed',
  'a tombstone is removed before the floor is durable',
  'the tag is read at send, not at read',
  'what was made of several carries the highest tag',
  'a stale message is merged, and only then refused',
  'a restored vnode is not set aside',
  'whatever is there is removed, not only what was voted for',
  'the census is skipped',
  'the census does not look at its hints again',
  'contexts are reduced without a round',
] as const;

export type PlantedBug = (typeof PLANTED_BUGS)[number];

export interface ReapingOptions {
  readonly bug?: PlantedBug | undefined;
  /** Vnodes may be set back to a copy of their past. */
  readonly restores?: boolean;
  /** How many writes there are at most (default 9). With fewer more rounds have a deletion to forget. */
  readonly writes?: number;
}

function attemptOf(write: number): Attempt {
  return { high: 9, low: 9, counter: write + 1 };
}

/** What the oracle objects to. */
export class ReapingViolation extends Error {
  override readonly name = 'ReapingViolation';
}

/** An object, and the tag that its vnode had when it was read. */
interface Tagged {
  readonly object: StoredObject;
  readonly tag: number;
  /** Where it was read. */
  readonly source: number;
}

interface Primary {
  memory: StoredObject | undefined;
  disk: StoredObject | undefined;
  fence: Fence;
  /** As on disk. */
  durable: { tag: number; floor: number };
  writer: number;
  counter: number;
  /** A copy of its past, to be restored. */
  copy: { disk: StoredObject | undefined; durable: { tag: number; floor: number } } | undefined;
}

interface Hint {
  object: StoredObject;
  tag: number;
  readonly writer: number;
  counter: number;
}

interface Write {
  readonly dot: Dot;
  readonly token: CausalContext;
  /** By number, the earlier tries of its put. */
  readonly earlier: readonly number[];
  /** By number, those that it had seen, and the earlier tries of its put. */
  readonly replaced: Set<number>;
  durable: boolean;
  /** Its record was removed by a commit: that it was durable is settled. */
  reaped: boolean;
  /** A commit has left it out of a context, since it was replaced: that it was durable is settled. */
  leftOut: boolean;
}

interface Round {
  readonly self: number;
  readonly round: ReapRound;
}

const PRIMARIES = [0, 1, 2];
const MEMBERS = [0, 1, 2, 3];
/** The only one that is: were all of them taken back, nobody would know what was reaped. */
const RESTORED = 0;
const KEY = keyOf(1);
const WRITES = 9;

export class ReapingWorld {
  /** How many tombstones were removed, and contexts reduced; how many messages were refused as stale. */
  reaped = 0;
  reduced = 0;
  refused = 0;
  private readonly random: SeededRandom;
  private readonly options: ReapingOptions;
  private readonly primaries: Primary[] = [];
  /** By holder and owner. */
  private readonly hints = MEMBERS.map(() => new Map<number, Hint>());
  private readonly hintFences = MEMBERS.map(() => new HintFence());
  /** What bears objects; and the questions and answers of rounds, which are lost less often, or none would succeed. */
  private readonly network: (() => void)[] = [];
  private readonly controls: (() => void)[] = [];
  private readonly reads: Tagged[] = [];
  private readonly tokens: CausalContext[] = [EMPTY_CONTEXT];
  private readonly writes: Write[] = [];
  private rounds: Round[] = [];
  private writers = 0;

  constructor(seed: number, options: ReapingOptions = {}) {
    this.random = new SeededRandom(seed);
    this.options = options;
    for (const _ of PRIMARIES) {
      const durable = { tag: 0, floor: 0 };
      this.primaries.push({
        memory: undefined,
        disk: undefined,
        fence: new Fence(),
        durable,
        writer: ++this.writers,
        counter: 0,
        copy: undefined,
      });
    }
  }

  /** Lives through `steps` steps, heals, and looks. @throws {ReapingViolation} */
  run(steps: number): void {
    for (let i = 0; i < steps; i++) this.step();
    this.heal();
    this.check();
  }

  private step(): void {
    const { random } = this;
    const choice = below(random, 100);
    if (choice < 4) this.put();
    else if (choice < 22) this.deliver(this.network, 12);
    else if (choice < 25) this.exchange(pick(random, PRIMARIES), pick(random, PRIMARIES));
    else if (choice < 28) this.flush(pick(random, PRIMARIES));
    else if (choice < 30) this.losePower(pick(random, PRIMARIES));
    else if (choice < 33) this.handOff(pick(random, MEMBERS), this.network);
    else if (choice < 37) this.read();
    else if (choice < 40) this.repair();
    else if (choice < 41 && this.options.restores === true) this.copyOrRestore(RESTORED);
    else if (choice < 41 && this.options.bug === 'contexts are reduced without a round') {
      this.carryOut(this.primaries[pick(random, PRIMARIES)]!, 'reduce');
    } else if (choice < 45 && this.rounds.length < 2) {
      const self = pick(random, PRIMARIES);
      // Most rounds have something to do, or few would come to their end.
      if (this.candidatesOf(this.primaries[self]!).length === 0 && below(random, 20) > 0) return;
      this.rounds.push({ self, round: new ReapRound({ self, primaries: PRIMARIES, members: MEMBERS }) });
    } else if (choice < 80) this.deliver(this.controls, 200);
    else this.lead();
  }

  private put(): void {
    if (this.writes.length === (this.options.writes ?? WRITES)) return;
    const { random } = this;
    const owner = pick(random, PRIMARIES);
    const primary = this.primaries[owner]!;
    const tombstone = below(random, 5) > 1;
    // A client has just read one replica, or all of them; or long ago, or never.
    let token = pick(random, this.tokens);
    const reading = below(random, 9);
    if (reading < 6) token = primary.memory?.context ?? token;
    else if (reading < 8) {
      for (const { memory } of this.primaries) token = joinContexts(token, memory?.context ?? EMPTY_CONTEXT);
    }
    // Now and then it is the second try of the last put, whose first one its client has given up.
    const last = this.writes.at(-1);
    const retries = last !== undefined && below(random, 5) === 0 && !this.isNamedIn(primary.memory, last);
    if (retries) token = last.token;
    if (retries || below(random, 4) > 0) {
      const object = this.mint(primary.memory, token, tombstone, primary.writer, ++primary.counter, retries);
      primary.memory = object;
      this.replicate({ object, tag: primary.fence.tag, source: owner }, owner);
      return;
    }
    // Its node is out of reach: a stand-in mints, under the name of the hint.
    const holder = pick(random, MEMBERS);
    const hint = this.hints[holder]!.get(owner);
    const writer = hint?.writer ?? ++this.writers;
    const counter = (hint?.counter ?? 0) + 1;
    const object = this.mint(hint?.object, token, tombstone, writer, counter, false);
    const mintTag = this.hintFences[holder]!.mintTag(PARTITION);
    const tag = Math.min(hint?.tag ?? mintTag, mintTag);
    this.keepHint(holder, owner, { object, tag, writer, counter });
    this.replicate({ object, tag, source: -1 }, owner);
  }

  private mint(
    local: StoredObject | undefined,
    token: CausalContext,
    tombstone: boolean,
    writer: number,
    counter: number,
    retries: boolean,
  ): StoredObject {
    const dot = { high: writer, low: 1, counter };
    const last = this.writes.length - 1;
    const earlier = retries ? [...this.writes[last]!.earlier, last] : [];
    const { object } = mint(local, {
      dot,
      attempt: attemptOf(this.writes.length),
      earlierAttempts: earlier.map(attemptOf),
      token,
      tokenTimestamp: ZERO_TIMESTAMP,
      clock: { ms: 1, logical: 0 },
      lastWriteWins: false,
      tombstone,
      expiresAtMs: 0,
      body: EMPTY,
    });
    const replaced = new Set<number>();
    for (const [i, write] of this.writes.entries()) {
      if (!coversDot(token, write.dot) && !earlier.includes(i)) continue;
      replaced.add(i);
      // A context may have left out what that had replaced.
      for (const earlier of write.replaced) replaced.add(earlier);
    }
    this.writes.push({ dot, token, earlier, replaced, durable: false, reaped: false, leftOut: false });
    return object;
  }

  /** True if the object shows the write: its client would be told so. */
  private isNamedIn(object: StoredObject | undefined, { dot }: Write): boolean {
    return object !== undefined && coversDot(object.context, dot);
  }

  /** To every slot but `except`: to its owner, or to a stand-in. */
  private replicate(written: Tagged, except: number): void {
    for (const owner of PRIMARIES) {
      if (owner === except) continue;
      if (below(this.random, 4) > 0) this.network.push(() => this.write(owner, written));
      else {
        const holder = pick(this.random, MEMBERS);
        this.network.push(() => this.takeHint(holder, owner, written));
      }
    }
  }

  /** A primary merges what comes, if its fence admits it. */
  private write(node: number, { object, tag, source }: Tagged): boolean {
    const primary = this.primaries[node]!;
    const admitted = primary.fence.admits(tag) || this.options.bug === 'no tags';
    if (admitted || this.options.bug === 'a stale message is merged, and only then refused') {
      primary.memory = primary.memory === undefined ? object : merge(primary.memory, object);
    }
    if (!admitted) {
      this.refused++;
      this.learn(source, primary.fence.floor);
    }
    return admitted;
  }

  /** The sender hears that it was refused: it may be a restored copy. */
  private learn(node: number, floor: number): void {
    const primary = this.primaries[node];
    if (primary === undefined || !primary.fence.isBehind(floor)) return;
    if (this.options.bug === 'a restored vnode is not set aside') return;
    primary.memory = undefined;
    primary.disk = undefined;
    primary.writer = ++this.writers;
    primary.counter = 0;
    const others = this.primaries.filter((other) => other !== primary);
    const state = {
      tag: Math.max(...others.map(({ fence }) => fence.tag)),
      floor: Math.max(...others.map(({ fence }) => fence.floor)),
    };
    primary.fence = new Fence(state);
    primary.durable = state;
    this.excuse();
  }

  private takeHint(holder: number, owner: number, { object, tag }: Tagged): void {
    if (!this.hintFences[holder]!.admits(PARTITION, tag) && this.options.bug !== 'no tags') {
      this.refused++;
      return;
    }
    const hint = this.hints[holder]!.get(owner);
    this.keepHint(holder, owner, {
      object: hint === undefined ? object : merge(hint.object, object),
      tag: Math.min(tag, hint?.tag ?? tag),
      writer: hint?.writer ?? ++this.writers,
      counter: hint?.counter ?? 0,
    });
  }

  private keepHint(holder: number, owner: number, hint: Hint): void {
    this.hints[holder]!.set(owner, hint);
    this.noteDurable(hint.object);
  }

  /** Delivers the holder's hints: now, if there is no network, and else some time, maybe twice. False if one is refused. */
  private handOff(holder: number, network?: (() => void)[]): boolean {
    let all = true;
    for (const [owner, hint] of [...this.hints[holder]!]) {
      const arrive = (): void => {
        if (!this.write(owner, { object: hint.object, tag: hint.tag, source: -1 })) {
          all = false;
          return;
        }
        // Acknowledged once it is durable; deleted if it is still the one that was sent.
        this.flush(owner);
        if (this.hints[holder]!.get(owner) === hint) this.hints[holder]!.delete(owner);
      };
      if (network === undefined) arrive();
      else network.push(arrive);
    }
    return all;
  }

  /** A coordinator reads a replica: for a client, and to repair another one some time. */
  private read(): void {
    const source = pick(this.random, PRIMARIES);
    const { memory, fence } = this.primaries[source]!;
    if (memory === undefined) return;
    this.tokens.push(memory.context);
    // Some are kept for long: a coordinator may stand still while a whole round goes by.
    if (this.reads.length === 6) this.reads.splice(1 + below(this.random, 5), 1);
    this.reads.push({ object: memory, tag: fence.tag, source });
    if (this.tokens.length > 6) this.tokens.splice(1, 1);
  }

  private repair(): void {
    if (this.reads.length === 0) return;
    const { bug } = this.options;
    const old = below(this.random, 2) === 0 ? this.reads[0]! : pick(this.random, this.reads);
    const chosen = [old, this.reads.at(-1)!] as const;
    const tags = chosen.map(({ tag, source }) => {
      return bug === 'the tag is read at send, not at read' ? this.primaries[source]!.fence.tag : tag;
    });
    const object = merge(chosen[0].object, chosen[1].object);
    const tag = bug === 'what was made of several carries the highest tag' ? Math.max(...tags) : Math.min(...tags);
    const to = pick(this.random, PRIMARIES);
    this.network.push(() => this.write(to, { object, tag, source: chosen[0].source }));
  }

  /** A message arrives, once, or again later; or, one in `lossOneIn`, is lost. */
  private deliver(messages: (() => void)[], lossOneIn: number): void {
    const { random } = this;
    if (messages.length === 0) return;
    // The latest often, any sometimes: a delay that outlasts a whole round must be possible, and a round, too.
    const i = below(random, 2) === 0 ? below(random, messages.length) : messages.length - 1;
    const [message] = below(random, 10) === 0 ? [messages[i]!] : messages.splice(i, 1);
    if (below(random, lossOneIn) > 0) message!();
  }

  private exchange(a: number, b: number): void {
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      const { memory, fence } = this.primaries[from]!;
      if (memory !== undefined && from !== to) this.write(to, { object: memory, tag: fence.tag, source: from });
    }
  }

  private flush(node: number): void {
    const primary = this.primaries[node]!;
    primary.disk = primary.memory;
    if (primary.disk !== undefined) this.noteDurable(primary.disk);
  }

  private losePower(node: number): void {
    const primary = this.primaries[node]!;
    primary.memory = primary.disk;
    primary.fence = new Fence(primary.durable);
    primary.writer = ++this.writers;
    primary.counter = 0;
  }

  private copyOrRestore(node: number): void {
    const primary = this.primaries[node]!;
    const { copy } = primary;
    if (copy === undefined) {
      primary.copy = { disk: primary.disk, durable: primary.durable };
      return;
    }
    primary.copy = undefined;
    primary.disk = copy.disk;
    primary.durable = copy.durable;
    this.losePower(node);
    // It takes longer than the time after which a round's questions are too old.
    this.rounds = [];
    this.controls.length = 0;
    this.excuse();
  }

  /** What only a node had that went back to its past, or was set aside, is lost by that; what was reaped stays reaped. */
  private excuse(): void {
    const rest = this.primaries.flatMap(({ disk }) => (disk === undefined ? [] : [disk]));
    for (const hints of this.hints) for (const { object } of hints.values()) rest.push(object);
    for (const write of this.writes) {
      write.durable = write.reaped || write.leftOut || rest.some(({ context }) => coversDot(context, write.dot));
    }
  }

  /** Takes a round one step further. */
  private lead(): void {
    if (this.rounds.length === 0) return;
    const { self, round } = pick(this.random, this.rounds);
    const step = round.next();
    switch (step.type) {
      case 'ask':
        for (const node of step.to) {
          this.controls.push(() => {
            const answer = this.answer(node, step.ask);
            this.controls.push(() => round.answered(step.number, node, answer));
          });
        }
        return;
      case 'exchange':
        for (const other of step.with) this.exchange(self, other);
        round.exchanged(true);
        return;
      case 'collect': {
        round.collected(this.candidatesOf(this.primaries[self]!));
        return;
      }
      case 'none':
        // An answer that does not come: whoever asked gives up.
        if (below(this.random, 25) === 0) this.rounds = this.rounds.filter((other) => other.round !== round);
        return;
      case 'done':
        this.rounds = this.rounds.filter((other) => other.round !== round);
        return;
    }
  }

  private candidatesOf({ memory }: Primary): ReapCandidate[] {
    if (memory === undefined) return [];
    const candidate = candidateOf(KEY, encodeRecord(memory), 1_000, {
      graceMs: 10,
      attemptMs: 0,
      maxContextEntries: 1,
    });
    return candidate === undefined ? [] : [candidate];
  }

  private answer(node: number, ask: ReapAsk): ReapAnswer {
    const primary = this.primaries[node];
    const { bug } = this.options;
    const get = () => (primary?.memory === undefined ? undefined : encodeRecord(primary.memory));
    switch (ask.type) {
      case 'ask':
        return {
          type: 'ready',
          ringVersion: 1,
          pendingOwner: false,
          tag: primary?.fence.raised ?? 0,
          floor: primary?.fence.floor ?? 0,
        };
      case 'vote': {
        const { fence } = primary!;
        const state = fence.vote(ask.g, ask.floor);
        if (state === 'behind') this.learn(node, ask.floor);
        if (state === 'behind' || state === 'late') return { type: state };
        primary!.durable = state;
        fence.stored(state);
        if (bug !== 'a vote is not flushed') this.flush(node);
        return { type: 'voted', held: heldOf(ask.candidates, get) };
      }
      case 'census':
        return this.census(node, ask.g);
      case 'commit': {
        const { fence } = primary!;
        const state = fence.commit(ask.g);
        if (state === undefined) {
          this.learn(node, ask.g + 1);
          return { type: 'behind' };
        }
        const early = bug === 'a tombstone is removed before the floor is durable';
        if (!early) primary!.durable = state;
        fence.stored(state);
        const due = fence.due(ask.g, ask.candidates, get);
        if (due.length > 0 || bug === 'whatever is there is removed, not only what was voted for') {
          this.carryOut(primary!, ask.candidates[0]!.verb);
        }
        return { type: 'reaped', count: due.length };
      }
    }
  }

  private census(node: number, g: number): ReapAnswer {
    const { bug } = this.options;
    if (bug === 'the census is skipped') return { type: 'clear' };
    const lowest = (): number | undefined => {
      const tags = [...this.hints[node]!.values()].map(({ tag }) => tag);
      return tags.length === 0 ? undefined : Math.min(...tags);
    };
    const fence = this.hintFences[node]!;
    if (bug === 'the census does not look at its hints again') {
      fence.census(PARTITION, g, undefined);
      return { type: 'clear' };
    }
    let outcome = fence.census(PARTITION, g, lowest());
    if (outcome === 'deliver') {
      if (below(this.random, 4) === 0 || !this.handOff(node)) return { type: 'not-clear' };
      outcome = fence.census(PARTITION, g, lowest());
    }
    return outcome === 'deliver' ? { type: 'not-clear' } : { type: 'clear' };
  }

  private carryOut(primary: Primary, verb: ReapVerb): void {
    const { memory } = primary;
    if (memory === undefined) return;
    const after = verb === 'remove' ? undefined : reduce(memory, verb === 'reduce-but-attempts');
    if (after === memory) return;
    for (const write of this.writes) {
      if (!write.durable || !coversDot(memory.context, write.dot)) continue;
      if (after === undefined) write.reaped = true;
      else if (!coversDot(after.context, write.dot)) write.leftOut = true;
    }
    primary.memory = after;
    // It is flushed sooner or later, or lost with the power.
    if (below(this.random, 2) === 0) primary.disk = after;
    if (after === undefined) this.reaped++;
    else this.reduced++;
  }

  private noteDurable({ context }: StoredObject): void {
    for (const write of this.writes) if (coversDot(context, write.dot)) write.durable = true;
  }

  /** Everything that is on its way arrives, no more rounds; hints are delivered, and the replicas exchange. */
  private heal(): void {
    this.rounds = [];
    // What rounds had asked before they were abandoned is heard all the same.
    this.network.push(...this.controls.splice(0));
    while (this.network.length > 0) this.network.splice(below(this.random, this.network.length), 1)[0]!();
    for (let i = 0; i < 4; i++) {
      for (const holder of MEMBERS) this.handOff(holder);
      for (const a of PRIMARIES) for (const b of PRIMARIES) this.exchange(a, b);
    }
  }

  private check(): void {
    const visible = new Set<number>();
    let context = EMPTY_CONTEXT;
    for (const { memory } of this.primaries) {
      if (memory === undefined) continue;
      context = joinContexts(context, memory.context);
      for (const { dot } of memory.siblings) {
        visible.add(this.writes.findIndex((write) => write.dot.high === dot.high && write.dot.counter === dot.counter));
      }
    }
    for (const [i, write] of this.writes.entries()) {
      if (!write.durable) continue;
      for (const replaced of write.replaced) {
        if (visible.has(replaced)) throw new ReapingViolation(`write ${i} had replaced ${replaced}, which is visible`);
      }
      const isReplaced = this.writes.some((other) => other.replaced.has(i));
      if (!isReplaced && !visible.has(i) && !write.reaped)
        throw new ReapingViolation(`write ${i} was durable, and is lost`);
    }
  }
}
