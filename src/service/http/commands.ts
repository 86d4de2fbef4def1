/** Carries requests out on a store. */
import { randomBytes } from 'node:crypto';
import type { Bucket } from '../../store/api/bucket.js';
import type { ConditionOptions, Key, Quorum } from '../../store/api/call-options.js';
import type { Store } from '../../store/api/store.js';
import { type Address, encodeSegment } from './address.js';
import { base62 } from './base62.js';
import { isAny, mayWrite, needRead } from './conditions.js';
import { failureReply, listFailureText } from './failures.js';
import { LIST_HEADERS, type ListRequest } from './list-request.js';
import { listPieces } from './listing.js';
import { siblingForm } from './media-type.js';
import { notFound, objectReply, preconditionFailed, UNCONDITIONAL, versionOf } from './object-reply.js';
import { changesOf, NO_PROPERTIES, type PropertiesRequest, propertiesJson, propertiesReply } from './properties.js';
import type { DeleteRequest, HttpRequest, ObjectRequest, ReadRequest, WriteRequest } from './protocol.js';
import { type Reply, textReply } from './reply.js';

/** The commands of one service: `execute` never throws for what the store refuses, only for mistakes of this package. */
export class Commands {
  private readonly store: Store;
  /** Replicas of each key; fixed for the store. */
  private readonly n: number;

  constructor(store: Store) {
    this.store = store;
    this.n = store.ring()[0]!.primaries.length;
  }

  /**
   * @param body - the value of a write; empty for other requests
   * @param signal - ends a list, before or within its reply
   */
  async execute(request: HttpRequest, body: Uint8Array, signal?: AbortSignal): Promise<Reply> {
    const ofObject = request.kind !== 'list' && request.kind !== 'properties';
    const violation = !ofObject ? undefined : this.quorumViolation(request);
    if (violation !== undefined) return violation;
    try {
      switch (request.kind) {
        case 'list':
          return await this.list(request, signal);
        case 'properties':
          return await this.properties(request, body);
        case 'read':
          return await this.read(request);
        case 'write':
          return await this.write(request, body);
        case 'delete':
          return await this.delete(request);
      }
    } catch (error) {
      const reply = failureReply(error);
      if (reply === undefined) throw error;
      // Riak tells a context that is not the present one from the conditions of HTTP itself.
      const ofContext = request.kind === 'write' && request.ifNotModified !== undefined;
      return ofContext && reply.status === 412 ? { ...reply, status: 409 } : reply;
    }
  }

  /** 200 if a majority of the primaries of every partition is up, else 503. */
  ready(): Reply {
    const up = new Set(this.store.nodes().flatMap((node) => (node.state === 'up' ? [node.name] : [])));
    const majority = Math.floor(this.n / 2) + 1;
    const short = this.store
      .ring()
      .filter(({ primaries }) => primaries.filter((name) => up.has(name)).length < majority);
    if (short.length === 0) return textReply(200, 'ready\n');
    return textReply(503, `not ready: ${short.length} partitions without a majority of their replicas\n`);
  }

  private async read(request: ReadRequest): Promise<Reply> {
    return objectReply(await this.bucketOf(request.address).get(request.address.key, request.options), request);
  }

  private async write(request: WriteRequest, body: Uint8Array): Promise<Reply> {
    const { address, options } = request;
    const bucket = this.bucketOf(address);
    const key = address.key ?? base62(randomBytes(16));
    const condition = await this.conditionOf(request, bucket, key);
    if ('status' in condition) return condition;
    const receipt = await bucket.put(key, body, { ...options, ...condition });
    const created = address.key === undefined;
    const location = created ? { Location: `${address.keysPath}/${encodeSegment(key)}` } : {};
    if (!request.returnBody) {
      const headers = { ...location, 'X-Riak-Vclock': receipt.causalContext };
      return { status: created ? 201 : 204, headers, body: '' };
    }
    const reply = await this.readBack(request, bucket, key);
    return {
      ...reply,
      status: created && reply.status === 200 ? 201 : reply.status,
      headers: { ...reply.headers, ...location },
    };
  }

  /**
   * The store's condition that stands for those of a request, or the reply if they do not hold. Conditions on ETags and
   * dates are judged by a read, and the put then depends on that nothing was written since: as atomic as the store's own.
   */
  private async conditionOf(
    { conditions, ifNotModified, options }: WriteRequest,
    bucket: Bucket<Uint8Array>,
    key: Key,
  ): Promise<ConditionOptions | Reply> {
    if (ifNotModified !== undefined) return { ifMatch: ifNotModified };
    if (!needRead(conditions)) return isAny(conditions.ifNoneMatch) ? { ifNoneMatch: true } : {};
    const { timeoutMs } = options;
    const read = await bucket.get(key, timeoutMs === undefined ? {} : { timeoutMs });
    if (!mayWrite(conditions, versionOf(read))) return preconditionFailed();
    // A key that was never seen has no context to depend on.
    return read.causalContext === undefined ? { ifNoneMatch: true } : { ifMatch: read.causalContext };
  }

  /** The reply to a write that asked for what is stored now. The write has succeeded, and the reply says so if this read fails. */
  private async readBack(request: WriteRequest, bucket: Bucket<Uint8Array>, key: string | Uint8Array): Promise<Reply> {
    const { timeoutMs } = request.options;
    try {
      const result = await bucket.get(key, timeoutMs === undefined ? {} : { timeoutMs });
      // It is stored, whatever the client would rather have: Accept decides the form of siblings alone.
      const isChoice = result.siblings.length > 1 && siblingForm(request.accept) !== undefined;
      const accept = isChoice ? request.accept : undefined;
      return objectReply(result, { ...request, accept, conditions: UNCONDITIONAL, vtag: undefined });
    } catch (error) {
      const reply = failureReply(error);
      if (reply === undefined) throw error;
      return {
        ...reply,
        // The read changed nothing, but the write that came before it did.
        headers: { ...reply.headers, 'X-Quoral-Definite': 'false' },
        body: `Stored, but could not be read back: ${reply.body}`,
      };
    }
  }

  private async delete(request: DeleteRequest): Promise<Reply> {
    const { address, options } = request;
    const bucket = this.bucketOf(address);
    let { causalContext } = options;
    if (causalContext === undefined || needRead(request.conditions) || isAny(request.conditions.ifNoneMatch)) {
      const { r, timeoutMs } = options;
      const read = await bucket.get(address.key, {
        ...(r !== undefined && { r }),
        ...(timeoutMs !== undefined && { timeoutMs }),
      });
      if (!mayWrite(request.conditions, versionOf(read))) return preconditionFailed();
      if (!read.found) return notFound(read.causalContext);
      causalContext ??= read.causalContext;
    }
    const receipt = await bucket.delete(address.key, { ...options, causalContext });
    return { status: 204, headers: { 'X-Riak-Vclock': receipt.causalContext }, body: '' };
  }

  private async properties({ act, type, bucket, options }: PropertiesRequest, body: Uint8Array): Promise<Reply> {
    if (act === 'get') {
      const properties =
        bucket === undefined
          ? await this.store.bucketType(type, options)
          : await this.store.bucketProperties(bucket, { ...options, type });
      return propertiesReply(properties, bucket);
    }
    const changes = act === 'reset' ? NO_PROPERTIES : changesOf(body, bucket, this.n);
    if (typeof changes === 'string') return textReply(400, `${changes}\n`);
    if (bucket === undefined) await this.store.setBucketType(type, changes, options);
    else await this.store.setBucketProperties(bucket, changes, { ...options, type });
    return { status: 204, headers: {}, body: '' };
  }

  private async list(request: ListRequest, signal: AbortSignal | undefined): Promise<Reply> {
    const { listed, mode } = request;
    const { type, bucket, withProperties, options } = request;
    const { timeoutMs } = options;
    const wait = timeoutMs === undefined ? {} : { timeoutMs };
    const before = withProperties
      ? { props: propertiesJson(await this.store.bucketProperties(bucket, { ...wait, type }), bucket) }
      : {};
    const pieces = listPieces(listed, mode, () => this.names(request, signal), listFailureText, before);
    // What fails before anything is sent is told by the status.
    const first = await pieces.next();
    return { status: 200, headers: LIST_HEADERS, body: resumed(first, pieces) };
  }

  private names({ listed, type, bucket, options }: ListRequest, signal: AbortSignal | undefined): AsyncIterable<Key> {
    const call = { ...options, ...(signal !== undefined && { signal }) };
    if (listed === 'buckets') return this.store.buckets({ ...call, type });
    return keysOf(this.store.bucket(bucket, { type }).scan(call));
  }

  private bucketOf(address: Address): Bucket<Uint8Array> {
    return this.store.bucket<Uint8Array>(address.bucket, { type: address.type });
  }

  private quorumViolation(request: ObjectRequest): Reply | undefined {
    const {
      r,
      pr,
      w,
      pw,
      dw,
    }: Record<string, unknown> & { r?: Quorum; pr?: Quorum; w?: Quorum; pw?: Quorum; dw?: Quorum } = {
      ...request.options,
    };
    const tooLarge = [r, pr, w, pw, dw].some((quorum) => typeof quorum === 'number' && quorum > this.n);
    if (!tooLarge) return undefined;
    const names = request.kind === 'read' ? 'r/pr' : 'w/dw/pw/node_confirms';
    return textReply(400, `Specified ${names} values invalid for bucket n value of ${this.n}\n`);
  }
}

async function* keysOf(entries: AsyncIterable<{ readonly key: Key }>): AsyncGenerator<Key, void, undefined> {
  for await (const { key } of entries) yield key;
}

async function* resumed<T>(
  first: IteratorResult<T, void>,
  rest: AsyncGenerator<T, void, undefined>,
): AsyncGenerator<T, void, undefined> {
  try {
    if (first.done) return;
    yield first.value;
    yield* rest;
  } finally {
    await rest.return();
  }
}
