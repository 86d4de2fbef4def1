/** The crash tests in short, for every run of the tests; `npm run crash` runs them at full length. */
import { test } from '../support/test.js';
import { killNodes } from './dying-nodes.js';
import { killWriters } from './killed-process.js';
import { strandNodes } from './stranded-nodes.js';

const seed = Number(process.env.QUORAL_SEED ?? Date.now() % 1_000_000);
const silent = (): void => {};

test('a writing process is killed: nothing acknowledged is lost, no dot used twice', async () => {
  await killWriters({ kills: 3, sync: 'full', seed }, silent);
});

test('nodes crash under load and come back', async () => {
  await killNodes({ deaths: 1, by: 'crash', sync: 'none', seed }, silent);
  await killNodes({ deaths: 1, by: 'exhaust', sync: 'none', seed }, silent);
});

test('a node dies within a transaction, and comes back; the process can close, reopen and end', async () => {
  await strandNodes({ processes: 1, deaths: 1, seed }, silent);
});
