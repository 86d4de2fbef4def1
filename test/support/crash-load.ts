/**
 * The load of the crash tests: clients of several kinds at work on one store, each telling what it is about to write
 * before it does, and what came of it only when it knows. Whoever reads the log (`crash-ledger.ts`) can then say which
 * writes must be there after a crash, which may be, and which must not.
 */
import { QuoralError } from '../../src/base/errors.js';
import { below, SeededRandom } from '../../src/base/random.js';
import type { Bucket, ReadResult, Receipt, Store } from '../../src/index.js';

export const CRASH_BUCKET = 'crash';

/** `token` is what the write was given. A delete that reads by itself (`unread`) has one that nobody outside knows. */
export type LogEntry =
  /** The store is open; so many of its vnodes have drawn new names for their writers. */
  | { type: 'opened'; newIdentities: number }
  | { type: 'begun'; id: string; key: string; kind: 'put' | 'delete'; token?: string | undefined; unread?: boolean }
  /** `nodes` had stored it as primaries, and a holder of each hint for its owner. */
  | { type: 'acked'; id: string; token: string; nodes: string[]; hints: Receipt['hints'] }
  | { type: 'failed'; id: string; code: string; definite: boolean }
  /** A read saw the values of these writes. */
  | { type: 'saw'; key: string; ids: string[] };

export interface LoadOptions {
  readonly seed: number;
  /** Makes the ids of writes unlike those of other runs. */
  readonly run: string;
  /** Asked between two operations of a client. */
  readonly stopped: () => boolean;
  readonly log: (entry: LogEntry) => void;
}

/** Keys that one client each writes in sequence, passing what it knows. */
const CHAINS = 4;
/** Keys that several clients write, with and without having read. */
const SHARED = 5;
const MIXED_CLIENTS = 6;
/** Clients that write a batch of fresh keys at a time, and wait for all of it. */
const BURSTS = 2;
const BURST = 24;

/** Runs until `stopped`; resolves when every client has its last answer. Errors other than the store's own reject. */
export async function runLoad(store: Store, options: LoadOptions): Promise<void> {
  const clients: Promise<void>[] = [];
  const random = new SeededRandom(options.seed);
  const start = (work: (client: LoadClient) => Promise<void>) => {
    clients.push(work(new LoadClient(store, options, `${options.run}.${clients.length}`, random.fork())));
  };
  for (let i = 0; i < CHAINS; i++) start((client) => client.chain(`chain-${i}`));
  for (let i = 0; i < MIXED_CLIENTS; i++) start((client) => client.mix());
  for (let i = 0; i < BURSTS; i++) start((client) => client.burst());
  await Promise.all(clients);
}

/** The text of a write's value: its id, and a filling that depends on it, up to 3,000 bytes. */
export function valueFor(id: string): string {
  let hash = 7;
  for (let i = 0; i < id.length; i++) hash = (Math.imul(hash, 31) + id.charCodeAt(i)) >>> 0;
  return `${id}|${String.fromCharCode(97 + (hash % 26)).repeat(hash % 3_000)}`;
}

/** The id of the write whose value this is. Throws if the text is not what that write stored. */
export function idOf(value: string): string {
  const id = value.slice(0, value.indexOf('|'));
  if (value !== valueFor(id)) throw new Error(`the value of ${id} is not what was written: ${value.slice(0, 60)}`);
  return id;
}

export function ackedEntry(id: string, { causalContext, acks, hints }: Receipt): LogEntry {
  const nodes = acks.filter(({ role }) => role === 'primary').map(({ node }) => node);
  return { type: 'acked', id, token: causalContext, nodes, hints };
}

export async function openedEntry(store: Store): Promise<LogEntry> {
  const { total } = await store.stats();
  return { type: 'opened', newIdentities: total.counters.newIdentities! };
}

class LoadClient {
  private readonly bucket: Bucket<string>;
  private readonly options: LoadOptions;
  private readonly name: string;
  private readonly random: SeededRandom;
  private count = 0;

  constructor(store: Store, options: LoadOptions, name: string, random: SeededRandom) {
    this.bucket = store.bucket<string>(CRASH_BUCKET, { codec: 'text' });
    this.options = options;
    this.name = name;
    this.random = random;
  }

  /** A sequential client: it passes the context of its last receipt, or of a read, so it never makes siblings. */
  async chain(key: string): Promise<void> {
    let known: string | undefined;
    // What it finds may have been left by an earlier run: only a read can tell.
    let mustRead = true;
    while (!this.options.stopped()) {
      if (mustRead || this.chance(10)) {
        const read = await this.read(key);
        if (read === undefined) continue;
        known = read.causalContext;
        mustRead = false;
      }
      const receipt = await this.write(key, this.chance(10) ? 'delete' : 'put', known);
      if (receipt === undefined) mustRead = true;
      else known = receipt.causalContext;
    }
  }

  /** Reads and answers, writes blindly, deletes, on keys that others write, too. */
  async mix(): Promise<void> {
    while (!this.options.stopped()) {
      const key = `shared-${below(this.random, SHARED)}`;
      const choice = below(this.random, 10);
      if (choice < 2) await this.write(key, 'put', undefined);
      else if (choice < 3) await this.deleteUnread(key);
      else {
        const read = await this.read(key);
        if (read !== undefined) await this.write(key, choice < 4 ? 'delete' : 'put', read.causalContext);
      }
    }
  }

  async burst(): Promise<void> {
    while (!this.options.stopped()) {
      const writes: Promise<unknown>[] = [];
      for (let i = 0; i < BURST; i++) writes.push(this.write(`once-${this.name}-${this.count}`, 'put', undefined));
      await Promise.all(writes);
    }
  }

  private chance(percent: number): boolean {
    return below(this.random, 100) < percent;
  }

  private async read(key: string): Promise<ReadResult<string> | undefined> {
    try {
      const read = await this.bucket.get(key);
      this.options.log({ type: 'saw', key, ids: read.siblings.map(({ value }) => idOf(value)) });
      return read;
    } catch (error) {
      if (!(error instanceof QuoralError)) throw error;
      return undefined;
    }
  }

  private write(key: string, kind: 'put' | 'delete', token: string | undefined): Promise<Receipt | undefined> {
    const id = this.nextId();
    this.options.log({ type: 'begun', id, key, kind, token });
    const context = token === undefined ? {} : { causalContext: token };
    if (kind === 'put') return this.outcome(id, this.bucket.put(key, valueFor(id), context));
    // A delete without a context would read first: of a key that was never seen there is nothing to delete.
    if (token === undefined) return this.outcome(id, this.bucket.put(key, valueFor(id)));
    return this.outcome(id, this.bucket.delete(key, context));
  }

  private deleteUnread(key: string): Promise<Receipt | undefined> {
    const id = this.nextId();
    this.options.log({ type: 'begun', id, key, kind: 'delete', unread: true });
    return this.outcome(id, this.bucket.delete(key));
  }

  private async outcome(id: string, write: Promise<Receipt>): Promise<Receipt | undefined> {
    try {
      const receipt = await write;
      this.options.log(ackedEntry(id, receipt));
      return receipt;
    } catch (error) {
      if (!(error instanceof QuoralError)) throw error;
      this.options.log({ type: 'failed', id, code: error.code, definite: error.definite });
      return undefined;
    }
  }

  private nextId(): string {
    this.count++;
    return `${this.name}.${this.count}`;
  }
}
