/**
 * What a node keeps beside its objects, looked through offline: whether it can be read, and whether it goes together with what
 * the other nodes keep. All of it is small but for the hints, which are read page by page.
 *
 *     system.mdb   markers: of partitions that it has, and no writer's name twice in the store; fences: no floor above what
 *                  all primaries have voted for; lives: of nodes that there are
 *     hints.mdb    hints: whole, for an owner that has the partition, and that will take them by their tags; ledgers: as
 *                  many as there are; floors: none above the tags that primaries have given
 */
import { equalBytes, textOf } from '../../base/bytes.js';
import type { WriterId } from '../../clocks/event-id.js';
import {
  decodeFence,
  decodeLineage,
  decodeLosses,
  decodeMarker,
  FENCE_PREFIX,
  type FenceEntry,
  LIFE_KEY,
  LIFE_PREFIX,
  LOSSES_KEY,
  MARKER_PREFIX,
  type MarkerEntry,
  numberInKey,
  REFILL_PREFIX,
} from '../../codec/system-entries.js';
import type { PreferenceList } from '../../ring/preference-list.js';
import { RUN_KEY, readRunMark } from '../../storage/run-mark.js';
import type { Storage, StorageEntry } from '../../storage/storage.js';

/** Told of what is wrong with what a node keeps. */
export type Complain = (node: number, what: string) => void;

/** Of an entry whose checksum does not hold. */
const HELD_FOR_LOST = 'cannot be read: the node will hold it for lost';
/** Entries that are read at a time. */
const PAGE = 64;

/** All entries of a storage, in their order. */
export function* entriesOf(storage: Storage): Generator<StorageEntry, void, undefined> {
  for (let page = storage.range({ limit: PAGE }); page.length > 0; ) {
    yield* page;
    page = page.length < PAGE ? [] : storage.range({ gt: page[page.length - 1]!.key, limit: PAGE });
  }
}

/** What a node's system storage says. */
export class SystemState {
  readonly fences = new Map<number, FenceEntry>();
  /** Those that the next start believes: they are of the stop that the objects end with. */
  readonly markers = new Map<number, MarkerEntry>();
  /** True if its last run ended in order. */
  readonly endedInOrder: boolean;
  private readonly node: number;
  private readonly lists: readonly PreferenceList[];
  private readonly nodes: number;
  private readonly stop: Uint8Array | undefined;

  /** @param stop - what the objects end with */
  constructor(
    storage: Storage,
    of: { node: number; lists: readonly PreferenceList[]; nodes: number; stop: Uint8Array | undefined },
    complain: Complain,
  ) {
    this.node = of.node;
    this.lists = of.lists;
    this.nodes = of.nodes;
    this.stop = of.stop;
    this.endedInOrder = readRunMark(storage)?.clean === true;
    for (const { key, value } of entriesOf(storage)) {
      const wrong = this.take(key, value, storage);
      if (wrong !== undefined) complain(this.node, `system file: ${wrong}`);
    }
  }

  /** @returns what is wrong with the entry */
  private take(key: Uint8Array, value: Uint8Array, storage: Storage): string | undefined {
    if (equalBytes(key, RUN_KEY))
      return readRunMark(storage) === undefined ? 'the mark of its last run cannot be read' : undefined;
    if (equalBytes(key, LOSSES_KEY))
      return decodeLosses(value) === undefined ? 'the count of its losses cannot be read' : undefined;
    if (equalBytes(key, LIFE_KEY)) return decodeLineage(value) === undefined ? 'its lives cannot be read' : undefined;
    const other = numberInKey(key, LIFE_PREFIX);
    if (!Number.isNaN(other)) {
      if (other >= this.nodes) return `it knows of a life of node ${other}, which there is not`;
      return decodeLineage(value) === undefined ? `the life of node ${other} cannot be read` : undefined;
    }
    for (const prefix of [MARKER_PREFIX, FENCE_PREFIX, REFILL_PREFIX]) {
      const partition = numberInKey(key, prefix);
      if (Number.isNaN(partition)) continue;
      const what = prefix.slice(0, -1);
      if (this.lists[partition]?.primaries.includes(this.node) !== true) {
        return `a ${what} of partition ${partition}, of which it has no replica`;
      }
      const wrong = this.ofPartition(prefix, partition, value);
      return wrong === undefined ? undefined : `the ${what} of partition ${partition} ${wrong}`;
    }
    return `an entry that nobody knows: ${textOf(key) ?? Buffer.from(key).toString('hex')}`;
  }

  /** @returns what is wrong with the entry */
  private ofPartition(prefix: string, partition: number, value: Uint8Array): string | undefined {
    if (prefix === REFILL_PREFIX) return undefined;
    if (prefix === FENCE_PREFIX) {
      const fence = decodeFence(value);
      if (fence !== undefined) this.fences.set(partition, fence);
      if (fence === undefined) return HELD_FOR_LOST;
      // A floor rises to where the tag is.
      return fence.floor <= fence.tag ? undefined : 'cannot be right';
    }
    const marker = decodeMarker(value);
    if (marker === undefined) return HELD_FOR_LOST;
    if (!(Number.isSafeInteger(marker.counter) && marker.counter >= 0)) return 'cannot be right';
    if (this.stop !== undefined && equalBytes(marker.stop, this.stop)) this.markers.set(partition, marker);
    return undefined;
  }
}

/** Who minted, or may, under a name. */
interface Named {
  readonly node: number;
  readonly what: string;
}

/** What the nodes' system files say of each other. */
export class Fences {
  private readonly lists: readonly PreferenceList[];
  /** By node; undefined: its file cannot be read. */
  private readonly states: readonly (SystemState | undefined)[];
  private readonly complain: Complain;
  private readonly names = new Map<string, Named>();

  constructor(lists: readonly PreferenceList[], states: readonly (SystemState | undefined)[], complain: Complain) {
    this.lists = lists;
    this.states = states;
    this.complain = complain;
    for (const partition of lists.keys()) this.compare(partition);
  }

  /** The name is one vnode's, or one hint's, alone. */
  noteName(writer: WriterId, node: number, what: string): void {
    const name = `${writer.high}.${writer.low}`;
    const other = this.names.get(name);
    if (other === undefined) this.names.set(name, { node, what });
    else this.complain(node, `${what} has the writer's name of ${other.what} of node ${other.node}`);
  }

  fence(node: number, partition: number): FenceEntry | undefined {
    return this.states[node]?.fences.get(partition);
  }

  /** The highest tag that a primary of the partition has given; undefined if that is not known of all. */
  highestTag(partition: number): number | undefined {
    let highest = 0;
    for (const node of this.lists[partition]!.primaries) {
      const fence = this.fence(node, partition);
      if (fence === undefined) return undefined;
      highest = Math.max(highest, fence.tag);
    }
    return highest;
  }

  private compare(partition: number): void {
    const { primaries } = this.lists[partition]!;
    const floor = Math.max(...primaries.map((node) => this.fence(node, partition)?.floor ?? 0));
    for (const node of primaries) {
      const fence = this.fence(node, partition);
      const marker = this.states[node]?.markers.get(partition);
      if (marker !== undefined) this.noteName(marker.writer, node, `the vnode of partition ${partition}`);
      if (fence === undefined || fence.isSetAside || fence.tag >= floor) continue;
      this.complain(
        node,
        `its replica of partition ${partition} is older than what was reaped (its tag is ${fence.tag}, the floor ${floor})`,
      );
    }
  }
}
