/**
 * What this thread knows of the stored properties of buckets, so that a call need not read them: its handle looks at an
 * entry here, which costs a comparison.
 *
 *     fresh ──5 s──▶ due: used, and read anew beside it ──4 s──▶ late: read anew before it is used
 *
 * Changes made through this thread's store show at once; others within 10 s, as long as replicas answer within 250 ms.
 * Where they do not, what was known last holds; a bucket of which nothing was ever known waits, or is refused.
 * Bounded: the entries used longest ago go, and the handles that have them look for new ones.
 */
import { setImmediate as nextPass } from 'node:timers/promises';
import { AbortedError, InvalidArgumentError, OverloadedError, TimeoutError } from '../base/errors.js';
import type { BucketProperties, BucketTypeChanges } from './api/properties.js';
import type { StoreHome } from './bucket-home.js';
import { type GivenProperties, givenBy, type StampedProperties, withDefaults } from './bucket-properties.js';
import { waitFor } from './deadline.js';
import { show } from './options.js';
import { changeProperties, readProperties, type WaitOptions } from './property-objects.js';

/** How long what is known of a bucket is fresh, and when it is late, in milliseconds. */
const DUE_MS = 5_000;
const LATE_MS = 9_000;
/** What is known of a type serves all of its buckets: with `LATE_MS`, the bound of 10 s. */
const TYPE_DUE_MS = 1_000;
/** After a read that failed, what was known serves for so long. */
const RETRY_MS = 1_000;
/** Whoever knows something, if late, waits no longer to know better. */
const PATIENCE_MS = 250;
const RETRY_AFTER_MS = 100;
const MAX_ENTRIES = 10_000;
const DEFAULT_TYPE = 'default';
const NOTHING: StampedProperties = {};

/** What is known of one bucket. */
export class KnownProperties {
  readonly type: string;
  readonly bucket: string;
  /** The bucket's, and its type's where it has none; another object when they change. Undefined: nothing is known. */
  given: GivenProperties | undefined;
  /** By the home's clock: until then it may be used as it is. */
  dueAt = Number.NEGATIVE_INFINITY;
  lateAt = Number.NEGATIVE_INFINITY;
  lookup: Promise<void> | undefined;
  /** It had to make room: changes are not told to it. */
  forgotten = false;

  constructor(type: string, bucket: string) {
    this.type = type;
    this.bucket = bucket;
  }

  /** Sets until when what is known may be used, and until when others wait for nothing. */
  validUntil(dueAt: number, lateAt: number): void {
    this.dueAt = this.forgotten ? Number.NEGATIVE_INFINITY : dueAt;
    this.lateAt = this.forgotten ? Number.NEGATIVE_INFINITY : lateAt;
  }
}

interface KnownType {
  /** Undefined: it does not exist. */
  readonly stored: StampedProperties | undefined;
  readonly dueAt: number;
}

export class PropertyCache {
  private readonly home: StoreHome;
  private readonly maxEntries: number;
  /** By type and bucket; those used longest ago first. */
  private readonly buckets = new Map<string, KnownProperties>();
  private readonly types = new Map<string, KnownType>();
  /** Changes made through this cache so far: what was being read meanwhile is not believed. */
  private changes = 0;
  private waiting = 0;

  /** @param maxEntries - of buckets, and of types; less for tests */
  constructor(home: StoreHome, maxEntries = MAX_ENTRIES) {
    this.home = home;
    this.maxEntries = maxEntries;
  }

  /**
   * The entry of a bucket, for a handle whose own is no longer fresh. It may know nothing; if it is due, it is read
   * anew beside its use.
   */
  entryOf(type: string, bucket: string): KnownProperties {
    const name = JSON.stringify([type, bucket]);
    const entry = this.buckets.get(name) ?? new KnownProperties(type, bucket);
    const forgotten = keep(this.buckets, name, entry, this.maxEntries);
    if (forgotten !== undefined) {
      forgotten.forgotten = true;
      forgotten.validUntil(0, 0);
    }
    const now = this.home.now();
    if (now >= entry.dueAt && now < entry.lateAt && entry.lookup === undefined) {
      // What is known holds, and is asked for again.
      this.lookUp(entry, false).catch(() => entry.validUntil(now + RETRY_MS, entry.lateAt));
    }
    return entry;
  }

  /**
   * Waits until something is known of a bucket; for something that is not late only a little. Part of a compound call,
   * which keeps the store open.
   * @returns what holds for it
   * @throws {InvalidArgumentError} Its type does not exist. @throws {OverloadedError} Too many calls wait already.
   * @throws {QuorumUnavailableError} {QuorumNotMetError} {TimeoutError} Nothing is known. All are definite.
   */
  async known(entry: KnownProperties, { timeoutMs, signal }: WaitOptions): Promise<GivenProperties> {
    if (this.waiting >= this.home.maxInFlight) {
      // As of what `begin` refuses.
      await nextPass();
      const message = 'too many calls wait for the properties of their buckets; wait 100 ms, or keep fewer in flight';
      throw new OverloadedError(message, { definite: true, retryAfterMs: RETRY_AFTER_MS });
    }
    const had = entry.given;
    const patienceMs = had === undefined ? timeoutMs : Math.min(timeoutMs, PATIENCE_MS);
    this.waiting++;
    try {
      await waitFor(this.lookUpUntil(entry, this.home.now() + timeoutMs), patienceMs, signal, {
        late: () =>
          new TimeoutError(`the properties of ${nameOf(entry)} could not be read in time`, { definite: true }),
        aborted: () => abortedUnsent(signal),
      });
      return entry.given!;
    } catch (error) {
      if (had === undefined || error instanceof AbortedError || error instanceof InvalidArgumentError) throw error;
      // Known last, it holds for now.
      const until = this.home.now() + RETRY_MS;
      if (entry.lateAt < until) entry.validUntil(until, until);
      return had;
    } finally {
      this.waiting--;
    }
  }

  /** @throws {InvalidArgumentError} There is no such bucket type. @throws as `known`. */
  async requireType(type: string, options: WaitOptions): Promise<void> {
    await this.home.compound(() => this.typeOf(type, options));
  }

  /** All properties of a bucket, read anew; of a type, if `bucket` is undefined. */
  properties(type: string, bucket: string | undefined, options: WaitOptions): Promise<BucketProperties> {
    return this.home.compound(async () => {
      this.types.delete(type);
      const ofType = await this.typeOf(type, options);
      const ofBucket = bucket === undefined ? undefined : await readProperties(this.home, { type, bucket }, options);
      return withDefaults(givenBy(ofType, ofBucket ?? NOTHING), this.home);
    });
  }

  /** Stores properties of a bucket; of a type, which that creates, if `bucket` is undefined. */
  change(type: string, bucket: string | undefined, changes: BucketTypeChanges, options: WaitOptions): Promise<void> {
    return this.home.compound(async () => {
      if (bucket !== undefined) await this.typeOf(type, options);
      try {
        await changeProperties(this.home, { type, bucket }, changes, options);
      } finally {
        // Also where it failed: then nobody knows whether it takes effect.
        this.outdate(type, bucket);
      }
    });
  }

  /** What is known of the bucket, or of all buckets of the type, is to be read before it is used. */
  private outdate(type: string, bucket: string | undefined): void {
    this.changes++;
    if (bucket === undefined) this.types.delete(type);
    for (const entry of this.buckets.values()) {
      if (entry.type !== type || (bucket !== undefined && entry.bucket !== bucket)) continue;
      entry.dueAt = entry.lateAt = Number.NEGATIVE_INFINITY;
    }
  }

  /** Reads what is stored of a bucket; calls that need it meanwhile share the read. */
  private lookUp(entry: KnownProperties, ofCompound: boolean): Promise<void> {
    entry.lookup ??= this.home
      .compound(() => this.read(entry), ofCompound)
      .finally(() => {
        entry.lookup = undefined;
      });
    return entry.lookup;
  }

  /** A call that waits longer than a read does asks again. */
  private async lookUpUntil(entry: KnownProperties, deadline: number): Promise<void> {
    for (;;) {
      try {
        await this.lookUp(entry, true);
        return;
      } catch (error) {
        if (!(error instanceof TimeoutError) || this.home.now() >= deadline) throw error;
      }
    }
  }

  private async read(entry: KnownProperties): Promise<void> {
    const options: WaitOptions = { timeoutMs: this.home.timeoutMs, signal: undefined };
    let before: number;
    let given: GivenProperties;
    do {
      before = this.changes;
      const ofType = await this.typeOf(entry.type, options);
      given = givenBy(ofType, (await readProperties(this.home, entry, options)) ?? NOTHING);
    } while (this.changes !== before);
    // The same object as long as nothing has changed: handles see by it that they need not look.
    if (entry.given === undefined || JSON.stringify(entry.given) !== JSON.stringify(given)) entry.given = given;
    const now = this.home.now();
    entry.validUntil(now + DUE_MS, now + LATE_MS);
  }

  /** What is stored of a type. @throws {InvalidArgumentError} It does not exist. */
  private async typeOf(type: string, options: WaitOptions): Promise<StampedProperties> {
    const known = this.types.get(type);
    let stored = known?.stored;
    if (known === undefined || this.home.now() >= known.dueAt) {
      const before = this.changes;
      try {
        stored = await readProperties(this.home, { type, bucket: undefined }, options);
        if (this.changes === before) {
          keep(this.types, type, { stored, dueAt: this.home.now() + TYPE_DUE_MS }, this.maxEntries);
        }
      } catch (error) {
        // Known last, it holds for now.
        if (stored === undefined) throw error;
      }
    }
    if (stored !== undefined) return stored;
    if (type === DEFAULT_TYPE) return NOTHING;
    throw new InvalidArgumentError(
      `there is no bucket type ${show(type)}: create it with setBucketType, or leave the type out`,
      { bucketType: type },
    );
  }
}

/** Puts `entry` at the end of `map`. @returns the one that had to make room */
function keep<V>(map: Map<string, V>, name: string, entry: V, maxEntries: number): V | undefined {
  map.delete(name);
  map.set(name, entry);
  if (map.size <= maxEntries) return undefined;
  const [oldestName, oldest] = map.entries().next().value!;
  map.delete(oldestName);
  return oldest;
}

function nameOf({ bucket, type }: KnownProperties): string {
  return type === DEFAULT_TYPE ? `bucket ${show(bucket)}` : `bucket ${show(bucket)} of type ${show(type)}`;
}

function abortedUnsent(signal: AbortSignal | undefined): AbortedError {
  const message = 'the call was aborted by its signal, before anything was sent';
  return new AbortedError(message, { definite: true, cause: signal?.reason });
}
