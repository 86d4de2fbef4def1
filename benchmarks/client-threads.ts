/** Threads of the application that put the same kind of load on one store: this one, and others that attach to it. */
import { once } from 'node:events';
import { MessageChannel, Worker } from 'node:worker_threads';
import type { Store } from '../src/index.js';
import { ControlLine } from '../src/runtime/threads/control-plane.js';
import type { ClientThreadControl, ClientThreadData } from './client-thread.js';
import { type LoopFigure, type LoopOptions, measureLoops, runLoop } from './workloads/closed-loop.js';
import { KeyValueLoad, type LoadOptions, type Operation } from './workloads/key-value-load.js';

export const BUCKET = 'bench';

interface Other {
  readonly worker: Worker;
  readonly line: ControlLine<ClientThreadControl>;
}

export class ClientThreads {
  private readonly load: KeyValueLoad;
  private readonly others: readonly Other[];

  private constructor(load: KeyValueLoad, others: readonly Other[]) {
    this.load = load;
    this.others = others;
  }

  static async start(store: Store, threads: number, options: Omit<LoadOptions, 'share'>): Promise<ClientThreads> {
    const others: Other[] = [];
    for (let index = 1; index < threads; index++) {
      const ticket = store.share();
      const { port1, port2 } = new MessageChannel();
      const workerData: ClientThreadData = { ticket, control: port2, ...options, share: { index, of: threads } };
      const entry = new URL('./client-thread.js', import.meta.url);
      const worker = new Worker(entry, { workerData, transferList: [ticket, port2] });
      const line = new ControlLine<ClientThreadControl>(port1);
      worker.once('exit', () => line.close('the client thread has ended'));
      await once(worker, 'message');
      others.push({ worker, line });
    }
    const load = new KeyValueLoad(store.bucket(BUCKET), { ...options, share: { index: 0, of: threads } });
    return new ClientThreads(load, others);
  }

  /** Puts every key once. */
  async fill(): Promise<void> {
    await Promise.all([this.load.fill(), ...this.others.map(({ line }) => line.remote.fill())]);
  }

  /** @param options.inFlight - of all `threads` together */
  run(operation: Operation, options: LoopOptions & { readonly threads: number }): Promise<LoopFigure> {
    const { threads, durationMs } = options;
    const each: LoopOptions = { durationMs, inFlight: Math.ceil(options.inFlight / threads) };
    return measureLoops([
      () => runLoop(this.load.operation(operation), each),
      ...this.others.slice(0, threads - 1).map(
        ({ line }) =>
          () =>
            line.remote.run(operation, each),
      ),
    ]);
  }

  async close(): Promise<void> {
    for (const { worker } of this.others) {
      const exit = once(worker, 'exit');
      worker.postMessage('close');
      await exit;
    }
  }
}
