/** The other side of the lanes benchmark: an echo by actors, by postMessage, or by comlink. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import * as comlink from 'comlink';

import type { ActorContext, Incoming } from '../../src/runtime/actor.js';
import { runWorkerThread } from '../../src/runtime/threads/worker-thread.js';
import { ECHO, ECHO_SLOT, type Telling } from './lanes-echo.js';

if (workerData === 'post') {
  parentPort!.on('message', (telling: Telling) => parentPort!.postMessage(telling));
} else if ((workerData as { comlink?: MessagePort }).comlink !== undefined) {
  const port = (workerData as { comlink: MessagePort }).comlink;
  comlink.expose(
    { echo: (telling: Telling) => telling },
    {
      postMessage: (message: unknown, transfer?: Transferable[]) =>
        port.postMessage(message, (transfer ?? []) as never),
      addEventListener: (_type, listener) => {
        port.on('message', (data) => (listener as (event: MessageEvent) => void)({ data } as MessageEvent));
      },
      removeEventListener: () => {},
    },
  );
} else {
  await runWorkerThread(({ host }) => {
    host.spawn(ECHO_SLOT, ECHO, () => ({
      receive(message: Telling, incoming: Incoming<Telling>, context: ActorContext): void {
        context.reply(incoming, message);
      },
    }));
    return {};
  });
}
