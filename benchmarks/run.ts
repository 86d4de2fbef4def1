/** `npm run bench [-- NAME]`: runs one of the benchmarks; `full` without a name. */
import { antiEntropy } from './anti-entropy.js';
import { failover, pause } from './availability.js';
import { full } from './full.js';
import { quick } from './quick.js';

const BENCHMARKS: Readonly<Record<string, () => Promise<void>>> = {
  full,
  /** Shows in a minute that `full` works; its figures mean nothing. */
  rehearsal: () => full({ scale: 0.05 }),
  quick,
  failover,
  pause,
  'anti-entropy': antiEntropy,
};

const [name = 'full', ...rest] = process.argv.slice(2);
const benchmark = BENCHMARKS[name];
if (benchmark === undefined || rest.length > 0) {
  console.error(
    `there is no benchmark '${[name, ...rest].join(' ')}'; there are: ${Object.keys(BENCHMARKS).join(', ')}`,
  );
  process.exitCode = 2;
} else await benchmark();
