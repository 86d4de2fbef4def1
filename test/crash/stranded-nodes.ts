/**
 * Nodes die with LMDB's lock in hand: their JavaScript heap is exhausted within a transaction. The others go on, the node
 * comes back, the store can be closed and opened again in the same process, and the process ends, whichever way it was to
 * end. Nothing acknowledged is lost.
 *
 * With lmdb 2.9 such a thread ends, and all is as after any other death. One that has not ended after half a second counts
 * as stranded: then its node comes back on a copy of its files, and the process ends by SIGKILL.
 */
import assert from 'node:assert/strict';
import { below } from '../../src/base/random.js';
import { CrashCase } from './crash-case.js';
import type { Progress } from './story.js';

export interface StrandOptions {
  /** Processes that are ended, in each of the ways in turn. */
  readonly processes: number;
  /** Nodes that die in each, one after the other. */
  readonly deaths: number;
  readonly seed: number;
}

const WRITER = new URL('../support/stranding-writer.js', import.meta.url);
const ENDS = ['close', 'exit', 'close-at-once'] as const;
const EXIT_CODES = { close: 0, exit: 3, 'close-at-once': 0 };
/** From the first step of its end to the last, including a close that waits for a thread which never ends. */
const ENDS_WITHIN_MS = 15_000;
const KILLS_ITSELF = /(died within a transaction|is stuck in a commit): the process kills itself/;

export function strandNodes({ processes, deaths, seed }: StrandOptions, progress: Progress): Promise<string> {
  return CrashCase.run('strand', seed, async (test) => {
    const { ledger, random } = test;
    await test.create();
    for (let count = 0; count < processes; count++) {
      const end = ENDS[count % ENDS.length]!;
      const sync = below(random, 2) === 0 ? 'full' : 'none';
      const writer = test.startWriter(WRITER, sync, `s${count}`, { arguments: [String(deaths), end] });
      assert(await writer.says('ending'), `the process did not get over its deaths: ${writer.lastErrors}`);
      const late = setTimeout(() => writer.child.kill('SIGTERM'), ENDS_WITHIN_MS);
      await writer.exited;
      clearTimeout(late);
      const { signalCode, exitCode } = writer.child;
      if (signalCode === 'SIGKILL') assert.match(writer.lastErrors, KILLS_ITSELF);
      else assert.equal(signalCode ?? exitCode, EXIT_CODES[end], `its end by ${end}: ${writer.lastErrors}`);
      if (end !== 'exit') assert(writer.said.has('closed'), `it did not close and reopen: ${writer.lastErrors}`);
      test.enter(writer);
      test.checkLeft();
      await test.verify();
      progress(`process ${count + 1} of ${processes} (sync '${sync}', ${end}): ${ledger.acked} acknowledged`);
    }
    return `${processes} processes, ${processes * deaths} deaths, ${ledger.acked} acknowledged and ${ledger.open} open writes`;
  });
}
