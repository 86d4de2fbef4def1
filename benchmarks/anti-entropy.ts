/**
 * What anti-entropy costs: `npm run bench -- anti-entropy`, about four minutes; or a part of it. `--keys` sets the keys of a
 * replica in the comparison of trees, a fifth of which are in the stores; `--rate` the operations a second that clients go on
 * with.
 */
import { putPath } from './anti-entropy/put-path.js';
import { serving } from './anti-entropy/serving.js';
import { trees } from './anti-entropy/trees.js';
import type { AntiEntropyPart } from './command-line.js';
import { machine } from './report.js';

export async function antiEntropy(parts: readonly AntiEntropyPart[], keys: number, perSecond: number): Promise<void> {
  console.log(`${machine()}\n`);
  for (const part of parts) {
    console.error(`anti-entropy: ${part}`);
    if (part === 'trees') await trees(keys);
    else if (part === 'puts') await putPath();
    else await serving(Math.floor(keys / 5), perSecond);
  }
}
