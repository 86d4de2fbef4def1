/** Another application thread of a benchmark: see `client-threads.ts`. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { attach } from '../src/index.js';
import { serveControl } from '../src/runtime/threads/control-plane.js';
import { BUCKET } from './client-threads.js';
import { type LoopOptions, type LoopRun, runLoop } from './workloads/closed-loop.js';
import { KeyValueLoad, type LoadOptions, type Operation } from './workloads/key-value-load.js';

export interface ClientThreadData extends LoadOptions {
  readonly ticket: MessagePort;
  readonly control: MessagePort;
}

export type ClientThreadControl = {
  fill(): Promise<void>;
  run(operation: Operation, options: LoopOptions): Promise<LoopRun>;
};

const { ticket, control, ...options } = workerData as ClientThreadData;
const store = await attach(ticket);
const load = new KeyValueLoad(store.bucket(BUCKET), options);
const served: ClientThreadControl = {
  fill: () => load.fill(),
  run: (operation, loop) => runLoop(load.operation(operation), loop),
};
serveControl(served, control);
parentPort!.once('message', () => {
  void store.close().then(() => control.close());
});
parentPort!.postMessage('attached');
