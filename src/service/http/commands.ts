/** Carries requests of the object family out on a store. */
import { randomBytes } from 'node:crypto';
import type { Bucket, Quorum, Store } from '../../store/api.js';
import { type Address, encodeSegment } from './address.js';
import { base62 } from './base62.js';
import { failureReply } from './failures.js';
import { notFound, objectReply, UNCONDITIONAL } from './object-reply.js';
import type { DeleteRequest, ObjectRequest, ReadRequest, WriteRequest } from './protocol.js';
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

  /** @param body - the value of a write; empty for other requests */
  async execute(request: ObjectRequest, body: Uint8Array): Promise<Reply> {
    const violation = this.quorumViolation(request);
    if (violation !== undefined) return violation;
    try {
      switch (request.kind) {
        case 'read':
          return await this.read(request);
        case 'write':
          return await this.write(request, body);
        case 'delete':
          return await this.delete(request);
      }
    } catch (error) {
      const reply = failureReply(error, request.kind);
      if (reply === undefined) throw error;
      return reply;
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
    const receipt = await bucket.put(key, body, options);
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

  /** The reply to a write that asked for what is stored now. The write has succeeded, and the reply says so if this read fails. */
  private async readBack(request: WriteRequest, bucket: Bucket<Uint8Array>, key: string | Uint8Array): Promise<Reply> {
    const { timeoutMs } = request.options;
    try {
      const result = await bucket.get(key, timeoutMs === undefined ? {} : { timeoutMs });
      return objectReply(result, { ...request, conditions: UNCONDITIONAL, vtag: undefined });
    } catch (error) {
      const reply = failureReply(error, 'read');
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
    if (causalContext === undefined) {
      const { r, timeoutMs } = options;
      const read = await bucket.get(address.key, {
        ...(r !== undefined && { r }),
        ...(timeoutMs !== undefined && { timeoutMs }),
      });
      if (!read.found) return notFound(read.causalContext);
      causalContext = read.causalContext;
    }
    const receipt = await bucket.delete(address.key, { ...options, causalContext });
    return { status: 204, headers: { 'X-Riak-Vclock': receipt.causalContext }, body: '' };
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
