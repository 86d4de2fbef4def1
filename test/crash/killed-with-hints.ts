/**
 * A process is killed (SIGKILL) while hints wait in it, or are on their way to their owners, whose nodes and those of the
 * holders come and go all the time. Whatever moment it is: what was acknowledged is in the files, with a replica or as a
 * hint; opened again, every hint finds its owner, and does no harm where that had it before.
 */
import assert from 'node:assert/strict';
import { below } from '../../src/base/random.js';
import { CrashCase } from './crash-case.js';
import type { KillOptions } from './killed-process.js';
import type { Progress } from './story.js';

const WRITER = new URL('../support/hinting-writer.js', import.meta.url);
/** How long after a delivery has begun the kill comes, at most, in milliseconds. */
const WHILE_DELIVERED_MS = 60;
/** How long after the opening has begun, or after hints have come to wait, it comes at most, in milliseconds. */
const OPENING_MS = 900;
const WAITING_MS = 250;

/** Kinds of moments at which a process is killed, in turn: with fewer kills than these, one kind may be missing. */
const MOMENTS = 6;

/** What the kills met. */
interface Met {
  /** Hints that a kill left behind, over all kills. */
  hints: number;
  /** Kills that left hints, and those of them that came after a delivery had begun. */
  waiting: number;
  delivering: number;
  /** Openings that had hints to deliver, and the longest that took until all were with their owners, in milliseconds. */
  opened: number;
  longestMs: number;
}

/** @returns a summary @throws if anything was lost, used twice, brought back, or not delivered */
export function killWithHints({ kills, sync, seed }: KillOptions, progress: Progress): Promise<string> {
  return CrashCase.run('hints', seed, async (test) => {
    const { ledger, random } = test;
    const met: Met = { hints: 0, waiting: 0, delivering: 0, opened: 0, longestMs: 0 };
    await test.create({ sync });
    const first = below(random, MOMENTS);
    for (let kill = 1; kill <= kills; kill++) {
      const delivering = await killOne(test, sync, `h${kill}`, (first + kill) % MOMENTS);
      const hints = test.checkLeft();
      met.hints += hints;
      if (hints > 0) met.waiting++;
      if (hints > 0 && delivering) met.delivering++;
      // Sometimes the next process finds the directory just as the kill left it.
      if (kill === kills || below(random, 3) > 0) await openAndDeliver(test, sync, hints, met);
      progress(`sync '${sync}', kill ${kill} of ${kills}: ${ledger.acked} acknowledged, ${met.hints} hints left`);
    }
    assert(met.delivering > 0, 'no kill struck a delivery');
    assert(met.opened > 0, 'no store was opened with hints in it');
    return (
      `${kills} kills, ${met.waiting} with hints (${met.hints} in all), ${met.delivering} amid their delivery; ` +
      `${met.opened} openings delivered them, in ${Math.round(met.longestMs)} ms at most; ${ledger.acked} acknowledged`
    );
  });
}

/**
 * Kills a process at a random moment of a kind, and books what it has told.
 * @param moment - 0: as it opens; 1: while hints wait; above: while they are delivered
 * @returns whether hints were being delivered
 */
async function killOne(test: CrashCase, sync: KillOptions['sync'], run: string, moment: number): Promise<boolean> {
  const { random } = test;
  const writer = test.startWriter(WRITER, sync, run);
  const round = 1 + below(random, 2);
  switch (moment) {
    case 0:
      // It delivers what the kill before has left, or is not even open.
      await writer.goesOnFor(below(random, OPENING_MS));
      break;
    case 1:
      await writer.says(`waiting ${round}`);
      await writer.goesOnFor(below(random, WAITING_MS));
      break;
    default:
      await writer.says(`delivering ${round}`);
      await writer.goesOnFor(below(random, WHILE_DELIVERED_MS));
  }
  await writer.kill();
  test.enter(writer);
  return writer.said.has('delivering 1');
}

async function openAndDeliver(test: CrashCase, sync: 'full' | 'none', hints: number, met: Met): Promise<void> {
  const startedAt = performance.now();
  await test.verify({ sync }, async (store) => {
    await store.admin.waitForHints({ timeoutMs: 30_000 });
    if (hints === 0) return;
    met.opened++;
    met.longestMs = Math.max(met.longestMs, performance.now() - startedAt);
    const delivered = Object.values((await store.stats()).nodes).reduce((sum, node) => sum + node.hintsDelivered!, 0);
    assert(delivered > 0, `${hints} hints were left, and nobody has delivered one`);
  });
}
