/**
 * The entry of a node's thread whose vnodes can be made to note nothing of what they write, and to note it again: `watched-worker`,
 * with a switch before the one call of a put's way that trees have brought. What they say after that is wrong, of course.
 */
import { BroadcastChannel } from 'node:worker_threads';
import { ChangeLog } from '../../src/anti-entropy/change-log.js';
import { NOTING_CHANNEL } from './watched-loops.js';

let notes = true;
const { noteWrite } = ChangeLog.prototype;
ChangeLog.prototype.noteWrite = function (this: ChangeLog, partition, located, before, after) {
  return notes ? noteWrite.call(this, partition, located, before, after) : true;
};

const channel = new BroadcastChannel(NOTING_CHANNEL);
channel.onmessage = (event) => {
  notes = (event as { data: boolean }).data;
};
channel.unref();

await import('./watched-worker.js');
