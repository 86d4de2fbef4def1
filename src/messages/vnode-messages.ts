/**
 * What a vnode can be asked: to mint a put, to store a replica's object, to take hints over, to read, to list a part of
 * its range. What a hint keeper can be asked in its place is answered in the same words (`hint-messages.ts`).
 *
 * Whatever bears an object bears its sender's `tag` as well, as of the moment when the sender read the object: what
 * the reaping of tombstones goes by (a tag below the receiver's floor is answered 'stale-fence').
 */
import type { ReapAnswer } from '../anti-entropy/reaping.js';
import { type Conversation, FrameError, type MessageCodec } from '../runtime/actor.js';
import { type ListedEntry, listedEntries, type TaggedEntry, taggedEntries } from './entries.js';
import { list, u32, word } from './layout.js';
import { type MintedVersion, mintedVersion } from './minted-version.js';
import { type ObjectPut, objectPut } from './object-request.js';
import { type ReplicaAsk, reapAnswerCodec, reapAskCodec } from './reap-messages.js';

export type VnodeRequest =
  /** Mint this put. Noticed at once as 'minted', replied to as 'wrote' once it is stored; or replied to as 'not-minted'. */
  | { readonly type: 'mint'; readonly put: ObjectPut; readonly durable: boolean }
  /** Merge this object into the replica. Replied to as 'wrote'. */
  | {
      readonly type: 'write';
      readonly key: Uint8Array;
      readonly record: Uint8Array;
      readonly durable: boolean;
      readonly tag: number;
    }
  /** Merge these hints of the vnode's partition into the replica. Replied to as 'took', once that is as durable as can be. */
  | { readonly type: 'hand-off'; readonly entries: readonly TaggedEntry[] }
  /** Replied to as 'object', 'digest' (if only that is wanted), 'nothing' or 'corrupt'. */
  | { readonly type: 'read'; readonly key: Uint8Array; readonly digestOnly: boolean }
  /**
   * Entries with `gte` ≤ key < `lt`, at most `limit` of them, and of records that take about `limitBytes`. Without
   * `values`, outlines of the records (`codec/record-outline.ts`). Replied to as 'listed'.
   */
  | {
      readonly type: 'list';
      readonly gte: Uint8Array;
      readonly lt: Uint8Array;
      readonly limit: number;
      readonly limitBytes: number;
      readonly values: boolean;
    }
  /** Vote for tombstones, or remove those that were voted for. Replied to as 'reap'. */
  | { readonly type: 'reap'; readonly ask: ReplicaAsk }
  /** Of a replica that was set aside: remove all that it holds. Replied to as 'discarded', once that is durable. */
  | { readonly type: 'discard' }
  /** Of one that was discarded: begin anew above this fence. Replied to as 'adopted'. */
  | { readonly type: 'adopt'; readonly tag: number; readonly floor: number };

/** Why nothing was minted; certain in each case but the last. */
export type NotMinted =
  /** The attempt's time is over. */
  | 'late'
  /** A later attempt of the same put covers this one. */
  | 'voided'
  /** The replica's record of this key is unreadable. */
  | 'corrupt'
  /** The key already has as many siblings as a put may leave. */
  | 'too-many-siblings'
  /** The key's siblings would be too large together. */
  | 'object-too-large'
  /** The put's condition does not hold here. */
  | 'precondition-failed'
  /** The attempt came before, or may have: whether it was minted then, and is replaced now, cannot be told. */
  | 'doubtful';

export type VnodeAnswer =
  | ({ readonly type: 'minted' } & MintedVersion)
  | { readonly type: 'wrote'; readonly durable: boolean }
  /** The attempt was minted before, under `dot`, and is there. `record`: the replica's present object. */
  | ({ readonly type: 'repeated' } & MintedVersion)
  | { readonly type: 'not-minted'; readonly why: NotMinted }
  /** To a mint or a write: nothing was stored, for certain, because commits fail here; `full`: for lack of room. */
  | { readonly type: 'no-storage'; readonly full: boolean }
  /**
   * To a mint, a write, a hand-off or a discard: nothing was stored, for certain, because it is not known here what would
   * have to be refused, until other nodes have told. Its disk is well.
   */
  | { readonly type: 'not-ready' }
  /** To a write: its tag is below the receiver's floor. Nothing was stored: read the object again, and send that. */
  | { readonly type: 'stale-fence' }
  /**
   * The entries are stored, but for those in these places. `stale`: refused as 'stale-fence' is. `unmerged`: unreadable
   * for this replica, or what it has itself is, for being of a newer format.
   */
  | {
      readonly type: 'took';
      readonly durable: boolean;
      readonly stale: readonly number[];
      readonly unmerged: readonly number[];
    }
  /** `behind`: the replica may lack writes that were acknowledged while it was down, or that it has lost. */
  | { readonly type: 'object'; readonly record: Uint8Array; readonly tag: number; readonly behind: boolean }
  | { readonly type: 'digest'; readonly high: number; readonly low: number; readonly behind: boolean }
  | { readonly type: 'nothing'; readonly behind: boolean }
  | { readonly type: 'corrupt' }
  /** `more`: the listing stopped at a limit, after its last entry. `corrupt`: records left out because they are unreadable. */
  | {
      readonly type: 'listed';
      readonly entries: readonly ListedEntry[];
      readonly more: boolean;
      readonly corrupt: number;
      readonly behind: boolean;
    }
  | { readonly type: 'reap'; readonly answer: ReapAnswer }
  | { readonly type: 'discarded' }
  | { readonly type: 'adopted' };

const places = list(u32);

const MINT = 1;
const WRITE = 2;
const READ = 3;
const LIST = 4;
const HAND_OFF = 5;
const REAP = 6;
const DISCARD = 7;
const ADOPT = 8;

const request: MessageCodec<VnodeRequest> = {
  size(message) {
    switch (message.type) {
      case 'mint':
        return 2 + objectPut.size(message.put);
      case 'write':
        return 18 + message.key.length + message.record.length;
      case 'hand-off':
        return 1 + taggedEntries.size(message.entries);
      case 'read':
        return 6 + message.key.length;
      case 'list':
        return 18 + message.gte.length + message.lt.length;
      case 'reap':
        return 1 + reapAskCodec.size(message.ask);
      case 'discard':
        return 1;
      case 'adopt':
        return 17;
    }
  },
  write(message, out) {
    switch (message.type) {
      case 'mint':
        out.u8(MINT);
        out.u8(message.durable ? 1 : 0);
        objectPut.write(message.put, out);
        return;
      case 'write':
        out.u8(WRITE);
        out.u8(message.durable ? 1 : 0);
        out.bytes(message.key);
        out.bytes(message.record);
        out.f64(message.tag);
        return;
      case 'hand-off':
        out.u8(HAND_OFF);
        taggedEntries.write(message.entries, out);
        return;
      case 'read':
        out.u8(READ);
        out.u8(message.digestOnly ? 1 : 0);
        out.bytes(message.key);
        return;
      case 'list':
        out.u8(LIST);
        out.u8(message.values ? 1 : 0);
        out.bytes(message.gte);
        out.bytes(message.lt);
        out.u32(message.limit);
        out.u32(message.limitBytes);
        return;
      case 'reap':
        out.u8(REAP);
        reapAskCodec.write(message.ask, out);
        return;
      case 'discard':
        out.u8(DISCARD);
        return;
      case 'adopt':
        out.u8(ADOPT);
        out.f64(message.tag);
        out.f64(message.floor);
        return;
    }
  },
  read(from) {
    const type = from.u8();
    switch (type) {
      case MINT: {
        const durable = from.u8() === 1;
        return { type: 'mint', put: objectPut.read(from), durable };
      }
      case WRITE: {
        const durable = from.u8() === 1;
        return { type: 'write', key: from.bytes(), record: from.bytes(), durable, tag: from.f64() };
      }
      case HAND_OFF:
        return { type: 'hand-off', entries: taggedEntries.read(from) };
      case READ: {
        const digestOnly = from.u8() === 1;
        return { type: 'read', key: from.bytes(), digestOnly };
      }
      case LIST: {
        const values = from.u8() === 1;
        return { type: 'list', gte: from.bytes(), lt: from.bytes(), limit: from.u32(), limitBytes: from.u32(), values };
      }
      case REAP: {
        const ask = reapAskCodec.read(from);
        if (ask.type === 'vote' || ask.type === 'commit') return { type: 'reap', ask };
        throw new FrameError(`a vnode is not asked for '${ask.type}'`);
      }
      case DISCARD:
        return { type: 'discard' };
      case ADOPT:
        return { type: 'adopt', tag: from.f64(), floor: from.f64() };
      default:
        throw new FrameError(`no request of a vnode has type ${type}`);
    }
  },
};

const MINTED = 1;
const WROTE = 2;
const REPEATED = 3;
const NOT_MINTED = 4;
const OBJECT = 5;
const DIGEST = 6;
const NOTHING = 7;
const CORRUPT = 8;
const LISTED = 9;
const NO_STORAGE = 10;
const STALE_FENCE = 11;
const TOOK = 12;
const REAP_ANSWER = 13;
const DISCARDED = 14;
const ADOPTED = 15;
const NOT_READY = 16;
const notMinted = word<NotMinted>('reason why nothing was minted', [
  'late',
  'voided',
  'corrupt',
  'too-many-siblings',
  'doubtful',
  'object-too-large',
  'precondition-failed',
]);

const answer: MessageCodec<VnodeAnswer> = {
  size(message) {
    switch (message.type) {
      case 'minted':
      case 'repeated':
        return 1 + mintedVersion.size(message);
      case 'object':
        return 5 + message.record.length + 9;
      case 'digest':
        return 10;
      case 'took':
        return 2 + places.size(message.stale) + places.size(message.unmerged);
      case 'listed':
        return 7 + listedEntries.size(message.entries);
      case 'reap':
        return 1 + reapAnswerCodec.size(message.answer);
      default:
        return 2;
    }
  },
  write(message, out) {
    switch (message.type) {
      case 'minted':
        out.u8(MINTED);
        mintedVersion.write(message, out);
        return;
      case 'wrote':
        out.u8(WROTE);
        out.u8(message.durable ? 1 : 0);
        return;
      case 'repeated':
        out.u8(REPEATED);
        mintedVersion.write(message, out);
        return;
      case 'not-minted':
        out.u8(NOT_MINTED);
        notMinted.write(message.why, out);
        return;
      case 'no-storage':
        out.u8(NO_STORAGE);
        out.u8(message.full ? 1 : 0);
        return;
      case 'not-ready':
        out.u8(NOT_READY);
        return;
      case 'object':
        out.u8(OBJECT);
        out.bytes(message.record);
        out.f64(message.tag);
        out.u8(message.behind ? 1 : 0);
        return;
      case 'digest':
        out.u8(DIGEST);
        out.u32(message.high);
        out.u32(message.low);
        out.u8(message.behind ? 1 : 0);
        return;
      case 'nothing':
        out.u8(NOTHING);
        out.u8(message.behind ? 1 : 0);
        return;
      case 'stale-fence':
        out.u8(STALE_FENCE);
        return;
      case 'took':
        out.u8(TOOK);
        out.u8(message.durable ? 1 : 0);
        places.write(message.stale, out);
        places.write(message.unmerged, out);
        return;
      case 'corrupt':
        out.u8(CORRUPT);
        return;
      case 'listed':
        out.u8(LISTED);
        out.u8(message.more ? 1 : 0);
        out.u32(message.corrupt);
        out.u8(message.behind ? 1 : 0);
        listedEntries.write(message.entries, out);
        return;
      case 'reap':
        out.u8(REAP_ANSWER);
        reapAnswerCodec.write(message.answer, out);
        return;
      case 'discarded':
        out.u8(DISCARDED);
        return;
      case 'adopted':
        out.u8(ADOPTED);
        return;
    }
  },
  read(from) {
    const type = from.u8();
    switch (type) {
      case MINTED:
        return { type: 'minted', ...mintedVersion.read(from) };
      case WROTE:
        return { type: 'wrote', durable: from.u8() === 1 };
      case REPEATED:
        return { type: 'repeated', ...mintedVersion.read(from) };
      case NOT_MINTED:
        return { type: 'not-minted', why: notMinted.read(from) };
      case NO_STORAGE:
        return { type: 'no-storage', full: from.u8() === 1 };
      case NOT_READY:
        return { type: 'not-ready' };
      case OBJECT:
        return { type: 'object', record: from.bytes(), tag: from.f64(), behind: from.u8() === 1 };
      case DIGEST:
        return { type: 'digest', high: from.u32(), low: from.u32(), behind: from.u8() === 1 };
      case NOTHING:
        return { type: 'nothing', behind: from.u8() === 1 };
      case STALE_FENCE:
        return { type: 'stale-fence' };
      case TOOK: {
        const durable = from.u8() === 1;
        return { type: 'took', durable, stale: places.read(from), unmerged: places.read(from) };
      }
      case CORRUPT:
        return { type: 'corrupt' };
      case LISTED: {
        const more = from.u8() === 1;
        const corrupt = from.u32();
        const behind = from.u8() === 1;
        return { type: 'listed', entries: listedEntries.read(from), more, corrupt, behind };
      }
      case REAP_ANSWER:
        return { type: 'reap', answer: reapAnswerCodec.read(from) };
      case DISCARDED:
        return { type: 'discarded' };
      case ADOPTED:
        return { type: 'adopted' };
      default:
        throw new FrameError(`no answer of a vnode has type ${type}`);
    }
  },
};

export const vnodeConversation: Conversation<VnodeRequest, VnodeAnswer> = { name: 'vnode', request, answer };
