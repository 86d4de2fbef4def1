/**
 * Promise 9, for any number of nodes, zones, weights and partitions: N distinct primaries, in distinct zones where
 * feasible, the end of the ring included; ownership by weight; equal input, equal ring.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { ringBalance } from '../../src/ring/balance.js';
import { preferenceList } from '../../src/ring/preference-list.js';
import { changeMembers, createRing, type Member, type Ring, type RingPlan } from '../../src/ring/ring.js';
import { ringFromJson, ringToJson } from '../../src/ring/ring-json.js';
import { holds } from '../support/property.js';
import { test } from '../support/test.js';

/** Of each property; rings of 1,024 partitions among them. */
const RUNS = 60;

/** Up to 40 members in a few zones or many; weights alike, close, or far apart. */
const members: fc.Arbitrary<Member[]> = fc
  .record({
    count: fc.oneof(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 40 })),
    zones: fc.integer({ min: 1, max: 40 }),
    weights: fc.constantFrom<readonly number[]>([1], [1, 2], [0.5, 1, 3.25], [1, 1_000]),
  })
  .chain(({ count, zones, weights }) =>
    fc
      .array(fc.record({ zone: fc.nat(zones - 1), weight: fc.constantFrom(...weights) }), {
        minLength: count,
        maxLength: count,
      })
      .map((drawn) => drawn.map(({ zone, weight }, i) => ({ name: `node-${i}`, zone: `zone-${zone}`, weight }))),
  );

const plans: fc.Arbitrary<RingPlan> = members.chain((drawn) =>
  fc.record({
    members: fc.constant(drawn),
    // A ring of 1,024 costs as much as a hundred small ones.
    partitions: fc.oneof({ weight: 100, arbitrary: fc.constantFrom(8, 16, 32, 64) }, fc.constantFrom(128, 1_024)),
    n: fc.oneof(fc.integer({ min: 1, max: Math.min(5, drawn.length) }), fc.integer({ min: 1, max: drawn.length })),
  }),
);

/** The rule, word for word: of the members not yet taken, the first on the walk whose zone was taken least. */
function naiveList(ring: Ring, partition: number): number[] {
  const walk: number[] = [];
  for (let step = 0; step < ring.partitions; step++) walk.push(ring.owners[(partition + step) % ring.partitions]!);
  const idle = ring.members.map((_, member) => member).filter((member) => !walk.includes(member));
  for (let i = 0; i < idle.length; i++) walk.push(idle[(partition + i) % idle.length]!);
  const order: number[] = [];
  const taken = new Map<string, number>();
  while (order.length < ring.members.length) {
    let best: number | undefined;
    const count = (member: number) => taken.get(ring.members[member]!.zone) ?? 0;
    for (const member of walk) {
      if (!order.includes(member) && (best === undefined || count(member) < count(best))) best = member;
    }
    order.push(best!);
    taken.set(ring.members[best!]!.zone, count(best!) + 1);
  }
  return order;
}

function assertSound(ring: Ring): void {
  const zones = new Set(ring.members.map(({ zone }) => zone));
  assert.equal(ring.owners.length, ring.partitions);
  for (let partition = 0; partition < ring.partitions; partition++) {
    const { primaries, fallbacks } = preferenceList(ring, partition);
    assert.equal(primaries.length, ring.n);
    assert.equal(primaries[0], ring.owners[partition], 'the owner is the first primary');
    const order = [...primaries, ...fallbacks];
    assert.deepEqual(
      [...order].sort((a, b) => a - b),
      ring.members.map((_, i) => i),
      'every member once',
    );
    const primaryZones = new Set(primaries.map((member) => ring.members[member]!.zone));
    assert.equal(primaryZones.size, Math.min(ring.n, zones.size), 'as many zones as there can be');
  }
}

function assertBalanced(ring: Ring): void {
  for (const { name, owned, fairOwned } of ringBalance(ring).members) {
    assert.ok(Math.abs(owned - fairOwned) < 1, `${name} owns ${owned}, its share is ${fairOwned}`);
  }
}

test('every ring is sound: distinct primaries, in distinct zones, every member on every list', () => {
  holds(
    fc.property(plans, (plan) => assertSound(createRing(plan))),
    RUNS,
  );
});

test('a preference list is what the rule says, word for word', () => {
  holds(
    fc.property(plans, fc.nat(), (plan, start) => {
      const ring = createRing(plan);
      const partition = start % ring.partitions;
      const { primaries, fallbacks } = preferenceList(ring, partition);
      assert.deepEqual([...primaries, ...fallbacks], naiveList(ring, partition));
    }),
    RUNS,
  );
});

test('ownership follows the weights to within one partition', () => {
  holds(
    fc.property(plans, (plan) => assertBalanced(createRing(plan))),
    RUNS,
  );
});

test('equal plans give equal rings, and a ring survives its JSON', () => {
  holds(
    fc.property(plans, (plan) => {
      const ring = createRing(plan);
      assert.deepEqual(createRing(structuredClone(plan)), ring);
      assert.deepEqual(ringFromJson(JSON.parse(JSON.stringify(ringToJson(ring)))), ring);
    }),
    RUNS,
  );
});

test('a change of members keeps the ring sound and balanced, and moves no partition that needs not move', () => {
  holds(
    fc.property(plans, members, fc.nat(), (plan, others, cut) => {
      const before = createRing(plan);
      // Some of the old members stay, under new indices; those of the other drawing that have a new name join.
      const staying = plan.members.slice(cut % plan.members.length).reverse();
      const joining = others.map((member) => ({ ...member, name: `new-${member.name}` }));
      const next = [...joining, ...staying];
      if (next.length < plan.n) return;
      const after = changeMembers(before, next);
      assertSound(after);
      assertBalanced(after);
      assert.equal(after.version, before.version + 1);

      // Whoever gains partitions must gain just so many; more must not move.
      const owned = (ring: Ring) => new Map(ringBalance(ring).members.map(({ name, owned }) => [name, owned]));
      const ownedBefore = owned(before);
      const gains = [...owned(after)].map(([name, count]) => Math.max(0, count - (ownedBefore.get(name) ?? 0)));
      const ownerName = (ring: Ring, partition: number) => ring.members[ring.owners[partition]!]!.name;
      const moved = after.owners.filter((_, p) => ownerName(before, p) !== ownerName(after, p)).length;
      assert.equal(
        moved,
        gains.reduce((sum, gain) => sum + gain, 0),
      );
    }),
    RUNS,
  );
});

test('a change that changes nothing moves nothing', () => {
  holds(
    fc.property(plans, (plan) => {
      const before = createRing(plan);
      assert.deepEqual(changeMembers(before, plan.members).owners, before.owners);
    }),
    RUNS,
  );
});
