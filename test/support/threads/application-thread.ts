/** Another application thread: joins the group that its maker attached it to, asks worker 0, and tells its outcomes. */
import { parentPort, workerData } from 'node:worker_threads';
import { type ApplicationEnds, joinGroup } from '../../../src/runtime/threads/join-group.js';
import { Asker, tally } from './asker.js';

const host = joinGroup(workerData as ApplicationEnds);
const asker = await Asker.on(host);
async function ask(): Promise<void> {
  const outcomes = await Promise.all(Array.from({ length: 1_000 }, (_, i) => asker.ask(i & 1, { number: i })));
  parentPort!.postMessage(tally(outcomes));
}

parentPort!.on('message', (message: 'ask' | 'leave') => {
  if (message === 'leave') {
    host.close();
    parentPort!.close();
  } else {
    void ask();
  }
});
parentPort!.postMessage('joined');
