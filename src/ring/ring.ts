/**
 * The ring: which members there are, and which of them owns each partition. Immutable; a change of the membership
 * makes a new ring of the next version.
 * Source: Dynamo (SOSP 2007), §4.2, and §6.2, strategy 3.
 */
import { InvalidArgumentError } from '../base/errors.js';
import { claim, UNOWNED } from './claim.js';
import { type PreferenceList, preferenceLists } from './preference-list.js';
import { isPartitionCount, MAX_PARTITIONS, MIN_PARTITIONS } from './token.js';

/** A node, as the ring knows it. */
export interface Member {
  /** Unique in the ring: letters, digits, `-`, `_` and `.`, at most 64. */
  readonly name: string;
  /** What fails together with it: any text but the empty one. */
  readonly zone: string;
  /** Its share of the partitions, relative to the others': any number above 0. */
  readonly weight: number;
}

/** What a ring is made from. */
export interface RingPlan {
  readonly members: readonly Member[];
  /** A power of two from 8 to 1,024. */
  readonly partitions: number;
  /** Replicas of each partition: 1 to the number of members. */
  readonly n: number;
}

export interface Ring extends RingPlan {
  /** 1 for a new ring, one more after every change. */
  readonly version: number;
  /** For every partition, the index of the member that owns it. */
  readonly owners: readonly number[];
  /** For every partition, who keeps it and who stands in. */
  readonly preferenceLists: readonly PreferenceList[];
}

/**
 * A new ring, of version 1: equal plans give equal rings.
 * @throws {InvalidArgumentError} The plan breaks one of the limits above.
 */
export function createRing(plan: RingPlan): Ring {
  checkPlan(plan);
  return assembleRing(plan, 1, claim(plan.members, new Array<number>(plan.partitions).fill(UNOWNED), plan.n));
}

/**
 * The next version of `ring`, with these members: a member is the same if its name is. Close to as few partitions
 * as possible get another owner. Depends on the ring it changes, not only on the members.
 * @throws {InvalidArgumentError} The members break a limit, or are fewer than the ring's n.
 */
export function changeMembers(ring: Ring, members: readonly Member[]): Ring {
  const plan = { members, partitions: ring.partitions, n: ring.n };
  checkPlan(plan);
  const newIndex = ring.members.map(({ name }) => members.findIndex((member) => member.name === name));
  const previous = ring.owners.map((owner) => (newIndex[owner] === -1 ? UNOWNED : newIndex[owner]!));
  return assembleRing(plan, ring.version + 1, claim(members, previous, ring.n));
}

/** Puts a checked plan and valid owners together. */
export function assembleRing(plan: RingPlan, version: number, owners: readonly number[]): Ring {
  const members = plan.members.map(({ name, zone, weight }) => Object.freeze({ name, zone, weight }));
  return Object.freeze({
    version,
    partitions: plan.partitions,
    n: plan.n,
    members: Object.freeze(members),
    owners: Object.freeze([...owners]),
    preferenceLists: Object.freeze(
      preferenceLists(
        members.map(({ zone }) => zone),
        owners,
        plan.n,
      ),
    ),
  });
}

/** @throws {InvalidArgumentError} naming the first limit that `plan` breaks. */
export function checkPlan({ members, partitions, n }: RingPlan): void {
  if (!isPartitionCount(partitions)) {
    throw new InvalidArgumentError(
      `partitions must be a power of two from ${MIN_PARTITIONS} to ${MAX_PARTITIONS}, not ${partitions}`,
    );
  }
  if (members.length === 0) throw new InvalidArgumentError('a ring needs at least one node');
  const names = new Set<string>();
  for (const { name, zone, weight } of members) {
    if (typeof name !== 'string' || !/^[\w.-]{1,64}$/.test(name)) {
      throw new InvalidArgumentError(
        `a node's name must be 1 to 64 letters, digits, "-", "_" and ".", not ${JSON.stringify(name)}`,
      );
    }
    if (names.has(name)) throw new InvalidArgumentError(`two nodes are named "${name}"; names must differ`);
    names.add(name);
    if (typeof zone !== 'string' || zone === '') {
      throw new InvalidArgumentError(`the zone of node "${name}" must be a text that is not empty`);
    }
    if (!Number.isFinite(weight) || weight <= 0) {
      throw new InvalidArgumentError(`the weight of node "${name}" must be a number above 0, not ${weight}`);
    }
  }
  if (!Number.isInteger(n) || n < 1 || n > members.length) {
    throw new InvalidArgumentError(`n must be an integer from 1 to the number of nodes, ${members.length}, not ${n}`);
  }
}
