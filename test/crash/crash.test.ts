/**
 * Two of the crash tests in short, for every run of the tests; `npm run crash` runs all, at full length. Those that exhaust
 * a heap are run there alone: under tap a thread takes seconds to start, and they would be measured by that.
 */
import { test } from '../support/test.js';
import { killNodes } from './dying-nodes.js';
import { killWriters } from './killed-process.js';

const seed = Number(process.env.QUORAL_SEED ?? Date.now() % 1_000_000);
const silent = (): void => {};

test('a writing process is killed: nothing acknowledged is lost, no dot used twice', async () => {
  await killWriters({ kills: 3, sync: 'full', seed }, silent);
});

test('nodes crash under load and come back', async () => {
  await killNodes({ deaths: 1, by: 'crash', sync: 'none', seed }, silent);
});
