/**
 * What anti-entropy costs: `npm run bench -- anti-entropy`, about four minutes. QUORAL_BENCH_KEYS sets the keys of a replica
 * in the comparison of trees (default 1,000,000), a fifth of which are in the stores; QUORAL_BENCH_RATE the operations a
 * second that clients go on with (default 4,000).
 */
import { putPath } from './anti-entropy/put-path.js';
import { serving } from './anti-entropy/serving.js';
import { KEYS, trees } from './anti-entropy/trees.js';
import { machine } from './report.js';

/** Each alone. */
export const ANTI_ENTROPY_PARTS: Readonly<Record<string, () => Promise<void>>> = {
  trees,
  puts: putPath,
  serving: () => serving(KEYS / 5),
};

export async function antiEntropy(): Promise<void> {
  console.log(`${machine()}\n`);
  await trees();
  await putPath();
  await serving(KEYS / 5);
}
