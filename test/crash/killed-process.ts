/**
 * A process that writes is killed again and again (SIGKILL), at any moment, its opening included; the directory is
 * looked at as the kill left it, and opened again, by the next writer or by this process.
 */
import assert from 'node:assert/strict';
import { below } from '../../src/base/random.js';
import { openedEntry } from '../support/crash-load.js';
import { IDENTITY_KEYS, writeIdentities } from '../support/identity-keys.js';
import { CrashCase } from './crash-case.js';
import type { Progress } from './story.js';

export interface KillOptions {
  readonly kills: number;
  readonly sync: 'full' | 'none';
  readonly seed: number;
}

const WRITER = new URL('../support/crash-writer.js', import.meta.url);

/** What is known of the vnodes' identities over all kills. */
interface Identities {
  /** What the next opening finds: a clean stop, an unclean one, or a clean one of which an opening may have begun. */
  stop: 'clean' | 'unclean' | 'either';
}

/** @returns a summary @throws if anything was lost, damaged, used twice or brought back */
export function killWriters({ kills, sync, seed }: KillOptions, progress: Progress): Promise<string> {
  return CrashCase.run('kill', seed, async (test) => {
    const { ledger, random } = test;
    const identities: Identities = { stop: 'clean' };
    await test.create({ sync });
    let writing = 0;
    for (let kill = 1; kill <= kills; kill++) {
      if (await killOne(test, identities, sync, `k${kill}`)) writing++;
      test.checkLeft();
      // Sometimes the next writer finds the directory just as the kill left it.
      if (kill === kills || below(random, 3) > 0) await verify(test, identities, sync, `v${kill}`);
      progress(`sync '${sync}', kill ${kill} of ${kills}: ${ledger.acked} acknowledged, ${ledger.open} open`);
    }
    assert(writing > 0 && ledger.acked > 0, 'no writer was killed while it wrote');
    assert(ledger.open > 0, 'no kill struck a write in flight');
    return `${kills} kills (${writing} while writing), ${ledger.acked} acknowledged and ${ledger.open} open writes`;
  });
}

/** Lets a process write until a random moment, kills it, and books what it has told. @returns whether it was writing */
async function killOne(
  test: CrashCase,
  identities: Identities,
  sync: KillOptions['sync'],
  run: string,
): Promise<boolean> {
  const { random, ledger } = test;
  const writer = test.startWriter(WRITER, sync, run);
  // One in five is killed while it opens the store.
  const opening = below(random, 5) === 0;
  if (!opening) await writer.says('writing');
  await writer.goesOnFor(below(random, opening ? 900 : 250));
  await writer.kill();
  const before = ledger.writers;
  ledger.newIdentities = undefined;
  test.enter(writer);
  checkIdentities(test, identities, run, before);
  identities.stop = writer.said.has('ready') || identities.stop === 'unclean' ? 'unclean' : 'either';
  return writer.said.has('writing');
}

async function verify(test: CrashCase, identities: Identities, sync: 'full' | 'none', run: string): Promise<void> {
  const { ledger } = test;
  await test.verify({ sync }, async (store) => {
    const before = ledger.writers;
    ledger.apply(await openedEntry(store));
    await writeIdentities(store, IDENTITY_KEYS, run, ledger.apply);
    checkIdentities(test, identities, run, before);
  });
  identities.stop = 'clean';
}

/** After a clean stop all names are kept, whichever node mints now; after a kill none is. */
function checkIdentities({ ledger }: CrashCase, { stop }: Identities, run: string, before: ReadonlySet<string>): void {
  const { newIdentities } = ledger;
  // It was killed before it could tell, and before it wrote.
  if (newIdentities === undefined) return;
  if (stop === 'clean') assert.equal(newIdentities, 0, 'vnodes have new names after a clean stop');
  if (stop !== 'unclean') return;
  assert(newIdentities > 0, 'no vnode has a new name after a kill');
  for (const key of IDENTITY_KEYS) {
    if (!ledger.isAcked(`${run}.${key}`)) continue;
    assert(!before.has(ledger.writerOf(`${run}.${key}`)), `${key} has an old writer after a kill`);
  }
}
