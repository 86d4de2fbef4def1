/** Runs every example, each in a process of its own; the last line says how many passed and failed. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const EXAMPLES = ['shopping-cart', 'web-sessions', 'counters', 'bulk-load', 'words', 'backup'];

let passed = 0;
for (const name of EXAMPLES) {
  console.log(`== ${name}`);
  const path = fileURLToPath(new URL(`${name}.js`, import.meta.url));
  const [code] = await once(spawn(process.execPath, [path], { stdio: 'inherit' }), 'close');
  if (code === 0) passed++;
  else console.log(`${name} failed`);
}
const failed = EXAMPLES.length - passed;
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
