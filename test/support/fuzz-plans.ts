/** Draws what is asked of a fuzzed bucket: options, keys, values, and writes together with what they must come to. */
import { below, pick, type Random } from '../../src/base/random.js';
import type { GetOptions, PutOptions, Quorum, ScanOptions } from '../../src/index.js';
import { type FuzzBooks, type Handle, N, type PlannedWrite } from './fuzz-books.js';
import { bytesOf, KEY_NAMES, PREFIXES, spelt } from './fuzz-keys.js';
import type { Seen } from './store-model.js';

export interface PlannedPut extends PlannedWrite {
  /** By its name. */
  readonly value: string;
  /** @param stays - null for a value that expires at once */
  readonly expect: (stays?: string | null) => Seen | string;
}

export interface PlannedDelete extends PlannedWrite {
  readonly seen: Seen;
}

export interface PlannedUpdate extends PlannedWrite {
  /** What it writes, by its name. */
  readonly value: string;
  /** What it is to find, or `CONFLICT`. */
  readonly found: unknown;
}

/** A scan: either one page, or page after page, each from behind the last entry of the one before. */
export interface PlannedScan {
  readonly options: ScanOptions;
  /** Where the first page begins. */
  readonly cursor: string | undefined;
  /** By page, the names of the keys that it must give. */
  readonly pages: readonly (readonly string[])[];
}

/** By the least that they must be of three. */
const QUORUMS = [
  [],
  [undefined, 1, 2, 3, 'one', 'quorum', 'all'],
  [undefined, 2, 3, 'quorum', 'all'],
  [undefined, 3, 'all'],
] as const satisfies readonly (readonly (Quorum | undefined)[])[];
const TIMEOUTS = [undefined, undefined, undefined, 10_000, 60_000] as const;
const DURABLE = [undefined, undefined, 0, 1, 2, 'quorum', 'all'] as const;
/** Of 300 values one is as large as is allowed, but for what goes with it; some are larger than most. */
const LARGE_BYTES = 200_000;
const LARGER_BYTES = 9_000;

export interface FuzzPlansOptions {
  readonly random: Random;
  readonly books: FuzzBooks;
  /** See `FuzzedBucketOptions`. */
  readonly written: 1 | 2 | 3;
  readonly canBeDurable: boolean;
}

export class FuzzPlans {
  private readonly random: Random;
  private readonly books: FuzzBooks;
  private readonly written: 1 | 2 | 3;
  private readonly canBeDurable: boolean;
  private values = 0;

  constructor({ random, books, written, canBeDurable }: FuzzPlansOptions) {
    this.random = random;
    this.books = books;
    this.written = written;
    this.canBeDurable = canBeDurable;
  }

  put(handle: Handle, key: string): PlannedPut {
    const value = this.newValue();
    const context = this.books.anyToken(key);
    const isExact = this.written === N;
    const match = isExact && below(this.random, 6) === 0 ? this.books.anyToken(key) : undefined;
    const ifNoneMatch = isExact && match === undefined && below(this.random, 6) === 0;
    const options: PutOptions = {
      ...this.writeOptions(),
      ...this.contentOptions(),
      ...(context === undefined ? {} : { causalContext: context.text }),
      ...(match !== undefined ? { ifMatch: match.text } : ifNoneMatch ? { ifNoneMatch } : {}),
    };
    const seen = context?.seen ?? match?.seen ?? new Set();
    return {
      ...{ key, value, options },
      expect: (stays = value) => this.books.write(handle, key, { value: stays, seen, options, ifMatch: match?.seen }),
    };
  }

  /** @param strictly - without a context of its own, at these quorums */
  delete(handle: Handle, key: string, strictly?: Pick<PutOptions, 'w' | 'pw'>): PlannedDelete {
    const token = strictly === undefined ? this.books.anyToken(key) : undefined;
    const options = {
      ...(strictly ?? this.writeOptions()),
      ...this.maybe('r', this.reading),
      ...(token === undefined ? {} : { causalContext: token.text }),
    };
    // Without a context, it is that of a read.
    const seen = token?.seen ?? this.books.seenOf(key);
    return { key, options, seen, expect: () => this.books.write(handle, key, { value: null, seen, options }) };
  }

  update(handle: Handle, key: string): PlannedUpdate {
    const options = { ...this.readOptions([key]), ...this.writeOptions(), ...this.contentOptions() };
    const value = this.newValue();
    const found = this.books.valueOf(handle, key);
    const seen = this.books.seenOf(key);
    return { key, options, value, found, expect: () => this.books.write(handle, key, { value, seen, options }) };
  }

  scan(handle: Handle): PlannedScan {
    const values = below(this.random, 2) === 0;
    const bounds = {
      ...this.maybe('gte', [undefined, undefined, ...KEY_NAMES]),
      ...this.maybe('gt', [undefined, undefined, undefined, ...KEY_NAMES]),
      ...this.maybe('lt', [undefined, undefined, ...KEY_NAMES]),
      ...this.maybe('lte', [undefined, undefined, undefined, ...KEY_NAMES]),
      ...this.maybe('prefix', [undefined, undefined, undefined, undefined, ...PREFIXES]),
    };
    const limit = pick(this.random, [undefined, 0, 1, 3]);
    // A cursor of any place is good, whether an entry had it or not.
    const after = pick(this.random, [undefined, undefined, undefined, ...KEY_NAMES]);
    const { gte = '', gt, lt, lte, prefix = '' } = bounds;
    const within = KEY_NAMES.filter((key) => {
      if (this.books.values(key, handle.lastWriteWins).length === 0 || !key.startsWith(prefix)) return false;
      if (key < gte || (gt !== undefined && key <= gt) || (after !== undefined && key <= after)) return false;
      return (lt === undefined || key < lt) && (lte === undefined || key <= lte);
    }).sort();
    const options = {
      ...Object.fromEntries(Object.entries(bounds).map(([name, bound]) => [name, spelt(bound, this.random)])),
      ...this.maybe('r', this.reading),
      ...this.maybe('partial', [undefined, true, false]),
      ...this.maybe('timeoutMs', TIMEOUTS),
      ...(limit === undefined ? {} : { limit }),
      values,
    };
    const all = limit !== undefined && limit > 0 && below(this.random, 3) === 0;
    const pages = Array.from({ length: all ? Math.floor(within.length / limit) + 1 : 1 }, (_, page) => {
      const first = page * (limit ?? 0);
      return within.slice(first, limit === undefined ? undefined : first + limit);
    });
    const cursor = after === undefined ? undefined : Buffer.from(bytesOf(after)).toString('base64url');
    return { options, cursor, pages };
  }

  readOptions(keys: readonly string[]): GetOptions {
    return {
      ...this.maybe('r', this.reading),
      ...this.maybe('pr', this.reading),
      ...(this.books.mayCountAbsences(keys) ? this.maybe('notfoundOk', [undefined, true, false]) : {}),
      ...this.maybe('basicQuorum', [undefined, true, false]),
      ...this.maybe('timeoutMs', TIMEOUTS),
    };
  }

  writeOptions() {
    return {
      ...this.maybe('w', QUORUMS[this.written]),
      ...this.maybe('pw', QUORUMS[this.written]),
      ...this.maybeDurable(),
      ...this.maybe('timeoutMs', TIMEOUTS),
    };
  }

  someKeys(): string[] {
    return KEY_NAMES.filter(() => below(this.random, 4) === 0);
  }

  /** An option, or none. */
  maybe<Name extends string, T>(name: Name, values: readonly (T | undefined)[]): { [name in Name]?: T } {
    const value = pick(this.random, values);
    return (value === undefined ? {} : { [name]: value }) as { [name in Name]?: T };
  }

  /** Quorums that meet what was written. */
  private get reading(): readonly (Quorum | undefined)[] {
    return QUORUMS[N + 1 - this.written]!;
  }

  private maybeDurable(): Pick<PutOptions, 'dw'> {
    return this.canBeDurable ? this.maybe('dw', DURABLE) : {};
  }

  private contentOptions(): Pick<PutOptions, 'metadata' | 'contentType' | 'ttlMs'> {
    return {
      ...this.maybe('metadata', [undefined, {}, { a: 'b' }, { 'ü €': '', 'X-Y': '\u0000\n😀' }]),
      ...this.maybe('contentType', [undefined, undefined, 'text/html', 'x/y']),
      ...this.maybe('ttlMs', [undefined, undefined, 3_600_000]),
    };
  }

  private newValue(): string {
    const drawn = below(this.random, 300);
    const bytes = drawn === 0 ? `:${LARGE_BYTES}` : drawn < 10 ? `:${LARGER_BYTES}` : '';
    return `v${++this.values}${bytes}`;
  }
}
