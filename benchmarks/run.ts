/** `npm run bench -- <name>`: runs one of the benchmarks. */
import { antiEntropy } from './anti-entropy.js';
import { quick } from './quick.js';

const BENCHMARKS: Readonly<Record<string, () => Promise<void>>> = { quick, 'anti-entropy': antiEntropy };

const [name = 'quick', ...rest] = process.argv.slice(2);
const benchmark = BENCHMARKS[name];
if (benchmark === undefined || rest.length > 0) {
  console.error(
    `there is no benchmark '${[name, ...rest].join(' ')}'; there are: ${Object.keys(BENCHMARKS).join(', ')}`,
  );
  process.exitCode = 2;
} else await benchmark();
