/** `quoral simulate`: one seed, many, a scenario file, and what is wrong with one. */
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'tap';
import { FakeTerminal } from '../../support/fake-terminal.js';

const CRASH = {
  nodes: 5,
  n: 3,
  seed: 3,
  durationMs: 600,
  steps: [
    { at: 300, do: 'start', node: 'b' },
    { at: 100, do: 'crash', node: 'b' },
    { at: 150, do: 'put', key: 'cart', value: 'milk' },
    { at: 350, do: 'pause', node: 'c', ms: 50 },
    { at: 400, do: 'split', nodes: ['d', 'e'] },
    { at: 500, do: 'heal' },
  ],
};

test('a scenario is told: what struck, what was seen, what was promised; twice the same', async (t) => {
  const terminal = new FakeTerminal();
  const file = join(t.testdir({ 'crash.json': JSON.stringify(CRASH) }), 'crash.json');
  const told = await terminal.run('simulate', file);
  t.match(told, { code: 0, err: '' });
  t.match(told.out, /120\.0 ms {2}node b crashes\n/);
  t.match(told.out, /320\.0 ms {2}node b starts\n/);
  t.match(told.out, /node c stands still for 50 ms/);
  t.match(told.out, /split: d, e \| the rest/);
  t.match(told.out, /puts acknowledged/);
  t.match(told.out, /struck 1 times: split\n/);
  t.match(told.out, /checked: no acknowledged write is lost \(promise 1\): kept\n/);
  t.match(told.out, /every promise was kept\n$/);
  t.equal((await terminal.run('simulate', file)).out, told.out);
});

/** Everything that a seed of the swarm may strike with, and `CRASH` has not. */
const STRUCK = {
  nodes: 5,
  n: 3,
  seed: 4,
  durationMs: 1_000,
  exchangeIntervalMs: 300,
  steps: [
    { at: 50, do: 'put', key: 'cart', value: 'milk' },
    { at: 100, do: 'one-way-split', from: ['a'], to: ['b', 'c'] },
    { at: 200, do: 'heal' },
    { at: 210, do: 'clock-drift', node: 'b', drift: 0.3 },
    { at: 220, do: 'clock-jump', node: 'b', ms: -500 },
    { at: 250, do: 'full-hint-disk', node: 'c' },
    ...['a', 'b', 'c', 'd', 'e'].map((node) => ({ at: 300, do: 'crash-vnode', node, key: 'cart' })),
    { at: 350, do: 'failing-commit', node: 'd', outcome: 'lost' },
    { at: 360, do: 'failing-commit', node: 'a', outcome: 'stored', of: 'hints' },
    { at: 400, do: 'rot-own-records', node: 'e' },
    { at: 410, do: 'crash', node: 'e' },
    { at: 500, do: 'start', node: 'e' },
  ],
};

test('a scenario can strike with all that seeds do', async (t) => {
  const terminal = new FakeTerminal();
  const file = join(t.testdir({ 'struck.json': JSON.stringify(STRUCK) }), 'struck.json');
  const told = await terminal.run('simulate', file);
  t.match(told, { code: 0, err: '' });
  t.match(told.out, /120\.0 ms {2}nothing gets from a to b, c\n/);
  t.match(told.out, /the clock of b drifts by 0\.3\n/);
  t.match(told.out, /the clock of b jumps by -500 ms\n/);
  t.match(told.out, /the disk for hints of c is full\n/);
  t.equal(told.out.match(/the vnode of cart on [a-e] crashes\n/g)?.length, 3);
  t.equal(told.out.match(/[a-e] keeps no replica of cart: nothing crashes\n/g)?.length, 2);
  t.match(told.out, /the next commit of objects of d fails \(lost\)\n/);
  t.match(told.out, /the next commit of hints of a fails \(stored\)\n/);
  t.match(told.out, /420\.0 ms {2}.* rots on e\n/);
  t.match(told.out, /every promise was kept\n$/);
});

/** By example, what its nodes must have done. */
const EXAMPLES: readonly [file: string, seen: readonly string[]][] = [
  ['disk-loss.json', ['exchanges', 'exchangesEqual', 'exchangeKeysFound', 'exchangeKeysRepaired']],
  ['lost-hints.json', ['hintsKept', 'exchangeKeysFound', 'exchangeKeysRepaired']],
  ['rot.json', ['corruptRecords', 'rotHealed']],
  ['restored-copy.json', ['tombstonesReaped', 'replicasDiscarded']],
  ['reaping.json', ['tombstonesReaped', 'contextsReduced']],
];

test('every example keeps its promises, and shows what it is there to show', async (t) => {
  const directory = new URL('../../../../examples/scenarios/', import.meta.url);
  const files = readdirSync(directory).filter((file) => file.endsWith('.json'));
  t.same(files.sort(), EXAMPLES.map(([file]) => file).sort());
  for (const [file, seen] of EXAMPLES) {
    const told = await new FakeTerminal().run('simulate', fileURLToPath(new URL(file, directory)), '--json');
    t.match(told, { code: 0, err: '' }, file);
    const { background, checked } = JSON.parse(told.out);
    for (const what of seen) t.ok(background[what] > 0, `${file}: ${what}`);
    for (const promise of [1, 2, 4, 8]) {
      t.ok(
        checked.some((one: string) => new RegExp(`\\(promises? (\\d, )?${promise}.*\\): kept$`).test(one)),
        `${file}: ${promise}`,
      );
    }
  }
});

test('a scenario without clients has what its steps put, and nothing else', async (t) => {
  const terminal = new FakeTerminal();
  const file = join(t.testdir({ 'one.json': '' }), 'one.json');
  writeFileSync(file, JSON.stringify({ ...CRASH, clients: 0 }));
  const told = JSON.parse((await terminal.run('simulate', file, '--json')).out);
  t.match(told, { puts: 1, acknowledged: 1, violations: [], faults: { crash: 1, put: 1 } });
});

test('a run in which nothing was acknowledged shows nothing, and fails', async (t) => {
  const terminal = new FakeTerminal();
  const file = join(t.testdir({ 'none.json': JSON.stringify({ clients: 0, steps: [] }) }), 'none.json');
  const told = await terminal.run('simulate', file);
  t.equal(told.code, 1);
  t.match(told.out, /VIOLATION nothing was acknowledged/);
  t.match(told.err, /1 promises were broken/);
});

test('what is wrong with a scenario is said, with what may stand there', async (t) => {
  const terminal = new FakeTerminal();
  const file = join(t.testdir({ 'wrong.json': '' }), 'wrong.json');
  const wrong: [unknown, RegExp][] = [
    [[], /the scenario must be an object/],
    [{ nodes: 5 }, /"steps" must be a list/],
    [{ nodes: 99, steps: [] }, /"nodes" must be a number from 1 to 26; it is 99/],
    [{ node: 5, steps: [] }, /no field "node"; it has nodes, n, /],
    [{ nodes: 2, zones: ['a'], steps: [] }, /"zones" must be a list of 2 texts/],
    [{ steps: [{ at: 1, do: 'explode' }] }, /step 1: "do" must be one of crash, stop, .*; it is "explode"/],
    [{ steps: [{ do: 'heal' }] }, /step 1: "at" must be a number from 0 to 1500; it is missing/],
    [{ steps: [{ at: 1, do: 'crash', node: 'z' }] }, /step 1: "node" must be one of a, b, c, d, e; it is "z"/],
    [{ steps: [{ at: 1, do: 'split', nodes: ['z'] }] }, /step 1: "nodes" must be a list of a, b, c, d, e/],
    [{ steps: [{ at: 1, do: 'pause', node: 'a' }] }, /step 1: "ms" must be a number/],
    [{ steps: [{ at: 1, do: 'heal', node: 'a' }] }, /step 1 has no field "node"; it has at, do/],
    [{ exchangeIntervalMs: 1, steps: [] }, /"exchangeIntervalMs" must be a number from 50 to 3600000; it is 1/],
    [{ tombstoneGraceMs: 500, steps: [] }, /"tombstoneGraceMs" needs "exchangeIntervalMs"/],
    [{ exchangeIntervalMs: 500, maxContextEntries: 3, steps: [] }, /"maxContextEntries" needs "tombstoneGraceMs"/],
    [{ steps: [{ at: 1, do: 'power-loss', nodes: ['a'], damaged: 'hints' }] }, /step 1: only "sync": "none" leaves/],
    [{ steps: [{ at: 1, do: 'exchange' }] }, /step 1: an exchange needs "exchangeIntervalMs" in the scenario/],
    [{ exchangeIntervalMs: 500, steps: [{ at: 1, do: 'reap' }] }, /step 1: a reaping needs "tombstoneGraceMs"/],
    [
      {
        steps: [
          { at: 2, do: 'copy', node: 'a' },
          { at: 1, do: 'restore', node: 'a' },
          { at: 3, do: 'restore', node: 'b' },
        ],
      },
      /step 2: no earlier step makes a copy of "a"/,
    ],
    [{ steps: [{ at: 1, do: 'disk-loss' }] }, /step 1: "node" must be one of a, b, c, d, e; it is missing/],
    [{ steps: [{ at: 1, do: 'rot', node: 'a' }] }, /step 1: "key" must be a text; it is missing/],
    [{ steps: [{ at: 1, do: 'one-way-split', from: ['a'] }] }, /step 1: "to" must be a list of texts; it is missing/],
    [
      { steps: [{ at: 1, do: 'one-way-split', from: ['a', 'b'], to: ['c', 'b'] }] },
      /step 1: "to" must be other nodes than "from", which has "b", too; it is \["c","b"\]/,
    ],
    [{ steps: [{ at: 1, do: 'one-way-split', from: ['z'], to: ['a'] }] }, /step 1: "from" must be a list of a, b/],
    [
      { steps: [{ at: 1, do: 'clock-drift', node: 'a', drift: -1 }] },
      /"drift" must be a number from -0.5 to 1; it is -1/,
    ],
    [{ steps: [{ at: 1, do: 'full-hint-disk', node: 7 }] }, /step 1: "node" must be one of a, b, c, d, e; it is 7/],
    [{ steps: [{ at: 1, do: 'crash-vnode', node: 'a' }] }, /step 1: "key" must be a text; it is missing/],
    [{ steps: [{ at: 1, do: 'failing-commit', node: 'a' }] }, /"outcome" must be one of stored, lost; it is missing/],
    [
      { steps: [{ at: 1, do: 'failing-commit', node: 'a', outcome: 'lost', of: 'logs' }] },
      /"of" must be one of objects, system, hints; it is "logs"/,
    ],
    [{ steps: [{ at: 1, do: 'rot-own-records' }] }, /step 1: "node" must be one of a, b, c, d, e; it is missing/],
  ];
  for (const [scenario, message] of wrong) {
    writeFileSync(file, JSON.stringify(scenario));
    const told = await terminal.run('simulate', file);
    t.equal(told.code, 2, JSON.stringify(scenario));
    t.match(told.err, message);
  }
  writeFileSync(file, '{');
  t.match(await terminal.run('simulate', file), { code: 1, err: /cannot read the scenario/ });
});

test('one seed is told, many are counted', async (t) => {
  const terminal = new FakeTerminal();
  const told = await terminal.run('simulate', '--seed', '7');
  t.equal(told.code, 0);
  t.match(told.out, /seed 7: \d+ events/);
  const counted = await terminal.run('simulate', '--seed', '7', '--seeds', '2');
  t.match(counted, { code: 0, out: /\n2 passed, 0 failed\n$/ });
  t.match(JSON.parse((await terminal.run('simulate', '--seeds', '1', '--json')).out), { seeds: 1, failed: [] });
  const countedBy = async (threads: string) => {
    return (await terminal.run('simulate', '--seeds', '3', '--json', '--threads', threads)).out;
  };
  const one = await countedBy('1');
  t.match(JSON.parse(one), { seeds: 3 });
  t.equal(await countedBy('3'), one, 'however many threads run them');
});

test('what cannot be meant is refused', async (t) => {
  const terminal = new FakeTerminal();
  t.match(await terminal.run('simulate'), { code: 2, err: /say what to simulate/ });
  t.match(await terminal.run('simulate', 'x.json', '--seed', '0'), { code: 2, err: /names its own seed/ });
  t.match(await terminal.run('simulate', '--seed', '-1'), { code: 2, err: /whole number/ });
  t.match(await terminal.run('simulate', '--seed', '7', '--threads', '2'), {
    code: 2,
    err: /--threads is for --seeds/,
  });
  t.match(await terminal.run('simulate', '--hours', '0'), { code: 2, err: /number above 0/ });
});
