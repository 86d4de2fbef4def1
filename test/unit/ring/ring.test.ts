/** The ring by examples and by tables; `test/property/ring.test.ts` holds it to its promise in general. */
import { test } from 'tap';
import { InvalidArgumentError, OptionsMismatchError, UnknownFormatError } from '../../../src/base/errors.js';
import { hash64 } from '../../../src/base/hash.js';
import { ringBalance } from '../../../src/ring/balance.js';
import { preferenceList, preferenceLists } from '../../../src/ring/preference-list.js';
import { changeMembers, createRing, type Member, type Ring } from '../../../src/ring/ring.js';
import { checkSamePlan, ringFromJson, ringToJson } from '../../../src/ring/ring-json.js';
import { isPartitionCount, partitionOf } from '../../../src/ring/token.js';

/** One member per letter of `zones`: each in the zone of that letter, or in one of its own. */
function membersIn(zones: string, weight = 1): Member[] {
  return [...zones].map((zone, i) => ({ name: `n${i}`, zone, weight }));
}

function members(count: number): Member[] {
  return Array.from({ length: count }, (_, i) => ({ name: `n${i}`, zone: `z${i}`, weight: 1 }));
}

function names(ring: Ring, list: readonly number[]): string {
  return list.map((member) => ring.members[member]!.name).join(' ');
}

test('a token lies in the partition of its top bits', (t) => {
  for (const [high, partitions, partition] of [
    [0, 8, 0],
    [0x1fff_ffff, 8, 0],
    [0x2000_0000, 8, 1],
    [0xffff_ffff, 8, 7],
    [0xffff_ffff, 64, 63],
    [0x8000_0000, 1_024, 512],
    [0xffff_ffff, 1_024, 1_023],
  ] as const) {
    t.equal(partitionOf(high, partitions), partition, `${high.toString(16)} of ${partitions}`);
  }
  t.strictSame([1, 4, 8, 12, 64, 1_024, 2_048, 8.5, Number.NaN].filter(isPartitionCount), [8, 64, 1_024]);
  t.end();
});

test('hashed keys fall evenly into the partitions', (t) => {
  const counts = new Array<number>(64).fill(0);
  for (let key = 0; key < 64_000; key++) counts[partitionOf(hash64(Buffer.from(`key-${key}`)), 64)]!++;
  // 1,000 expected in each, with a standard deviation of 31.
  t.ok(Math.min(...counts) > 850 && Math.max(...counts) < 1_150, `${Math.min(...counts)} to ${Math.max(...counts)}`);
  t.end();
});

test('a preference list skips members met before and prefers zones not yet met', (t) => {
  for (const { zones, owners, n, lists, why } of [
    { zones: 'xyz', owners: [0, 1, 2, 0], n: 2, why: 'plain', lists: ['01|2', '12|0', '20|1', '01|2'] },
    { zones: 'xyz', owners: [0, 0, 1, 2], n: 2, why: 'a neighbour owns two', lists: ['01|2', '01|2', '12|0', '20|1'] },
    { zones: 'xxyz', owners: [0, 1, 2, 3], n: 3, why: 'a zone twice', lists: ['023|1', '123|0', '230|1', '302|1'] },
    {
      zones: 'xxyy',
      owners: [0, 1, 2, 3],
      n: 3,
      why: 'fewer zones than n',
      lists: ['021|3', '123|0', '203|1', '301|2'],
    },
    { zones: 'xyz', owners: [0, 1, 0, 1], n: 2, why: 'one owns nothing', lists: ['01|2', '10|2', '01|2', '10|2'] },
    { zones: 'xxy', owners: [0, 1, 0, 1], n: 2, why: 'a zone owns nothing', lists: ['02|1', '12|0', '02|1', '12|0'] },
  ]) {
    const found = preferenceLists([...zones], owners, n);
    t.strictSame(
      found.map(({ primaries, fallbacks }) => `${primaries.join('')}|${fallbacks.join('')}`),
      lists,
      why,
    );
  }
  t.end();
});

// riak_core#908, #913: tests that looked at whole rings missed the last partitions.
test('the lists of the last partitions go on at the first', (t) => {
  for (const [nodes, n] of [
    [3, 3],
    [5, 3],
    [6, 3],
    [7, 5],
    [9, 4],
  ] as const) {
    const ring = createRing({ members: members(nodes), partitions: 64, n });
    for (let partition = 64 - n; partition < 64; partition++) {
      const { primaries } = preferenceList(ring, partition);
      t.equal(new Set(primaries).size, n, `${nodes} nodes, n ${n}, partition ${partition}: ${names(ring, primaries)}`);
    }
  }
  t.end();
});

test('members that own nothing take turns as stand-ins', (t) => {
  const ring = createRing({ members: members(12), partitions: 8, n: 3 });
  const owners = new Set(ring.owners);
  const firstIdle = ring.preferenceLists.map(({ fallbacks }) => fallbacks.find((member) => !owners.has(member)));
  t.equal(owners.size, 8);
  t.strictSame(firstIdle, [8, 9, 10, 11, 8, 9, 10, 11]);
  t.end();
});

// Small enough to try them all: up to five members, each in any of up to five zones, of weight 1 or 2.
test('every small ring is sound', (t) => {
  let rings = 0;
  const unsound: string[] = [];
  const tryZones = (zones: number[], size: number) => {
    if (zones.length === size) {
      for (let weights = 0; weights < 2 ** size; weights++) {
        for (let n = 1; n <= size; n++) {
          rings++;
          const plan = {
            members: zones.map((zone, i) => ({ name: `n${i}`, zone: `z${zone}`, weight: 1 + ((weights >> i) & 1) })),
            partitions: 8,
            n,
          };
          const want = Math.min(n, new Set(zones).size);
          for (const { primaries } of createRing(plan).preferenceLists) {
            const sound = new Set(primaries).size === n && new Set(primaries.map((i) => zones[i])).size === want;
            if (!sound) unsound.push(JSON.stringify(plan));
          }
        }
      }
      return;
    }
    // Zones are named in the order in which they come: each way to group the members is tried once.
    for (let zone = 0; zone <= Math.max(-1, ...zones) + 1; zone++) tryZones([...zones, zone], size);
  };
  for (let size = 1; size <= 5; size++) tryZones([], size);
  t.equal(rings, 1 * 2 + 2 * 4 * 2 + 5 * 8 * 3 + 15 * 16 * 4 + 52 * 32 * 5);
  t.strictSame(unsound, []);
  t.end();
});

test('replicas lie as evenly as what is owned: at most n from the share, at any size', (t) => {
  const uneven: string[] = [];
  for (let nodes = 1; nodes <= 32; nodes++) {
    for (let n = 1; n <= Math.min(5, nodes); n++) {
      const balance = ringBalance(createRing({ members: members(nodes), partitions: 64, n }));
      t.strictSame(balance.forcedZones, []);
      for (const { name, replicas, fairReplicas } of balance.members) {
        if (Math.abs(replicas - fairReplicas) > n) uneven.push(`${nodes} nodes, n ${n}: ${name} keeps ${replicas}`);
      }
    }
  }
  t.strictSame(uneven, []);
  t.end();
});

test('where zones forbid balance, zones win, and the balance says so', (t) => {
  // Node 0 is alone in its zone, and every partition must lie in both.
  const lonely = ringBalance(createRing({ members: membersIn('xyyyy'), partitions: 64, n: 2 }));
  t.strictSame(lonely.forcedZones, ['x', 'y']);
  t.equal(lonely.zonesPerPartition, 2);
  t.strictSame(
    lonely.members.map(({ replicas }) => replicas),
    [64, 16, 16, 16, 16],
    'the others still share evenly',
  );
  t.ok(lonely.members.every(({ owned, fairOwned }) => Math.abs(owned - fairOwned) < 1));

  const even = ringBalance(createRing({ members: membersIn('xxyyzz'), partitions: 64, n: 3 }));
  t.strictSame(even.forcedZones, []);
  t.ok(even.efficiency > 0.9, `${even.efficiency}`);

  const irregular = ringBalance(createRing({ members: membersIn('wxwyxwzzw'), partitions: 256, n: 3 }));
  t.strictSame(
    irregular.forcedZones,
    ['w', 'x', 'y', 'z'].filter((zone) => irregular.forcedZones.includes(zone)),
  );
  t.end();
});

test('weights share out the partitions', (t) => {
  const ring = createRing({
    members: [1, 2, 1, 4].map((weight, i) => ({ name: `n${i}`, zone: `z${i}`, weight })),
    partitions: 64,
    n: 1,
  });
  t.strictSame(
    ringBalance(ring).members.map(({ owned, replicas }) => [owned, replicas]),
    [
      [8, 8],
      [16, 16],
      [8, 8],
      [32, 32],
    ],
  );
  t.end();
});

test('joining and leaving move close to the least number of replicas', (t) => {
  const replicasMoved = (before: Ring, after: Ring) => {
    const keepers = (ring: Ring, partition: number) =>
      ring.preferenceLists[partition]!.primaries.map((member) => ring.members[member]!.name);
    let moved = 0;
    for (let partition = 0; partition < before.partitions; partition++) {
      const old = keepers(before, partition);
      moved += keepers(after, partition).filter((name) => !old.includes(name)).length;
    }
    return moved;
  };
  const excess: number[] = [];
  for (let nodes = 4; nodes <= 16; nodes++) {
    const ring = createRing({ members: members(nodes), partitions: 64, n: 3 });
    const joined = changeMembers(ring, members(nodes + 1));
    const left = changeMembers(ring, members(nodes).slice(1));
    // What the newcomer keeps must come to it; what the leaver kept must go to somebody.
    excess.push(replicasMoved(ring, joined) / ringBalance(joined).members[nodes]!.replicas);
    excess.push(replicasMoved(ring, left) / ringBalance(ring).members[0]!.replicas);
    t.equal(joined.version, 2);
  }
  t.ok(Math.max(...excess) <= 1.2, `at most ${Math.max(...excess)} times the least`);
  t.end();
});

test('a plan out of its limits is refused, and the message names what to change', (t) => {
  const good = { members: members(3), partitions: 64, n: 3 };
  const member = { name: 'a', zone: 'z', weight: 1 };
  for (const [plan, message] of [
    [{ ...good, partitions: 60 }, /partitions must be a power of two from 8 to 1024, not 60/],
    [{ ...good, partitions: 4 }, /partitions/],
    [{ ...good, members: [] }, /at least one node/],
    [{ ...good, n: 4 }, /n must be an integer from 1 to the number of nodes, 3, not 4/],
    [{ ...good, n: 0 }, /n must be/],
    [{ ...good, n: 1.5 }, /n must be/],
    [{ ...good, members: [member, member], n: 1 }, /two nodes are named "a"/],
    [{ ...good, members: [{ ...member, name: 'a b' }], n: 1 }, /name must be .* not "a b"/],
    [{ ...good, members: [{ ...member, name: '' }], n: 1 }, /name must be/],
    [{ ...good, members: [{ ...member, zone: '' }], n: 1 }, /zone of node "a"/],
    [{ ...good, members: [{ ...member, weight: 0 }], n: 1 }, /weight of node "a" must be a number above 0, not 0/],
    [{ ...good, members: [{ ...member, weight: Number.POSITIVE_INFINITY }], n: 1 }, /weight/],
  ] as const) {
    t.throws(() => createRing(plan), { name: 'InvalidArgumentError', message }, String(message));
  }
  t.throws(() => changeMembers(createRing(good), members(2)), InvalidArgumentError, 'fewer members than n');
  t.end();
});

test('a ring that is made cannot be changed', (t) => {
  const ring = createRing({ members: members(3), partitions: 8, n: 2 });
  for (const part of [ring, ring.members, ring.members[0], ring.owners, ring.preferenceLists]) {
    t.ok(Object.isFrozen(part));
  }
  t.ok(Object.isFrozen(preferenceList(ring, 0).primaries) && Object.isFrozen(preferenceList(ring, 0).fallbacks));
  t.end();
});

test('a stored ring that is damaged, or of another format, is refused', (t) => {
  const ring = createRing({ members: members(3), partitions: 8, n: 2 });
  const json = ringToJson(ring);
  t.strictSame(ringFromJson(JSON.parse(JSON.stringify(json))), ring);
  for (const [damaged, message] of [
    [null, /not an object/],
    [[], /not an object/],
    [{ ...json, format: 2 }, /format 2; this version reads format 1/],
    [{ ...json, version: 0 }, /version/],
    [{ ...json, partitions: '8' }, /partitions/],
    [{ ...json, partitions: 9 }, /power of two/],
    [{ ...json, n: 4 }, /n must be/],
    [{ ...json, members: 'abc' }, /members/],
    [{ ...json, members: [null] }, /members/],
    [{ ...json, members: [{}] }, /name/],
    [{ ...json, owners: undefined }, /has not 8 owners/],
    [{ ...json, owners: json.owners.slice(1) }, /has not 8 owners/],
    [{ ...json, owners: json.owners.map(() => 3) }, /an owner is not one of its members/],
    [{ ...json, owners: json.owners.map(() => '0') }, /an owner is not one of its members/],
  ] as const) {
    t.throws(() => ringFromJson(damaged), { name: 'UnknownFormatError', message }, String(message));
  }
  t.throws(() => ringFromJson(undefined), UnknownFormatError);
  t.end();
});

test('a store is opened with the plan that it was created with, in any order of its nodes', (t) => {
  const plan = { members: members(3), partitions: 8, n: 2 };
  const ring = createRing(plan);
  t.doesNotThrow(() => checkSamePlan(ring, { ...plan, members: members(3).reverse() }));
  for (const [other, message] of [
    [{ ...plan, partitions: 16 }, /partitions was fixed at creation as 8; open the store with that, not with 16/],
    [{ ...plan, n: 3 }, /n was fixed/],
    [{ ...plan, members: members(4) }, /set of nodes/],
    [{ ...plan, members: [...members(2), { name: 'other', zone: 'z2', weight: 1 }] }, /set of nodes/],
    [{ ...plan, members: members(3).map((member) => ({ ...member, zone: 'z' })) }, /zone of node "n0"/],
    [{ ...plan, members: members(3).map((member) => ({ ...member, weight: 2 })) }, /weight of node "n0"/],
  ] as const) {
    t.throws(() => checkSamePlan(ring, other), { name: 'OptionsMismatchError', message }, String(message));
  }
  t.throws(() => checkSamePlan(ring, { ...plan, n: 1 }), OptionsMismatchError);
  t.end();
});
