/**
 * Random clients, drawn from a seed: sequential ones, each alone on its key, passing the join of every token it got;
 * on shared keys writers that answer their reads, writers that know only their own receipts, blind ones, and sessions, which
 * read from anybody what covers all they were told; deleters; last-write-wins.
 */
import { below, pick, type Random, shuffled, unit } from '../base/random.js';
import type { GetOperation, PutOperation, Token } from './history.js';
import type { GetSettings, SimulatedClient } from './simulated-client.js';
import type { SimulatedCluster } from './simulated-cluster.js';

export interface WorkloadOptions {
  readonly random: Random;
  /** How long new operations are begun, in virtual milliseconds. */
  readonly durationMs: number;
  /** How many keys are shared, of either kind. */
  readonly sharedKeys: number;
  /** The mean time between two operations of one strand of a client, in milliseconds. */
  readonly thinkMs: number;
  /** Some values live for a while only. */
  readonly expiring?: boolean;
  /** Only the cluster's own r and w; else other ones now and then. */
  readonly strictOnly?: boolean;
}

/** How a strand of operations behaves; a client runs several side by side. */
type Habit = 'sequential' | 'answers-reads' | 'answers-receipts' | 'blind' | 'session' | 'last-write-wins';

const HABITS: readonly Habit[] = [
  'sequential',
  'answers-reads',
  'answers-receipts',
  'blind',
  'session',
  'last-write-wins',
];
const RESTING_MS = 20;
/** Of values that expire: some during the run, some while it is checked, some long after it. */
const EXPIRING_SHARE = 0.3;
const TTLS_MS = [20, 200, 2_000, 3_600_000];

export class Workload {
  /** Every key that was touched. */
  readonly keys = new Set<string>();
  private readonly cluster: SimulatedCluster;
  private readonly options: WorkloadOptions;
  private readonly until: number;
  private values = 0;

  constructor(cluster: SimulatedCluster, options: WorkloadOptions) {
    this.cluster = cluster;
    this.options = options;
    this.until = cluster.time + options.durationMs;
    for (const client of cluster.clients) {
      // A client leaves one out: what is always there hides what needs its absence.
      for (const habit of shuffled(options.random, HABITS).slice(1)) new Strand(this, client, habit).rest();
    }
  }

  get random(): Random {
    return this.options.random;
  }

  /** The cluster's. */
  get r(): number {
    return this.cluster.r;
  }

  get over(): boolean {
    return this.cluster.time >= this.until;
  }

  later(action: () => void): void {
    this.cluster.simulator.at(-this.options.thinkMs * Math.log(1 - unit(this.random)), action);
  }

  afterResting(action: () => void): void {
    this.cluster.simulator.at(RESTING_MS, action);
  }

  newValue(): string {
    return `v${++this.values}`;
  }

  /** How long a value is to live; 0: for good. */
  ttlMs(): number {
    if (this.options.expiring !== true || unit(this.random) >= EXPIRING_SHARE) return 0;
    return pick(this.random, TTLS_MS);
  }

  sharedKey(prefix: string): string {
    return `${prefix}${below(this.random, this.options.sharedKeys)}`;
  }

  /** r and w: strict ones most of the time. */
  quorums(): { r: number; pr: number; w: number; pw: number; dw: number } {
    const { n, r, w, canBeDurable } = this.cluster;
    if (this.options.strictOnly === true) return { r, pr: r, w, pw: w, dw: 0 };
    const drawn = unit(this.random);
    const dw = canBeDurable && unit(this.random) < 0.1 ? 1 + below(this.random, 2) : 0;
    // Strict ones are held to more; sloppy ones are more often answered.
    const strict = unit(this.random) < 0.4;
    if (drawn < 0.7) return { r, pr: strict ? r : 0, w, pw: strict ? w : 0, dw };
    const [anyR, anyW] = [1 + below(this.random, n), 1 + below(this.random, n)];
    return { r: anyR, pr: strict ? anyR : 0, w: anyW, pw: strict ? anyW : 0, dw };
  }
}

/** One operation after the other. */
class Strand {
  private readonly work: Workload;
  private readonly client: SimulatedClient;
  private readonly habit: Habit;
  private readonly ownKey: string;
  /** The join of all tokens that a sequential strand got. */
  private token: Token | undefined;
  /** By key, the token of the last receipt, of one who never reads. */
  private readonly receipts = new Map<string, Token>();
  /** By key, the join of all tokens that a session got. */
  private readonly sessions = new Map<string, Token>();

  constructor(work: Workload, client: SimulatedClient, habit: Habit) {
    this.work = work;
    this.client = client;
    this.habit = habit;
    this.ownKey = `own${client.index}`;
  }

  rest(): void {
    this.work.later(() => this.next());
  }

  private next(): void {
    if (this.work.over) return;
    if (!this.client.ready) {
      this.work.afterResting(() => this.next());
      return;
    }
    switch (this.habit) {
      case 'sequential':
        this.sequentially();
        return;
      case 'answers-reads':
        this.get(this.work.sharedKey('shared'), (get) => this.answerRead(get));
        return;
      case 'answers-receipts':
        this.unseeing();
        return;
      case 'blind':
        this.blindly();
        return;
      case 'session':
        this.inSession();
        return;
      case 'last-write-wins':
        this.overwriting();
        return;
    }
  }

  private sequentially(): void {
    const { random } = this.work;
    if (unit(random) < 0.4) {
      this.get(this.ownKey, (get) => {
        if (get.end?.type === 'got') this.token = this.client.join(this.ownKey, this.token, get.end.token);
        this.rest();
      });
    } else {
      this.put(this.ownKey, unit(random) < 0.2, { token: this.token }, (put) => {
        if (put.end?.type === 'acknowledged') this.token = this.client.join(this.ownKey, this.token, put.end.token);
        this.rest();
      });
    }
  }

  private answerRead(get: GetOperation): void {
    if (get.end?.type !== 'got' || !this.client.ready || this.work.over) {
      this.rest();
      return;
    }
    this.put(get.key, unit(this.work.random) < 0.3, { token: get.end.token }, () => this.rest());
  }

  /** Replaces what it wrote itself, and must leave alone what others did. */
  private unseeing(): void {
    const key = this.work.sharedKey('shared');
    this.put(key, unit(this.work.random) < 0.1, { token: this.receipts.get(key) }, (put) => {
      if (put.end?.type === 'acknowledged') this.receipts.set(key, put.end.token);
      this.rest();
    });
  }

  private blindly(): void {
    const key = this.work.sharedKey('shared');
    if (unit(this.work.random) < 0.6) this.get(key, () => this.rest());
    else this.put(key, false, {}, () => this.rest());
  }

  /** Reads, from as few as it may, no less than it was told before; answers what it knows. */
  private inSession(): void {
    const key = this.work.sharedKey('shared');
    const { random } = this.work;
    const token = this.sessions.get(key);
    const then = ({ end }: PutOperation | GetOperation): void => {
      if (end?.type === 'acknowledged' || end?.type === 'got') {
        const joined = this.client.join(key, this.sessions.get(key), end.token);
        if (joined !== undefined) this.sessions.set(key, joined);
      }
      this.rest();
    };
    if (unit(random) < 0.6) this.get(key, then, { r: pick(random, [1, this.work.r]), pr: 0, session: token });
    else this.put(key, unit(random) < 0.1, { token }, then);
  }

  private overwriting(): void {
    const key = this.work.sharedKey('last');
    const { random } = this.work;
    if (unit(random) < 0.4) this.get(key, () => this.rest());
    else this.put(key, unit(random) < 0.2, { lastWriteWins: true }, () => this.rest());
  }

  private put(
    key: string,
    tombstone: boolean,
    how: { token?: Token | undefined; lastWriteWins?: boolean },
    then: (put: PutOperation) => void,
  ): void {
    const { w, pw, dw } = this.work.quorums();
    this.work.keys.add(key);
    this.client.put(
      key,
      tombstone ? null : this.work.newValue(),
      { ...how, w, pw, dw, ttlMs: tombstone ? 0 : this.work.ttlMs(), timeoutMs: this.timeoutMs() },
      then,
    );
  }

  private get(key: string, then: (get: GetOperation) => void, how: GetSettings = {}): void {
    this.work.keys.add(key);
    const { r, pr } = this.work.quorums();
    this.client.get(key, { r, pr, timeoutMs: this.timeoutMs(), ...how }, then);
  }

  private timeoutMs(): number {
    return pick(this.work.random, [60, 200, 500]);
  }
}
