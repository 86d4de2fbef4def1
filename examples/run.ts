/** Runs every example, each in a process of its own; the last line says how many passed and failed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const EXAMPLES = ['shopping-cart', 'web-sessions', 'counters', 'bulk-load', 'words', 'backup'];

let running: ChildProcess | undefined;
// Who has read enough and leaves (`| head`) ends it, without a word: it has not come to its end.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  running?.kill('SIGKILL');
  if (error.code !== 'EPIPE') console.error(error);
  process.exit(1);
});

let passed = 0;
for (const name of EXAMPLES) {
  console.log(`== ${name}`);
  const path = fileURLToPath(new URL(`${name}.js`, import.meta.url));
  running = spawn(process.execPath, [path], { stdio: ['inherit', 'pipe', 'inherit'] });
  running.stdout!.pipe(process.stdout, { end: false });
  const [code] = await once(running, 'close');
  if (code === 0) passed++;
  else console.log(`${name} failed`);
}
const failed = EXAMPLES.length - passed;
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
