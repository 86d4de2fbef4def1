/**
 * The crash tests at full length: `npm run crash [-- --seed N --kills N --hint-kills N --deaths N --disk-faults N --strandings N
 * --seconds N]`, and `--only TEXT` for the stories with that in their name. Shows how far each is, and names those that it
 * had to skip; ends with `N passed, N failed`, in which skipped ones are not counted.
 */
import { parseArgs } from 'node:util';
import { failDisks } from './disk-faults.js';
import { giveUpOnNode, killNodes } from './dying-nodes.js';
import { failOver } from './failover.js';
import { killWriters } from './killed-process.js';
import { killWithHints } from './killed-with-hints.js';
import { addUnderFaults } from './set-under-faults.js';
import type { Progress, Story } from './story.js';
import { strandNodes } from './stranded-nodes.js';

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    kills: { type: 'string' },
    'hint-kills': { type: 'string' },
    deaths: { type: 'string' },
    strandings: { type: 'string' },
    seconds: { type: 'string' },
    'disk-faults': { type: 'string' },
    only: { type: 'string' },
  },
});
const seed = Number(values.seed ?? Date.now() % 1_000_000);
const kills = Number(values.kills ?? 30);
const hintKills = Number(values['hint-kills'] ?? 8);
const diskFaults = Number(values['disk-faults'] ?? 50);
const deaths = Number(values.deaths ?? 7);
const strandings = Number(values.strandings ?? 3);
const seconds = Number(values.seconds ?? 60);
const DEATHS = { crash: 'by request', throw: 'of an error that nobody catches', exhaust: 'of an exhausted heap' };

const all: Story[] = [
  ...(['full', 'none'] as const).map((sync) => ({
    name: `a writing process is killed ${kills} times, sync '${sync}'`,
    leavesRoom: true,
    run: (progress: Progress) => killWriters({ kills, sync, seed }, progress),
  })),
  ...(['full', 'none'] as const).map((sync) => ({
    name: `a process in which hints wait is killed ${hintKills} times, sync '${sync}'`,
    leavesRoom: true,
    run: (progress: Progress) => killWithHints({ kills: hintKills, sync, seed }, progress),
  })),
  ...(['crash', 'throw', 'exhaust'] as const).flatMap((by) =>
    (['full', 'none'] as const).map((sync) => ({
      name: `${deaths} nodes die under load, ${DEATHS[by]}, sync '${sync}'`,
      run: (progress: Progress) => killNodes({ deaths, by, sync, seed }, progress),
    })),
  ),
  {
    name: `a writing process meets failing writes and flushes, ${diskFaults} times`,
    run: (progress) => failDisks({ runs: diskFaults, seed }, progress),
  },
  {
    name: `nodes die within a transaction, in ${strandings} processes`,
    run: (progress) => strandNodes({ processes: strandings, deaths: 3, seed }, progress),
  },
  {
    name: 'a node is crashed and started again under a light load: nothing fails, and nothing is missed silently',
    run: (progress) => failOver({ seed }, progress),
  },
  ...(['full', 'none'] as const).map((sync) => ({
    name: `elements are added to sets for ${seconds} s while nodes crash, stand still and are split apart, sync '${sync}'`,
    run: (progress: Progress) => addUnderFaults({ seconds, sync, seed }, progress),
  })),
  {
    name: 'a node that dies again and again is given up, until it is started by hand',
    run: (progress) => giveUpOnNode({ seed }, progress),
  },
];

const stories = all.filter(({ name }) => name.includes(values.only ?? ''));

const terminal = process.stderr.isTTY;
const progress: Progress = (text) => {
  if (terminal) process.stderr.write(`\r\x1b[K  ${text}`);
  else process.stderr.write(`  ${text}\n`);
};

// Who has read enough and leaves (`| head`) ends it, without a word: it has not come to its end.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') console.error(error);
  process.exit(1);
});

let passed = 0;
let failed = 0;
console.log(`crash tests, seed ${seed}`);
async function tell(story: Story): Promise<void> {
  const startedAt = performance.now();
  try {
    const seen = await story.run(progress);
    if (terminal) process.stderr.write('\r\x1b[K');
    if (typeof seen !== 'string') {
      console.log(`skipped: ${story.name}: ${seen.skipped}`);
      return;
    }
    passed++;
    console.log(`ok ${story.name}: ${seen} (${((performance.now() - startedAt) / 1_000).toFixed(1)} s)`);
  } catch (error) {
    failed++;
    if (terminal) process.stderr.write('\r\x1b[K');
    console.log(`not ok ${story.name}`);
    console.error(error);
  }
}

for (let at = 0; at < stories.length; ) {
  const two = stories.slice(at, at + 2);
  const now = two.every(({ leavesRoom }) => leavesRoom === true) ? two : two.slice(0, 1);
  await Promise.all(now.map(tell));
  at += now.length;
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
