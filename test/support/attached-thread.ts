/**
 * A thread that attaches to a store with the ticket it was started with, and does with it what the test asks of it.
 * Started and asked by `AttachedThread` of `attached-threads.ts`.
 */
import { type MessagePort, workerData } from 'node:worker_threads';
import { type Admin, attach, QuoralError, type Store, type StoreStats } from '../../src/index.js';
import { serveControl } from '../../src/runtime/threads/control-plane.js';

export interface AttachedData {
  readonly ticket: MessagePort;
  readonly control: MessagePort;
}

/** How the calls of a load ended: key → 'stored', or the error's code and whether it was definite. */
export type LoadOutcomes = Readonly<Record<string, 'stored' | `${string} ${'definite' | 'indefinite'}`>>;

export type AttachedControl = {
  attach(): Promise<void>;
  put(key: string, value: string, options?: object): Promise<string>;
  get(key: string, options?: object): Promise<{ values: string[]; causalContext: string | undefined }>;
  update(key: string, suffix: string): Promise<void>;
  scan(options: object): Promise<unknown[]>;
  buckets(): Promise<string[]>;
  about(): Promise<{ nodes: ReturnType<Store['nodes']>; ring: ReturnType<Store['ring']>; stats: StoreStats }>;
  administer(act: keyof Admin, ...args: unknown[]): Promise<void>;
  share(): void;
  /** Puts keys of its own with so many in flight, until `endLoad` or until the store is closed. */
  beginLoad(name: string, inFlight: number): void;
  loadCount(): number;
  endLoad(): Promise<LoadOutcomes>;
  /** Begins one put with `w`, and does not wait for it. */
  leaveUnderWay(key: string, w: number, timeoutMs: number): void;
  leftUnderWay(): Promise<string>;
  close(): Promise<void>;
  /** Closes the port that holds the thread, which then ends by itself. */
  letGo(): void;
  /** Holds the thread's event loop until word 0 of `gate` is no longer 0, and it is notified. */
  block(gate: SharedArrayBuffer): void;
  exit(): void;
};

const { ticket, control } = workerData as AttachedData;
const outcomes: Record<string, string> = {};
let store: Store;
let loading = true;
let load: Promise<unknown> = Promise.resolve();
let underWay: Promise<string> = Promise.resolve('nothing');

const bucket = () => store.bucket<string>('b', { codec: 'text' });

function outcomeOf(error: unknown): string {
  if (!(error instanceof QuoralError)) return String(error);
  return `${error.code} ${error.definite ? 'definite' : 'indefinite'}`;
}

const served: { [name in keyof AttachedControl]: (...args: Parameters<AttachedControl[name]>) => unknown } = {
  attach: async () => {
    store = await attach(ticket);
  },
  put: async (key, value, options) => (await bucket().put(key, value, options)).causalContext,
  get: async (key, options) => {
    const { siblings, causalContext } = await bucket().get(key, options);
    return { values: siblings.map(({ value }) => value), causalContext };
  },
  update: (key, suffix) => bucket().update(key, (value = '') => value + suffix),
  scan: async (options) => {
    const keys: unknown[] = [];
    for await (const { key } of bucket().scan(options)) keys.push(key);
    return keys;
  },
  buckets: async () => {
    const names: string[] = [];
    for await (const name of store.buckets()) names.push(name);
    return names;
  },
  about: async () => ({ nodes: store.nodes(), ring: store.ring(), stats: await store.stats() }),
  administer: (act, ...args) => (store.admin[act] as (...args: unknown[]) => Promise<void>)(...args),
  share: () => {
    store.share();
  },
  beginLoad: (name, inFlight) => {
    let next = 0;
    const lane = async (): Promise<void> => {
      while (loading) {
        const key = `${name}-${next++}`;
        try {
          await bucket().put(key, key);
          outcomes[key] = 'stored';
        } catch (error) {
          outcomes[key] = outcomeOf(error);
          if (outcomes[key].startsWith('CLOSED')) return;
        }
      }
    };
    load = Promise.all(Array.from({ length: inFlight }, lane));
  },
  loadCount: () => Object.keys(outcomes).length,
  endLoad: async () => {
    loading = false;
    await load;
    return outcomes;
  },
  leaveUnderWay: (key, w, timeoutMs) => {
    underWay = bucket()
      .put(key, key, { w, timeoutMs })
      .then(() => 'stored', outcomeOf);
  },
  leftUnderWay: () => underWay,
  close: () => store.close(),
  letGo: () => control.close(),
  block: (gate) => {
    Atomics.wait(new Int32Array(gate), 0, 0);
  },
  exit: () => process.exit(0),
};

serveControl(served, control);
// Holds the thread until it is let go: an attached store alone does not.
control.ref();
