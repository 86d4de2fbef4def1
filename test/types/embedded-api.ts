/**
 * What an editor accepts of the embedded API, and what it underlines: compiled with everything else, never run. Each
 * `@ts-expect-error` fails the build if the line below it has become legal.
 */
import { Worker } from 'node:worker_threads';
import {
  attach,
  type Bucket,
  type BucketProperties,
  type Key,
  open,
  type ReadResult,
  type Receipt,
  type Scan,
  type ScanEntry,
  type Sibling,
  type Store,
  type ValuedEntry,
} from '../../src/index.js';

interface Cart {
  readonly items: string[];
}

/** Compiles only if both are the same type. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : never;

export async function opens(): Promise<void> {
  await using store = await open({ path: './data', nodes: [{ name: 'a', zone: 'disk1' }], r: 'quorum', sync: 'none' });
  await open();
  // @ts-expect-error It has no such option.
  await open({ replicas: 3 });
  // @ts-expect-error A word that is no quorum.
  await open({ r: 'most' });
  // @ts-expect-error A node needs a name.
  await open({ nodes: [{ zone: 'disk1' }] });
  await open({ exchangeWindow: { from: '23:30', to: '05:00' }, maxShares: 2, maxHintBytes: 0, hashingThreads: 2 });
  // @ts-expect-error A window has an end.
  await open({ exchangeWindow: { from: '23:30' } });
  await open({ path: './data', dw: 'quorum' });
  await open({ path: './data', dw: 0, sync: 'none' });
  // @ts-expect-error What is in memory cannot be flushed.
  await open({ dw: 1 });
  // @ts-expect-error Nor is it, with this, what is on disk.
  await open({ path: './data', sync: 'none', dw: 1 });
  // @ts-expect-error Not a way to flush.
  await open({ sync: 'sometimes' });
  await store.close();
}

export async function shares(store: Store): Promise<void> {
  const ticket = store.share();
  new Worker('./worker.js', { workerData: { ticket }, transferList: [ticket] });
  const attached: Store = await attach(ticket);
  // @ts-expect-error Not a ticket.
  await attach(attached);
}

export function handles(store: Store): void {
  const raw = store.bucket('b');
  const bytes = store.bucket<Uint8Array>('b', { codec: 'raw', ttlMs: 5 });
  const text = store.bucket('b', { codec: 'text' });
  const words = store.bucket<string>('b', { codec: 'text', maxSiblings: 5, notfoundOk: false, basicQuorum: true });
  const unknown = store.bucket('b', { codec: 'json' });
  const carts = store.bucket<Cart>('b', { codec: 'msgpack', resolution: 'last-write-wins' });
  const dates = store.bucket('b', {
    codec: {
      contentType: 'text/x-date',
      encode: (date: Date) => new Uint8Array(date.getDate()),
      decode: () => new Date(),
    },
  });
  const merged = store.bucket<Cart>('b', {
    codec: 'json',
    resolution: 'merge',
    merge: (siblings) => ({ items: siblings.flatMap(({ value }) => value.items) }),
  });
  const types: [
    Same<typeof raw, Bucket<Uint8Array>>,
    Same<typeof bytes, Bucket<Uint8Array>>,
    Same<typeof text, Bucket<string>>,
    Same<typeof words, Bucket<string>>,
    Same<typeof unknown, Bucket<unknown>>,
    Same<typeof carts, Bucket<Cart>>,
    Same<typeof dates, Bucket<Date>>,
    Same<typeof merged, Bucket<Cart>>,
  ] = [true, true, true, true, true, true, true, true];
  types.join();

  // @ts-expect-error Without a codec, values are bytes.
  store.bucket<Cart>('b');
  // @ts-expect-error With 'raw', too.
  store.bucket<Cart>('b', { codec: 'raw' });
  // @ts-expect-error The codec 'text' stores text.
  store.bucket<Cart>('b', { codec: 'text' });
  // @ts-expect-error There is no such codec.
  store.bucket('b', { codec: 'yaml' });
  // @ts-expect-error Half a codec.
  store.bucket<Cart>('b', { codec: { contentType: 'x', encode: () => new Uint8Array() } });
  // @ts-expect-error There is no such resolution.
  store.bucket('b', { resolution: 'newest' });
  // @ts-expect-error To merge takes a merge function.
  store.bucket<Cart>('b', { codec: 'json', resolution: 'merge' });
  // @ts-expect-error A merge function is used by resolution: 'merge' only.
  store.bucket<Cart>('b', { codec: 'json', merge: (siblings: readonly Sibling<Cart>[]) => siblings[0]!.value });
  // @ts-expect-error It makes something else than a cart.
  store.bucket<Cart>('b', { codec: 'json', resolution: 'merge', merge: () => 5 });
  // @ts-expect-error An option of open.
  store.bucket('b', { timeoutMs: 5 });
}

export async function reads(bucket: Bucket<Cart>, signal: AbortSignal): Promise<void> {
  const read = await bucket.get('k', { r: 1, pr: 'one', notfoundOk: false, basicQuorum: true, timeoutMs: 5, signal });
  const many = await bucket.getMany(['a', new Uint8Array(1)], { r: 'all' });
  const scan = bucket.scan({
    prefix: 'a',
    gte: 'a',
    gt: 'a',
    lt: 'b',
    lte: 'b',
    limit: 5,
    values: true,
    partial: true,
  });
  const types: [
    Same<typeof read, ReadResult<Cart>>,
    Same<typeof read.value, Cart | undefined>,
    Same<typeof many, Map<Key, ReadResult<Cart> | Error>>,
    Same<typeof scan, Scan<ValuedEntry<Cart>>>,
  ] = [true, true, true, true];
  types.join();
  for await (const entry of scan) {
    const result: ReadResult<Cart> = entry;
    const fields: [Same<typeof entry, ValuedEntry<Cart>>, Same<typeof entry.found, boolean>] = [true, true];
    fields.join(entry.siblings.map(({ contentType }) => contentType + result.found)[0]);
  }
  for (const bare of [bucket.scan(), bucket.scan({ gt: 'a' }), bucket.scan({ values: false })]) {
    for await (const entry of bare) {
      const same: Same<typeof entry, ScanEntry> = true;
      same.valueOf();
      // @ts-expect-error Without `values` it has no field of a read.
      entry.value?.toString();
    }
  }
  // Known only when the program runs.
  for await (const entry of bucket.scan({ values: Math.random() < 0.5 })) {
    if ('value' in entry) entry.value?.items.join();
    // @ts-expect-error It may have no value.
    entry.value?.items.join();
  }
  await bucket.get('k', { session: read.causalContext });
  const told: [boolean, boolean, readonly number[]] = [read.mayMissHints, scan.mayMissHints, scan.unreachable];
  told.join();
  // @ts-expect-error A session belongs to one key.
  await bucket.getMany(['a'], { session: 'token' });
  // @ts-expect-error Writes wait for W, reads for R.
  await bucket.get('k', { w: 2 });
  // @ts-expect-error A key is text or bytes.
  await bucket.get(5);
  // @ts-expect-error What is read is not to be changed.
  read.siblings.push();
  // @ts-expect-error Keys, not entries.
  await bucket.getMany([{ key: 'a' }]);
  // @ts-expect-error There is no such bound.
  bucket.scan({ from: 'a' });
}

export async function faults({ admin }: Store): Promise<void> {
  await admin.pause('b', 200, { timeoutMs: 1_000 });
  const nodes = ['b', 'c'] as const;
  const nothing = await admin.split(nodes);
  await admin.heal();
  const types: [Same<typeof nothing, void>] = [true];
  types.join();
  // @ts-expect-error For how long?
  await admin.pause('b');
  // @ts-expect-error A split takes a list.
  await admin.split('b');
}

export async function writes(bucket: Bucket<Cart>, signal: AbortSignal): Promise<void> {
  const cart: Cart = { items: [] };
  const { causalContext } = await bucket.get('k');
  const receipt = await bucket.put('k', cart, {
    causalContext,
    w: 1,
    pw: 1,
    dw: 0,
    metadata: { a: 'b' },
    ttlMs: 5,
    signal,
  });
  await bucket.put('k', cart, { ifNoneMatch: true });
  await bucket.put('k', cart, { ifMatch: receipt.causalContext });
  await bucket.put('k', cart, { ifMatch: receipt.causalContext, ifNoneMatch: false, w: 'all' });
  await bucket.delete('k', { causalContext });
  const updated = await bucket.update('k', (value) => ({ items: value?.items ?? [] }), { r: 1, w: 1, ttlMs: 5 });
  await bucket.update('k', async (value) => value, { notfoundOk: true });
  const many = await bucket.putMany([{ key: 'a', value: cart, w: 1 }], { ifNoneMatch: true });
  const types: [
    Same<typeof receipt, Receipt>,
    Same<typeof updated, Receipt | undefined>,
    Same<typeof many, Map<Key, Receipt | Error>>,
  ] = [true, true, true];
  types.join();

  // @ts-expect-error Not a cart.
  await bucket.put('k', 'milk');
  // @ts-expect-error Reads wait for R, writes for W.
  await bucket.put('k', cart, { r: 2 });
  // @ts-expect-error Metadata is text.
  await bucket.put('k', cart, { metadata: { a: 1 } });
  // @ts-expect-error There may be no context yet: then there is nothing to match.
  await bucket.put('k', cart, { ifMatch: causalContext });
  // @ts-expect-error Two conditions rule each other out.
  await bucket.put('k', cart, { ifMatch: receipt.causalContext, ifNoneMatch: true });
  // @ts-expect-error In a put of many, too.
  await bucket.putMany([{ key: 'a', value: cart, ifMatch: receipt.causalContext, ifNoneMatch: true }]);
  // @ts-expect-error A match for every key?
  await bucket.putMany([{ key: 'a', value: cart }], { ifMatch: receipt.causalContext });
  // @ts-expect-error An update has no condition.
  await bucket.update('k', (value) => value, { ifNoneMatch: true });
  // @ts-expect-error A delete has none, either.
  await bucket.delete('k', { ifMatch: receipt.causalContext });
  // @ts-expect-error A delete stores nothing that could expire.
  await bucket.delete('k', { ttlMs: 5 });
  // @ts-expect-error An update has the context of its own read.
  await bucket.update('k', (value) => value, { causalContext: receipt.causalContext });
  // @ts-expect-error It makes something else than a cart.
  await bucket.update('k', () => 5);
  // @ts-expect-error A context belongs to one key.
  await bucket.putMany([{ key: 'a', value: cart }], { causalContext: receipt.causalContext });
  // @ts-expect-error An entry needs a value.
  await bucket.putMany([{ key: 'a' }]);
}

export async function properties(store: Store): Promise<void> {
  await store.setBucketProperties('b', { r: 1, w: 'all', ttlMs: 5, resolution: 'last-write-wins', maxSiblings: null });
  await store.setBucketProperties('b', { notfoundOk: false, basicQuorum: true }, { type: 't', timeoutMs: 5 });
  await store.setBucketType('t', { n: 3, pr: 'one', pw: 1, dw: 0 });
  await store.setBucketType('t');
  const ofBucket = await store.bucketProperties('b', { type: 't' });
  const ofType = await store.bucketType('t');
  const types: [
    Same<typeof ofBucket, BucketProperties>,
    Same<typeof ofType, BucketProperties>,
    Same<typeof ofBucket.resolution, 'siblings' | 'last-write-wins'>,
  ] = [true, true, true];
  types.join();

  // @ts-expect-error Fixed by the type.
  await store.setBucketProperties('b', { n: 3 });
  // @ts-expect-error A word that is no quorum.
  await store.setBucketProperties('b', { w: 'most' });
  // @ts-expect-error A merge function cannot be stored.
  await store.setBucketProperties('b', { resolution: 'merge' });
  // @ts-expect-error Of handles.
  await store.setBucketProperties('b', { codec: 'json' });
  // @ts-expect-error The type is no property.
  await store.setBucketProperties('b', { type: 't' });
  // @ts-expect-error Of buckets.
  await store.setBucketType('t', {}, { type: 'u' });
  // @ts-expect-error Nothing to give back.
  ofBucket.r = 2;
}
