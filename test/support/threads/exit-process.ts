/**
 * A process that ends by `process.exit` while its workers commit. Arguments: the workers' entry, a directory, and for
 * how many milliseconds to let them work; and 'stuck', if the first of them is not to come out of its commit.
 */
import { ThreadGroup } from '../../../src/runtime/threads/thread-group.js';
import { Asker } from './asker.js';

const [entry, path, workMs, how] = process.argv.slice(2);
const data = { path, stuck: how === 'stuck' };
const group = new ThreadGroup({ entry: new URL(entry!), workers: 2 });
await Promise.all([group.start(0, data), group.start(1, data)]);
const asker = await Asker.on(group.host);
const pump = async (thread: number): Promise<void> => {
  for (;;) await asker.ask(thread, { verb: 'store' });
};
for (let i = 0; i < 16; i++) void pump(i & 1);
setTimeout(() => process.exit(7), Number(workMs));
