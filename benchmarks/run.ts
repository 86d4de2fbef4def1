/** `npm run bench [-- NAME [PART]]`: runs one of the benchmarks, or a part of it; `full` without a name. */
import { ANTI_ENTROPY_PARTS, antiEntropy } from './anti-entropy.js';
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
/** What of a benchmark can be run alone. */
const PARTS: Readonly<Record<string, Readonly<Record<string, () => Promise<void>>>>> = {
  'anti-entropy': ANTI_ENTROPY_PARTS,
};

const [name = 'full', part, ...rest] = process.argv.slice(2);
const benchmark = part === undefined ? BENCHMARKS[name] : PARTS[name]?.[part];
if (benchmark === undefined || rest.length > 0) {
  console.error(`there is no benchmark '${process.argv.slice(2).join(' ')}'; there are: ${namesOfAll().join(', ')}`);
  process.exitCode = 2;
} else await benchmark();

function namesOfAll(): string[] {
  return Object.keys(BENCHMARKS).flatMap((one) => [
    one,
    ...Object.keys(PARTS[one] ?? {}).map((some) => `${one} ${some}`),
  ]);
}
