/**
 * Properties of buckets and bucket types: what they may be, how they are stored, and what holds in the end. Pure.
 *
 *     call option > handle option > bucket's property > its type's property > option of `open`
 *
 * Each property is stored with when and by which change it was set, so that changes made at the same time, which the
 * store keeps as siblings, come to one result whoever merges them: property by property, the latest one holds.
 */
import { InvalidArgumentError } from '../base/errors.js';
import type { BucketProperties, BucketPropertyChanges, BucketTypeChanges } from './api/properties.js';
import type { Sibling } from './api/results.js';
import {
  checkDurable,
  checkMaxSiblings,
  checkNames,
  checkTtl,
  defaultQuorum,
  flag,
  MAX_SIBLINGS,
  type Quorums,
  quorumOf,
  show,
} from './options.js';

/** One property as it is stored. */
interface Stamped {
  /** Null: taken back. */
  readonly value: unknown;
  /** Milliseconds since 1970, above every earlier one of this property that the change saw. */
  readonly at: number;
  /** Names the change; tells apart those of one moment. */
  readonly by: string;
}

/** What is stored of a bucket or a type. Names that this version does not know are kept. */
export type StampedProperties = { readonly [name: string]: Stamped };

/** The properties that are set, of those that this version knows. */
export type GivenProperties = { readonly [P in keyof BucketProperties]?: BucketProperties[P] };

/** What a store allows, and says where nobody else does. */
export interface PropertyLimits {
  readonly n: number;
  readonly canBeDurable: boolean;
  /** The options of `open`. */
  readonly quorums: Partial<Record<keyof Quorums, BucketProperties['r']>>;
}

const QUORUMS = ['r', 'w', 'pr', 'pw', 'dw'] as const satisfies readonly (keyof Quorums)[];
/** What a bucket may have of its own, and a handle may say, too. */
export const OF_BUCKETS: ReadonlySet<string> = new Set([
  ...QUORUMS,
  'notfoundOk',
  'basicQuorum',
  'ttlMs',
  'maxSiblings',
  'resolution',
] satisfies (keyof BucketPropertyChanges)[]);
const OF_TYPES: ReadonlySet<string> = new Set(['n', ...OF_BUCKETS]);

/** @throws {InvalidArgumentError} A property is unknown or out of its range. */
export function checkChanges(
  call: 'setBucketProperties' | 'setBucketType',
  changes: BucketTypeChanges,
  limits: PropertyLimits,
): void {
  const { n, canBeDurable } = limits;
  checkNames(call, changes, call === 'setBucketType' ? OF_TYPES : OF_BUCKETS);
  if (changes.n !== undefined && changes.n !== n) {
    throw new InvalidArgumentError(
      `n is ${n} for every bucket type of this store, not ${show(changes.n)}: leave it out, or open a store with that n`,
    );
  }
  for (const which of QUORUMS) {
    const quorum = changes[which];
    if (quorum === undefined || quorum === null) continue;
    const replicas = quorumOf(which, quorum, n);
    if (which === 'dw') checkDurable(replicas, canBeDurable);
  }
  flag('notfoundOk', changes.notfoundOk ?? undefined);
  flag('basicQuorum', changes.basicQuorum ?? undefined);
  checkTtl(changes.ttlMs ?? undefined);
  checkMaxSiblings(changes.maxSiblings ?? undefined);
  const resolution = changes.resolution ?? 'siblings';
  if (resolution !== 'siblings' && resolution !== 'last-write-wins') {
    throw new InvalidArgumentError(
      `a stored resolution must be 'siblings' or 'last-write-wins', not ${show(resolution)}; a merge function is an option of a handle`,
    );
  }
}

/**
 * What is stored after a change of what was.
 * @param nowMs - wall clock
 * @param by - a name that no other change has
 */
export function changed(
  stored: StampedProperties,
  changes: BucketTypeChanges,
  nowMs: number,
  by: string,
): StampedProperties {
  const after: Record<string, Stamped> = { ...stored };
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined) continue;
    const before = stored[name];
    after[name] = { value, at: before === undefined ? nowMs : Math.max(nowMs, before.at + 1), by };
  }
  return after;
}

/** What changes at the same time come to. */
export function mergeStamped(siblings: readonly Sibling<StampedProperties>[]): StampedProperties {
  const merged: Record<string, Stamped> = {};
  for (const { value: stored } of siblings) {
    for (const [name, stamped] of Object.entries(stored)) {
      const other = merged[name];
      if (other === undefined || isLater(stamped, other)) merged[name] = stamped;
    }
  }
  return merged;
}

function isLater(a: Stamped, b: Stamped): boolean {
  return a.at === b.at ? a.by > b.by : a.at > b.at;
}

/** Those of the bucket, and of its type where the bucket has none. */
export function givenBy(type: StampedProperties, bucket: StampedProperties): GivenProperties {
  const given: Record<string, unknown> = {};
  for (const name of OF_TYPES) {
    const value = bucket[name]?.value ?? type[name]?.value;
    if (value !== undefined && value !== null) given[name] = value;
  }
  return given;
}

/** All properties, by what is stored and by what the store says otherwise. */
export function withDefaults(given: GivenProperties, { n, quorums }: PropertyLimits): BucketProperties {
  const quorum = (which: keyof Quorums) => given[which] ?? quorums[which] ?? defaultQuorum(which, n);
  return {
    n,
    r: quorum('r'),
    w: quorum('w'),
    pr: quorum('pr'),
    pw: quorum('pw'),
    dw: quorum('dw'),
    notfoundOk: given.notfoundOk ?? true,
    basicQuorum: given.basicQuorum ?? false,
    ttlMs: given.ttlMs,
    maxSiblings: given.maxSiblings ?? MAX_SIBLINGS,
    resolution: given.resolution ?? 'siblings',
  };
}
