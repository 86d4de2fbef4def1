/** `npm run bench [-- NAME [OPTIONS]]`: runs one of the benchmarks, or a part of it; `full` without a name. */
import { CommanderError } from 'commander';
import { UsageError } from '../src/cli/terminal.js';
import { antiEntropy } from './anti-entropy.js';
import { failover, pause } from './availability.js';
import { createProgram } from './command-line.js';
import { full, readOutcomes, report } from './full.js';
import { mix } from './mix.js';
import { profile } from './profile/profile.js';
import { quick } from './quick.js';
import { SCENARIOS } from './scenarios.js';
import { turns } from './turns.js';

const program = createProgram({
  full: (scenarios, outcomes) => full({ scenarios, outcomes }),
  rehearsal: () => full({ scenarios: SCENARIOS, rehearsal: true }),
  report: async (file) => report(readOutcomes(file)),
  quick,
  mix,
  profile,
  turns,
  failover,
  pause,
  antiEntropy,
});

// Whoever reads the figures and leaves (`| head`) ends the run, as a signal would in other tools: without a word.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') console.error(error);
  process.exit(error.code === 'EPIPE' ? 0 : 1);
});

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
  else if (error instanceof UsageError) {
    console.error(`error: ${error.message}`);
    process.exitCode = 2;
  } else {
    console.error(error);
    process.exitCode = 1;
  }
}
