/**
 * Gets and puts of one key, once they are checked and encoded: what the bucket's stored properties say is known, or waited
 * for, then the call is handed to the client.
 */
import { EMPTY } from '../base/bytes.js';
import { EMPTY_CONTEXT } from '../clocks/causal-context.js';
import { ZERO_TIMESTAMP } from '../clocks/timestamp.js';
import { encodeContext, type SeenContext } from '../codec/context.js';
import type { PutCondition } from '../messages/object-request.js';
import type { CallOptions, PutOptions, Quorum, ReadOptions } from './api/call-options.js';
import type { ReadResult, Receipt } from './api/results.js';
import type { BucketHome } from './bucket-home.js';
import type { BucketProfile, ProfileMaker } from './bucket-profile.js';
import type { GivenProperties } from './bucket-properties.js';
import { checkRead, checkWrite } from './call-checks.js';
import { GetCaller, PutCaller } from './callers.js';
import { begin } from './calls.js';
import { checkDurable, checkSignal, checkTimeout, flag, type Quorums, quorumOf } from './options.js';
import type { PlacedKey } from './placed-key.js';
import { KnownProperties } from './property-cache.js';

/** The context of whoever has seen nothing. */
export const NOTHING_SEEN: SeenContext = { context: EMPTY_CONTEXT, highestTimestamp: ZERO_TIMESTAMP };
const NOTHING_KNOWN: GivenProperties = {};

/** What a put stores, and on what condition. */
export interface Content {
  readonly condition: PutCondition;
  readonly ifMatch: Uint8Array;
  readonly body: Uint8Array;
  readonly tombstone: boolean;
  /** Milliseconds; 0: for ever; undefined: as the bucket has it. */
  readonly ttlMs: number | undefined;
}

/** What a delete stores. */
export const TOMBSTONE: Content = { condition: 'none', ifMatch: EMPTY, body: EMPTY, tombstone: true, ttlMs: 0 };

/** How a write is carried out, beside its content. */
export type WriteCall = Omit<PutOptions, 'causalContext'>;

export class KeyCalls<V> {
  private readonly home: BucketHome;
  private readonly type: string;
  private readonly name: string;
  private readonly profiles: ProfileMaker<V>;
  /** By what was known of the bucket's stored properties at last. */
  private profile: BucketProfile<V>;
  private known: KnownProperties;

  constructor(home: BucketHome, type: string, name: string, profiles: ProfileMaker<V>) {
    this.home = home;
    this.type = type;
    this.name = name;
    this.profiles = profiles;
    this.profile = profiles.make(NOTHING_KNOWN);
    this.known = new KnownProperties(type, name);
  }

  /** What holds for the bucket, as soon as it is known. */
  async holding(waiting: CallOptions): Promise<BucketProfile<V>> {
    return this.profileAt(this.home.now()) ?? this.onceKnown(waiting, false, (profile) => Promise.resolve(profile));
  }

  /** @param session - a context that the result must cover, in its binary form; empty: none */
  get(
    { located, hash }: PlacedKey,
    session: Uint8Array,
    options: ReadOptions,
    ofCompound: boolean,
    resolve: (result: ReadResult<V> | Promise<ReadResult<V>>) => void,
    reject: (error: unknown) => void,
  ): void {
    const now = this.home.now();
    const profile = this.profileAt(now);
    if (profile !== null) {
      const caller = new GetCaller(this.home, hash, profile.reading, resolve, reject, now);
      this.read(profile, located, session, options, caller, ofCompound);
      return;
    }
    checkRead(this.home, options);
    const act = (known: BucketProfile<V>, left: ReadOptions) =>
      new Promise<ReadResult<V>>((done, failed) => {
        const caller = new GetCaller(this.home, hash, known.reading, done, failed, this.home.now());
        this.read(known, located, session, left, caller, true);
      });
    resolve(this.onceKnown(options, ofCompound, act));
  }

  /** @param given - what the write answers */
  put(
    placed: PlacedKey,
    given: SeenContext,
    content: Content,
    options: WriteCall,
    ofCompound: boolean,
    resolve: (receipt: Receipt | Promise<Receipt>) => void,
    reject: (error: unknown) => void,
  ): void {
    const now = this.home.now();
    const profile = this.profileAt(now);
    if (profile !== null) {
      const caller = new PutCaller(this.home, placed.hash, given, resolve, reject, now);
      this.write(profile, placed, given, content, options, caller, ofCompound);
      return;
    }
    checkWrite(this.home, options, this.profiles.codec.contentType);
    const act = (known: BucketProfile<V>, left: WriteCall) =>
      new Promise<Receipt>((done, failed) => {
        const caller = new PutCaller(this.home, placed.hash, given, done, failed, this.home.now());
        this.write(known, placed, given, content, left, caller, true);
      });
    resolve(this.onceKnown(options, ofCompound, act));
  }

  /** What holds now, or null if that is to be waited for. Nearly every call ends at the first comparison. */
  private profileAt(now: number): BucketProfile<V> | null {
    if (now < this.known.dueAt && this.known.given === this.profile.given) return this.profile;
    this.known = this.home.properties.entryOf(this.type, this.name);
    const { given, lateAt } = this.known;
    return given === undefined || now >= lateAt ? null : this.profileOf(given);
  }

  private profileOf(given: GivenProperties): BucketProfile<V> {
    if (given !== this.profile.given) this.profile = this.profiles.make(given);
    return this.profile;
  }

  /** Does `act` with what holds for the bucket, once that is known, in what is left of the time. */
  private onceKnown<T, O extends CallOptions>(
    options: O,
    ofCompound: boolean,
    act: (profile: BucketProfile<V>, options: O) => Promise<T>,
  ): Promise<T> {
    checkSignal(options.signal);
    const timeoutMs = checkTimeout(options.timeoutMs) ?? this.home.timeoutMs;
    const { home, known } = this;
    return home.compound(async () => {
      const startedAt = home.now();
      const given = await home.properties.known(known, { timeoutMs, signal: options.signal });
      const leftMs = Math.max(1, timeoutMs - (home.now() - startedAt));
      return await act(this.profileOf(given), { ...options, timeoutMs: leftMs });
    }, ofCompound);
  }

  private read(
    profile: BucketProfile<V>,
    located: Uint8Array,
    session: Uint8Array,
    options: ReadOptions,
    caller: GetCaller<V>,
    ofCompound: boolean,
  ): void {
    const request = {
      type: 'get' as const,
      key: located,
      r: this.quorum(profile, 'r', options.r),
      pr: this.quorum(profile, 'pr', options.pr),
      notfoundOk: flag('notfoundOk', options.notfoundOk) ?? profile.notfoundOk,
      basicQuorum: flag('basicQuorum', options.basicQuorum) ?? profile.basicQuorum,
      session,
      timeoutMs: checkTimeout(options.timeoutMs) ?? this.home.timeoutMs,
    };
    begin(this.home, options.signal, caller, (client) => client.get(request, caller), ofCompound);
  }

  private write(
    profile: BucketProfile<V>,
    placed: PlacedKey,
    given: SeenContext,
    content: Content,
    options: WriteCall,
    caller: PutCaller,
    ofCompound: boolean,
  ): void {
    const dw = this.quorum(profile, 'dw', options.dw);
    checkDurable(dw, this.home.canBeDurable);
    const request = {
      w: this.quorum(profile, 'w', options.w),
      pw: this.quorum(profile, 'pw', options.pw),
      dw,
      timeoutMs: checkTimeout(options.timeoutMs) ?? this.home.timeoutMs,
      key: placed.located,
      causalContext: given === NOTHING_SEEN ? EMPTY : contextBytes(given),
      minting: profile.lastWriteWins ? ('last-write-wins' as const) : ('siblings' as const),
      tombstone: content.tombstone,
      ttlMs: content.ttlMs ?? profile.ttlMs,
      condition: content.condition,
      ifMatch: content.ifMatch,
      maxSiblings: profile.maxSiblings,
      body: content.body,
    };
    begin(this.home, options.signal, caller, (client) => client.put(request, caller), ofCompound);
  }

  private quorum({ quorums }: BucketProfile<V>, which: keyof Quorums, asked: Quorum | undefined): number {
    return asked === undefined ? quorums[which] : quorumOf(which, asked, this.home.n);
  }
}

/** What a token says, in its binary form. */
export function contextBytes(seen: SeenContext): Uint8Array {
  return encodeContext(seen.context, seen.highestTimestamp);
}
