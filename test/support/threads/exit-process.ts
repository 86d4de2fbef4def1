/**
 * A process that ends by `process.exit` while its workers commit. Arguments: the workers' entry, a directory, and for
 * how many milliseconds to let them work.
 */

import { ThreadGroup } from '../../../src/runtime/threads/thread-group.js';
import { Asker } from './asker.js';

const [entry, path, workMs] = process.argv.slice(2);
const group = new ThreadGroup({ entry: new URL(entry!), workers: 2 });
await Promise.all([group.start(0, { path }), group.start(1, { path })]);
const asker = await Asker.on(group.host);
const pump = async (thread: number): Promise<void> => {
  for (;;) await asker.ask(thread, { verb: 'store' });
};
for (let i = 0; i < 16; i++) void pump(i & 1);
setTimeout(() => process.exit(7), Number(workMs));
