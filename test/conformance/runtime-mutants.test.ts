/**
 * Shows that the runtime's conformance stories can fail: each planted bug, put into a copy of the simulator's compiled
 * code, is caught by the story named beside it, under one of a few seeds. The copy without a bug passes them.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { test } from 'tap';
import type { Simulator } from '../../src/runtime/simulator/simulator.js';
import { simulatedRuntime } from '../support/simulated-runtime.js';
import { play, RUNTIME_STORIES, type RuntimeStory } from './runtime.js';

interface Mutant {
  readonly bug: string;
  /** Replaced in the compiled file, where it must occur once. */
  readonly from: string;
  readonly to: string;
  /** How the name of the story that catches it begins. */
  readonly caughtBy: string;
  /** Compiled, under src/runtime/simulator. */
  readonly file?: string;
}

const MUTANTS: readonly Mutant[] = [
  {
    bug: 'a reply is delivered to a later incarnation',
    from: 'return cell.alive && cell.incarnation === incarnation && cell.actor !== undefined;',
    to: 'return cell.alive && cell.actor !== undefined;',
    caughtBy: 'answers and timers of an old incarnation',
    file: 'residents.js',
  },
  {
    bug: 'timers outlive their incarnation',
    from: 'cell.actor = undefined;\n        this.#dropTimers(cell);',
    to: 'cell.actor = undefined;',
    caughtBy: 'answers and timers of an old incarnation',
    file: 'residents.js',
  },
  {
    bug: 'a reply is refused for lack of credit',
    from: 'const to = this.#settle(requestId);',
    to: "if (this.#outstanding.size % 8 === 1) return this.#settleFailed(requestId, 'refused');\nconst to = this.#settle(requestId);",
    caughtBy: 'thousands of requests at once',
    file: 'correspondence.js',
  },
  {
    bug: 'acknowledgement before the commit',
    from: "if (release === 'now')",
    to: 'if (true)',
    caughtBy: 'a reply leaves now, when stored, or when durable',
    file: 'residents.js',
  },
  {
    bug: 'replies released now are held for the commit',
    from: "if (release === 'now')",
    to: 'if (false)',
    caughtBy: 'a reply leaves now, when stored, or when durable',
    file: 'residents.js',
  },
  {
    bug: 'durable is taken for stored',
    from: "(reply.release === 'durable' ? outcome.flushError : undefined)",
    to: 'undefined',
    caughtBy: 'a failed flush fails what was to be durable',
    file: 'group-commit.js',
  },
  {
    bug: 'acknowledgements are released after a failed group commit',
    from: 'outcome.commitError ?? (',
    to: 'undefined ?? (',
    caughtBy: 'a failed commit fails every write of its turn',
    file: 'group-commit.js',
  },
  {
    bug: 'only the first write of a failed group commit fails',
    from: 'const error = errorOf(reply, outcome);',
    to: 'const error = told.size === 0 ? errorOf(reply, outcome) : undefined;',
    caughtBy: 'a failed commit fails every write of its turn',
  },
  {
    bug: 'nobody tells the actor that its commit failed',
    from: 'this.putFirst({ kind: MAIL_COMMIT_FAILED',
    to: '({ kind: MAIL_COMMIT_FAILED',
    caughtBy: 'a failed commit, alone',
  },
  {
    bug: 'an actor is restarted before a pending commit is known',
    from: 'this.#world.schedule(time + decision.delayMs, this, RESTART_DUE, cell);',
    to: 'this.#home.putFirst({ kind: MAIL_START, cell });',
    caughtBy: 'a restarted actor waits for the outcome',
    file: 'residents.js',
  },
  {
    bug: 'requests in hand are forgotten with their actor',
    from: 'const unanswered = [...cell.unanswered];',
    to: 'const unanswered = [];',
    caughtBy: 'an actor that throws fails what it was asked',
    file: 'residents.js',
  },
  {
    bug: 'a crashed actor goes on as the same incarnation',
    from: 'cell.incarnation++;',
    to: '',
    caughtBy: 'an actor that throws fails what it was asked',
    file: 'residents.js',
  },
  {
    bug: 'a request to an old incarnation reaches the new one',
    from: "if (incarnation !== cell.incarnation)\n            return 'stale';",
    to: '',
    caughtBy: 'a request to an incarnation that is no more',
    file: 'correspondence.js',
  },
  {
    bug: 'mailboxes are not bounded',
    from: "cell.unanswered.size >= cell.mailbox ? 'refused' : undefined",
    to: 'undefined',
    caughtBy: 'what does not fit into a mailbox',
    file: 'correspondence.js',
  },
  {
    bug: 'answered requests keep their room in the mailbox',
    from: 'cell.unanswered.delete(request);',
    to: '',
    caughtBy: 'what does not fit into a mailbox',
    file: 'residents.js',
  },
  {
    bug: 'an outcome comes twice',
    from: 'this.#outstanding.delete(id);',
    to: '',
    caughtBy: 'when a thread dies',
    file: 'correspondence.js',
  },
  {
    bug: 'the death of a thread fails nothing',
    from: 'outstanding.to === peer && outstanding.toIncarnation <= gone',
    to: 'false',
    caughtBy: 'when a thread dies',
    file: 'correspondence.js',
  },
  {
    bug: 'cancelled timers fire',
    from: 'cell.timers.delete(id);\n        if (timer.event !== undefined)\n            this.#world.cancel(timer.event);',
    to: '',
    caughtBy: 'timers fire, and cancelled ones do not',
    file: 'residents.js',
  },
  {
    bug: 'an actor that throws for ever is restarted for ever',
    from: 'if (escalates)',
    to: 'if (false)',
    caughtBy: 'an actor that throws again and again',
    file: 'residents.js',
  },
  {
    bug: 'the pulse of a paused thread goes on',
    from: 'until = Math.min(until, this.#pausedAt);',
    to: '{}',
    caughtBy: 'the pulse of a thread goes on while it is idle',
  },
  {
    bug: 'the pulse of a thread goes on while it commits',
    from: 'until = this.#committingSince;',
    to: '{}',
    caughtBy: 'the pulse of a thread goes on while it is idle',
  },
  {
    bug: 'a paused thread is seen within a commit',
    from: 'return committing && !paused;',
    to: 'return committing || paused;',
    caughtBy: 'the pulse of a thread goes on while it is idle',
    file: 'simulator.js',
  },
  {
    bug: 'an idle thread shows no pulse',
    from: 'this.#turns + Math.floor(until / PULSE_MS)',
    to: 'this.#turns',
    caughtBy: 'the pulse of a thread goes on while it is idle',
  },
  {
    bug: 'the last pulse of a dead thread is shown',
    from: 'if (!this.#up[peer])\n            return -1;',
    to: '',
    caughtBy: 'a thread that is down has no pulse',
    file: 'peer-table.js',
  },
  {
    bug: 'a pulse is seen across a split',
    from: 'this.#world.isCut(peer, thread) ? undefined : ',
    to: '',
    caughtBy: 'across a split nothing passes',
    file: 'correspondence.js',
  },
  {
    bug: 'a clean stop does not wait for what is in hand',
    from: 'this.#inbox.size === 0 && this.#residents.nothingInHand()',
    to: 'true',
    caughtBy: 'a clean stop finishes',
  },
];

const FILE = 'simulated-thread.js';
const COMPILED = fileURLToPath(new URL('../../src', import.meta.url));
const SEEDS = [1, 2, 3, 4, 5];

/** A copy of the simulator, of which `change` gets to rewrite one file. */
async function simulatorFrom(
  directory: string,
  file: string,
  change: (code: string) => string,
): Promise<typeof Simulator> {
  for (const folder of ['base', 'runtime', 'storage']) {
    cpSync(join(COMPILED, folder), join(directory, folder), { recursive: true });
  }
  writeFileSync(join(directory, 'package.json'), '{ "type": "module" }');
  const path = join(directory, 'runtime', 'simulator', file);
  writeFileSync(path, change(readFileSync(path, 'utf8')));
  const entry = pathToFileURL(join(directory, 'runtime', 'simulator', 'simulator.js'));
  return ((await import(entry.href)) as { Simulator: typeof Simulator }).Simulator;
}

function storyOf(beginning: string): RuntimeStory {
  const story = RUNTIME_STORIES.find(({ name }) => name.startsWith(beginning));
  if (story === undefined) throw new Error(`no story begins with "${beginning}"`);
  return story;
}

test('each planted bug in a runtime is caught by a story', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'quoral-mutants-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));

  const whole = await simulatorFrom(join(directory, 'whole'), FILE, (code) => code);
  for (const caughtBy of new Set(MUTANTS.map((mutant) => mutant.caughtBy))) {
    await play(storyOf(caughtBy), simulatedRuntime(whole, 1));
  }
  t.pass('a copy without a bug passes');

  for (const [index, mutant] of MUTANTS.entries()) {
    const { bug, from, to, caughtBy, file = FILE } = mutant;
    const mutated = await simulatorFrom(join(directory, String(index)), file, (code) => {
      t.equal(code.split(from).length, 2, `what to break for "${bug}" occurs once`);
      return code.replace(from, () => to);
    });
    const story = storyOf(caughtBy);
    const caught: string[] = [];
    for (const seed of SEEDS) {
      await play(story, simulatedRuntime(mutated, seed)).catch((error: unknown) => caught.push(String(error)));
      if (caught.length > 0) break;
    }
    t.not(caught.length, 0, `${bug}: caught: ${caught[0]?.split('\n')[0]}`);
  }
});
