/**
 * What a message between threads costs: request and reply of 100 B between the application's thread and 4 workers, at
 * 1, 64 and 1,024 in flight. The full path of actors on a ThreadHost, beside postMessage and comlink.
 *
 *     node dist/benchmarks/micro/lanes.js [seconds per row, default 1] [lanes | postMessage | comlink]
 *
 * µs CPU is user + system time of the whole process per request and reply: steadier than wall time on shared cores.
 */
import { fileURLToPath } from 'node:url';
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import * as comlink from 'comlink';

import { type Actor, type ActorContext, type ActorRef, refAt } from '../../src/runtime/actor.js';
import { ThreadGroup } from '../../src/runtime/threads/thread-group.js';
import { ECHO, ECHO_SLOT, type Telling } from './lanes-echo.js';

const WORKERS = 4;
const IN_FLIGHT = [1, 64, 1_024];
const BODY = new Uint8Array(100).fill(7);

export interface LaneRow {
  readonly design: string;
  readonly inFlight: number;
  readonly perSecond: number;
  readonly cpuMicros: number;
}

/** Keeps requests in flight: each answer asks the next one. */
class Pump implements Actor<never, never, Telling> {
  answeredCount = 0;
  running = false;
  open = 0;
  onIdle: () => void = () => {};
  context: ActorContext | undefined = undefined;
  private readonly refs: ActorRef<Telling, Telling>[] = [];
  private next = 0;

  constructor() {
    for (let thread = 0; thread < WORKERS; thread++) this.refs.push(refAt(ECHO, thread, ECHO_SLOT));
  }

  receive(): void {}

  answered(_correlation: number, _answer: Telling, _interim: boolean, context: ActorContext): void {
    this.answeredCount++;
    this.open--;
    if (this.running) this.ask(context);
    else if (this.open === 0) this.onIdle();
  }

  failed(_correlation: number, failure: string): void {
    throw new Error(`a request failed: ${failure}`);
  }

  ask(context: ActorContext): void {
    const correlation = this.next++;
    this.open++;
    context.request(this.refs[correlation % WORKERS]!, { number: correlation, body: BODY }, correlation);
  }
}

/** Runs a load for the time, and measures it after a warm-up. */
async function measure(
  design: string,
  seconds: number,
  inFlight: number,
  start: () => void,
  count: () => number,
  stop: () => Promise<void>,
): Promise<LaneRow> {
  start();
  await wait(seconds * 400);
  const cpu = process.cpuUsage();
  const began = performance.now();
  const before = count();
  await wait(seconds * 1_000);
  const done = count() - before;
  const elapsed = (performance.now() - began) / 1_000;
  const used = process.cpuUsage(cpu);
  await stop();
  return { design, inFlight, perSecond: done / elapsed, cpuMicros: (used.user + used.system) / done };
}

/** Requests and replies between actors, each row measured for `seconds` after a warm-up of two fifths of it. */
export async function measureLanes(seconds: number): Promise<LaneRow[]> {
  const group = new ThreadGroup({ entry: new URL('lanes-worker.js', import.meta.url), workers: WORKERS });
  await Promise.all(Array.from({ length: WORKERS }, (_, thread) => group.start(thread, {})));
  const pump = new Pump();
  await new Promise<void>((resolve) => {
    group.host.spawn(0, ECHO as never, (context) => {
      pump.context = context;
      resolve();
      return pump;
    });
  });
  const rows: LaneRow[] = [];
  for (const inFlight of IN_FLIGHT) {
    const start = (): void => {
      pump.running = true;
      group.host.outside(() => {
        for (let i = 0; i < inFlight; i++) pump.ask(pump.context!);
      });
    };
    const stop = (): Promise<void> =>
      new Promise((resolve) => {
        pump.onIdle = resolve;
        pump.running = false;
      });
    rows.push(await measure('actors over lanes', seconds, inFlight, start, () => pump.answeredCount, stop));
  }
  await group.close();
  return rows;
}

/** One object per message, each way. */
async function postMessage(seconds: number): Promise<LaneRow[]> {
  const workers = Array.from(
    { length: WORKERS },
    () => new Worker(new URL('lanes-worker.js', import.meta.url), { workerData: 'post' }),
  );
  let count = 0;
  let open = 0;
  let running = false;
  let onIdle = (): void => {};
  const ask = (worker: Worker): void => {
    open++;
    worker.postMessage({ number: count, body: BODY });
  };
  for (const worker of workers) {
    worker.on('message', () => {
      count++;
      open--;
      if (running) ask(worker);
      else if (open === 0) onIdle();
    });
  }
  const rows: LaneRow[] = [];
  for (const inFlight of IN_FLIGHT) {
    const start = (): void => {
      running = true;
      for (let i = 0; i < inFlight; i++) ask(workers[i % WORKERS]!);
    };
    const stop = (): Promise<void> =>
      new Promise((resolve) => {
        onIdle = resolve;
        running = false;
      });
    rows.push(await measure('postMessage', seconds, inFlight, start, () => count, stop));
  }
  await Promise.all(workers.map((worker) => worker.terminate()));
  return rows;
}

async function comlinkCalls(seconds: number): Promise<LaneRow[]> {
  const ports: MessagePort[] = [];
  const workers: Worker[] = [];
  for (let i = 0; i < WORKERS; i++) {
    const { port1, port2 } = new MessageChannel();
    ports.push(port1);
    workers.push(
      new Worker(new URL('lanes-worker.js', import.meta.url), {
        workerData: { comlink: port2 },
        transferList: [port2],
      }),
    );
  }
  const remotes = ports.map((port) =>
    comlink.wrap<{ echo(telling: Telling): Telling }>({
      postMessage: (message: unknown, transfer?: Transferable[]) =>
        port.postMessage(message, (transfer ?? []) as never),
      addEventListener: (_type, listener) => {
        port.on('message', (data) => (listener as (event: MessageEvent) => void)({ data } as MessageEvent));
      },
      removeEventListener: () => {},
    }),
  );
  let count = 0;
  let running = false;
  const rows: LaneRow[] = [];
  for (const inFlight of IN_FLIGHT) {
    let loops: Promise<void>[] = [];
    const loop = async (first: number): Promise<void> => {
      for (let i = first; running; i++) {
        await remotes[i % WORKERS]!.echo({ number: i, body: BODY });
        count++;
      }
    };
    const start = (): void => {
      running = true;
      loops = Array.from({ length: inFlight }, (_, i) => loop(i));
    };
    const stop = async (): Promise<void> => {
      running = false;
      await Promise.all(loops);
    };
    rows.push(await measure('comlink', seconds, inFlight, start, () => count, stop));
  }
  for (const port of ports) port.close();
  await Promise.all(workers.map((worker) => worker.terminate()));
  return rows;
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [seconds = '1', only] = process.argv.slice(2);
  const designs = { lanes: measureLanes, postMessage, comlink: comlinkCalls };
  console.log('design               in flight   per second   µs CPU');
  for (const [name, run] of Object.entries(designs)) {
    if (only !== undefined && only !== name) continue;
    for (const { design, inFlight, perSecond, cpuMicros } of await run(Number(seconds))) {
      console.log(
        `${design.padEnd(20)} ${String(inFlight).padStart(9)} ${Math.round(perSecond).toLocaleString('en').padStart(12)} ${cpuMicros.toFixed(2).padStart(8)}`,
      );
    }
  }
}
