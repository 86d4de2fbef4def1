/**
 * Stores for tests of what stands on a store: real ones, in memory, that count their calls and can be told to fail or
 * to wait. All of a test file share one set of threads; each has bucket types of its own, so they do not meet: a type
 * that a test names, `default` included, is another one of the real store.
 */
import { t } from 'tap';
import { ClosedError, InvalidArgumentError } from '../../src/base/errors.js';
import { open } from '../../src/index.js';
import type { Bucket, BucketOptions } from '../../src/store/api/bucket.js';
import type { CallOptions, ListBucketsOptions } from '../../src/store/api/call-options.js';
import type {
  BucketProperties,
  BucketPropertiesOptions,
  BucketPropertyChanges,
  BucketTypeChanges,
} from '../../src/store/api/properties.js';
import type { Store } from '../../src/store/api/store.js';

const shared = await open();
t.teardown(() => shared.close());
let stores = 0;

type Operation = 'get' | 'put' | 'delete' | 'scan' | 'buckets' | 'properties';

export class WatchedStore implements Store {
  /**
   * Errors that the next calls of an operation fail with, in order, instead of reaching the store; with `after`, that
   * entry of a scan or listing, counted over all.
   */
  readonly failures: { operation: Operation; error: Error; after?: number }[] = [];
  /** Entries that scans and listings have given. */
  given = 0;
  /** Scans and listings that are under way. */
  open = 0;
  /** Awaited before each entry of a scan or listing. */
  entryGate: Promise<void> = Promise.resolve();
  /** Calls so far. */
  readonly calls: Record<Operation, number> = {
    get: 0,
    put: 0,
    delete: 0,
    scan: 0,
    buckets: 0,
    properties: 0,
  };
  /** Awaited by every call before it does anything. */
  gate: Promise<void> = Promise.resolve();
  /** What `nodes` gave last: hints come and go, and nodes are suspected, between one call and the next. */
  toldNodes: ReturnType<Store['nodes']> = [];
  /** Set by `close`; may be set back, as if the store had been opened again. */
  closed = false;
  private readonly mark = `#${++stores}`;
  /** The stand-in for the type 'default', which needs no creation. */
  private readonly created = shared.setBucketType(this.marked());

  readonly admin = shared.admin;

  bucket<V = Uint8Array>(name: string, options: BucketOptions<V> = {}): Bucket<V> {
    const marked = { ...options, type: this.marked(options.type) };
    const real = shared.bucket<V>(name, marked as never);
    const begin = (operation: Operation) => this.begin(operation);
    return {
      name,
      type: options.type ?? 'default',
      get: async (...args) => {
        await begin('get');
        return this.unmarked(real.get(...args));
      },
      put: async (...args) => {
        await begin('put');
        return this.unmarked(real.put(...args));
      },
      delete: async (...args) => {
        await begin('delete');
        return this.unmarked(real.delete(...args));
      },
      update: async (...args) => {
        await begin('put');
        return this.unmarked(real.update(...args));
      },
      getMany: async (...args) => {
        await begin('get');
        return this.unmarked(real.getMany(...args));
      },
      putMany: async (...args) => {
        await begin('put');
        return this.unmarked(real.putMany(...args));
      },
      scan: ((...args) =>
        Object.assign(this.watched(real.scan(...args), 'scan'), {
          unreachable: [],
          mayMissHints: false,
        })) as Bucket<V>['scan'],
    };
  }

  buckets(options: ListBucketsOptions = {}): AsyncIterableIterator<string> {
    return this.watched(shared.buckets({ ...options, type: this.marked(options.type) }), 'buckets');
  }

  async setBucketProperties(bucket: string, changes: BucketPropertyChanges, options: BucketPropertiesOptions = {}) {
    await this.begin('properties');
    await this.unmarked(shared.setBucketProperties(bucket, changes, { ...options, type: this.marked(options.type) }));
  }

  async bucketProperties(bucket: string, options: BucketPropertiesOptions = {}): Promise<BucketProperties> {
    await this.begin('properties');
    return this.unmarked(shared.bucketProperties(bucket, { ...options, type: this.marked(options.type) }));
  }

  async setBucketType(type: string, changes?: BucketTypeChanges, options?: CallOptions) {
    await this.begin('properties');
    await shared.setBucketType(this.marked(type), changes, options);
  }

  async bucketType(type: string, options?: CallOptions): Promise<BucketProperties> {
    await this.begin('properties');
    return this.unmarked(shared.bucketType(this.marked(type), options));
  }

  nodes() {
    this.toldNodes = shared.nodes();
    return this.toldNodes;
  }

  ring() {
    return shared.ring();
  }

  share() {
    return shared.share();
  }

  stats() {
    return shared.stats();
  }

  async close(): Promise<void> {
    this.closed = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  private marked(type = 'default'): string {
    return `${type}${this.mark}`;
  }

  /** What `call` gives; an error about a type is about the type that the test named. */
  private async unmarked<T>(call: Promise<T>): Promise<T> {
    try {
      return await call;
    } catch (error) {
      throw this.unmarkedError(error);
    }
  }

  private unmarkedError(error: unknown): unknown {
    const type = error instanceof InvalidArgumentError ? error.bucketType : undefined;
    if (type === undefined) return error;
    const named = type.slice(0, -this.mark.length);
    return new InvalidArgumentError((error as Error).message.replace(type, named), { bucketType: named });
  }

  private async *watched<T>(
    entries: AsyncIterable<T>,
    operation: 'scan' | 'buckets',
  ): AsyncGenerator<T, void, undefined> {
    await this.begin(operation);
    this.open++;
    try {
      for await (const entry of entries) {
        await this.entryGate;
        this.given++;
        const failure = this.failures.findIndex((one) => one.operation === operation && this.given === one.after);
        if (failure >= 0) throw this.failures.splice(failure, 1)[0]!.error;
        yield entry;
      }
    } catch (error) {
      throw this.unmarkedError(error);
    } finally {
      this.open--;
    }
  }

  private async begin(operation: Operation): Promise<void> {
    if (this.closed) throw new ClosedError('the store is closed');
    this.calls[operation]++;
    await this.gate;
    await this.created;
    const index = this.failures.findIndex((failure) => failure.operation === operation && failure.after === undefined);
    if (index >= 0) throw this.failures.splice(index, 1)[0]!.error;
  }
}
