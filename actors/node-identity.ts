/**
 * Who the vnodes of a node are: their writerIds and counters over the life of its data.
 *
 * A writerId may be kept only after a clean stop: then a marker per vnode lies in the system storage. On start all
 * markers are durably erased before one of them is believed, so that a crash never leaves one behind. A marker names the
 * stop that left it, and the objects file must name the same one, written with its last commit: a marker beside another
 * file, or beside one that lost its last commits to a power failure, is not believed. A vnode without a marker draws a
 * new writerId.
 *
 * A node that has lost its objects must refill: its replicas are whole again only once each has been compared with the
 * others. Which are not is kept durably, in the system storage, by partition.
 * Source: the minting rule of the store's semantics, §1; the actor-counter losses of riak_kv#679.
 */
import { equalBytes } from '../src/base/bytes.js';
import type { Random } from '../src/base/random.js';
import { STOP_KEY } from '../src/codec/own-keys.js';
import {
  decodeLosses,
  decodeMarker,
  encodeLosses,
  encodeMarker,
  entriesWith,
  entryKey,
  type Lineage,
  LOSSES_KEY,
  MARKER_PREFIX,
  type MarkerEntry,
  numberInKey,
  REFILL_PREFIX,
  STOP_BYTES,
} from '../src/codec/system-entries.js';
import type { Storage } from '../src/storage/storage.js';
import { beginLife, beginLineage, settleLineage } from './lives.js';
import type { OnUnreadable } from './own-records.js';

export type VnodeMarker = Pick<MarkerEntry, 'writer' | 'counter'>;

const MAX_ENTRIES = 65_536;
const NOTHING = Uint8Array.of(0);

export interface IdentityOptions {
  readonly system: Storage;
  readonly objects: Storage;
  readonly random: Random;
  /** How often the node has lost its objects over its life: see `NodeStorage`. */
  readonly losses: number;
  /** The partitions that are refilled from other nodes if its objects are lost: those whose primaries it is one of. */
  readonly partitions: readonly number[];
  readonly onUnreadable: OnUnreadable;
}

export class NodeIdentity {
  private readonly system: Storage;
  private readonly objects: Storage;
  private readonly random: Random;
  private readonly partitions: readonly number[];
  private readonly onUnreadable: OnUnreadable;
  /** What was found: the objects have not been written to since the stop that it names. */
  private readonly markers = new Map<number, MarkerEntry>();
  /** Partitions whose replica here may lack what it had acknowledged before its file was lost. */
  readonly refilling: ReadonlySet<number>;
  private readonly mustRefill = new Set<number>();
  /** How often the vnodes' writers have been disowned: each draws a new name before it mints again. */
  disowned = 0;
  private lives: Lineage;
  /** The stop that is under way. */
  private stop: Uint8Array | undefined;

  private constructor({ system, objects, random, partitions, onUnreadable }: IdentityOptions) {
    this.onUnreadable = onUnreadable;
    this.partitions = partitions;
    this.system = system;
    this.objects = objects;
    this.random = random;
    this.refilling = this.mustRefill;
    const lives = beginLife(system, random, onUnreadable);
    this.lives = lives ?? beginLineage(system, random, 0, onUnreadable);
    if (lives === undefined) this.disown();
  }

  /** This run of the node, and those before it of which not all others were told. */
  get lineage(): Lineage {
    return this.lives;
  }

  /**
   * Reads and durably erases the markers of the last clean stop; learns what must be refilled. Throws what the storages
   * throw.
   */
  static open(options: IdentityOptions): NodeIdentity {
    const { system, objects } = options;
    const identity = new NodeIdentity(options);
    const known = objects.get(STOP_KEY);
    const lastStop = known === undefined ? undefined : Uint8Array.from(known);
    const found = system.range({ ...entriesWith(MARKER_PREFIX), limit: MAX_ENTRIES });
    for (const { key, value } of found) {
      identity.remember(key, value, lastStop);
      system.remove(key);
    }
    identity.noteLosses(options);
    // And durably so: the system storage is fully synced, unless it is in memory, where nothing outlives this run.
    if (system.pending) system.commit();
    return identity;
  }

  /**
   * This node was taken back to an older state: what its vnodes minted since is not known here, and its replicas lack
   * what they had acknowledged since. Stored with the turn's commit.
   */
  disown(): void {
    this.disowned++;
    for (const partition of this.partitions) this.mustBeRefilled(partition);
  }

  /** It was disowned, since somebody knows of its life of that number: this one is told of as a later one. */
  outlive(number: number): void {
    this.lives = beginLineage(this.system, this.random, number, this.onUnreadable);
  }

  /** All other nodes were told of this life, and know of no later one. */
  settle(): void {
    if (this.lives.names.length > 1) this.lives = settleLineage(this.system, this.lives);
  }

  /** The replica of `partition` has been made whole from the others; stored with the turn's commit. */
  refilled(partition: number): void {
    if (this.mustRefill.delete(partition)) this.system.remove(entryKey(REFILL_PREFIX, partition));
  }

  /** The replica of `partition` was emptied, and is to be made whole; stored with the turn's commit. */
  mustBeRefilled(partition: number): void {
    this.mustRefill.add(partition);
    this.system.put(entryKey(REFILL_PREFIX, partition), NOTHING);
  }

  private noteLosses({ losses, partitions }: IdentityOptions): void {
    const { system, mustRefill } = this;
    for (const { key } of system.range({ ...entriesWith(REFILL_PREFIX), limit: MAX_ENTRIES })) {
      mustRefill.add(numberInKey(key, REFILL_PREFIX));
    }
    const stored = system.get(LOSSES_KEY);
    const known = stored === undefined ? 0 : decodeLosses(stored);
    if (known === undefined) this.onUnreadable('how often it has lost its objects', 'every replica is refilled');
    if (losses === known) return;
    for (const partition of partitions) {
      mustRefill.add(partition);
      system.put(entryKey(REFILL_PREFIX, partition), NOTHING);
    }
    system.put(LOSSES_KEY, encodeLosses(losses));
  }

  /** The marker that the vnode of `partition` left, once: a second vnode of the partition is a new one. */
  take(partition: number): MarkerEntry | undefined {
    const marker = this.markers.get(partition);
    this.markers.delete(partition);
    return marker;
  }

  /**
   * Leaves a marker for the next start; stored with the turn's commit, which must be the last one of the objects.
   * @returns the stop that this commit ends with, for what else is to be believed by it
   */
  leave(partition: number, marker: VnodeMarker): Uint8Array {
    this.stop ??= this.beginStop();
    this.system.put(entryKey(MARKER_PREFIX, partition), encodeMarker({ ...marker, stop: this.stop }));
    return this.stop;
  }

  private beginStop(): Uint8Array {
    const stop = new Uint8Array(STOP_BYTES);
    const view = new DataView(stop.buffer);
    for (let offset = 0; offset < STOP_BYTES; offset += 4) view.setUint32(offset, this.random.uint32());
    this.objects.put(STOP_KEY, stop);
    return stop;
  }

  private remember(key: Uint8Array, value: Uint8Array, lastStop: Uint8Array | undefined): void {
    const partition = numberInKey(key, MARKER_PREFIX);
    const marker = decodeMarker(value);
    if (marker === undefined) {
      this.onUnreadable(
        `who the vnode of partition ${partition} was`,
        'it takes another name, and builds its tree anew',
      );
      return;
    }
    // One that is taken for an older copy has other names from the beginning. And a marker of another stop says nothing about
    // this data.
    if (this.disowned > 0 || lastStop === undefined || !equalBytes(marker.stop, lastStop)) return;
    this.markers.set(partition, { ...marker, stop: lastStop });
  }
}
