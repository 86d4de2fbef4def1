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
import { equalBytes, utf8 } from '../src/base/bytes.js';
import type { Random } from '../src/base/random.js';
import { sealed, unsealed } from '../src/base/sealed.js';
import type { WriterId } from '../src/clocks/event-id.js';
import { STOP_KEY } from '../src/codec/own-keys.js';
import type { Life } from '../src/messages/reap-messages.js';
import type { Storage } from '../src/storage/storage.js';
import { beginLife } from './lives.js';

export interface VnodeMarker {
  readonly writer: WriterId;
  /** The highest counter that the writer has used. */
  readonly counter: number;
}

/** A marker that was found, and the stop that left it: the objects have not been written to since. */
export interface FoundMarker extends VnodeMarker {
  readonly stop: Uint8Array;
}

/** The last clean stop: 16 random bytes. */
const STOP_BYTES = 16;
const MARKER_PREFIX = utf8('marker:');
const MARKER_BYTES = 16 + STOP_BYTES;
/** How many losses of the objects are accounted for by refill marks: 4 bytes. */
const LOSSES_KEY = utf8('losses');
const REFILL_PREFIX = utf8('refill:');
const NOTHING = Uint8Array.of(0);

export interface IdentityOptions {
  readonly system: Storage;
  readonly objects: Storage;
  readonly random: Random;
  /** How often the node has lost its objects over its life: see `NodeStorage`. */
  readonly losses: number;
  /** The partitions that are refilled from other nodes if its objects are lost: those whose primaries it is one of. */
  readonly partitions: readonly number[];
}

export class NodeIdentity {
  private readonly system: Storage;
  private readonly objects: Storage;
  private readonly random: Random;
  private readonly partitions: readonly number[];
  private readonly markers = new Map<number, FoundMarker>();
  /** Partitions whose replica here may lack what it had acknowledged before its file was lost. */
  readonly refilling: ReadonlySet<number>;
  private readonly mustRefill = new Set<number>();
  /** How often the vnodes' writers have been disowned: each draws a new name before it mints again. */
  disowned = 0;
  /** This run of the node. */
  readonly life: Life;
  /** The stop that is under way. */
  private stop: Uint8Array | undefined;

  private constructor({ system, objects, random, partitions }: IdentityOptions) {
    this.life = beginLife(system, random);
    this.partitions = partitions;
    this.system = system;
    this.objects = objects;
    this.random = random;
    this.refilling = this.mustRefill;
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
    const found = system.range({ gte: MARKER_PREFIX, lt: utf8('marker;'), limit: 65_536 });
    for (const { key, value } of found) {
      if (lastStop !== undefined) identity.remember(key, value, lastStop);
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

  /** The replica of `partition` has been made whole from the others; stored with the turn's commit. */
  refilled(partition: number): void {
    if (this.mustRefill.delete(partition)) this.system.remove(refillKey(partition));
  }

  /** The replica of `partition` was emptied, and is to be made whole; stored with the turn's commit. */
  mustBeRefilled(partition: number): void {
    this.mustRefill.add(partition);
    this.system.put(refillKey(partition), NOTHING);
  }

  private noteLosses({ losses, partitions }: IdentityOptions): void {
    const { system, mustRefill } = this;
    for (const { key } of system.range({ gte: REFILL_PREFIX, lt: utf8('refill;'), limit: 65_536 })) {
      mustRefill.add(partitionIn(key, REFILL_PREFIX));
    }
    const stored = system.get(LOSSES_KEY);
    const known = unsealed(stored, 4);
    // How many are accounted for is not known if that has rotted.
    if (stored === undefined ? losses === 0 : known !== undefined && losses === viewOf(known).getUint32(0)) return;
    for (const partition of partitions) {
      mustRefill.add(partition);
      system.put(refillKey(partition), NOTHING);
    }
    const value = new Uint8Array(4);
    viewOf(value).setUint32(0, losses);
    system.put(LOSSES_KEY, sealed(value));
  }

  /** The marker that the vnode of `partition` left, once: a second vnode of the partition is a new one. */
  take(partition: number): FoundMarker | undefined {
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
    const value = new Uint8Array(MARKER_BYTES);
    const view = new DataView(value.buffer);
    view.setUint32(0, marker.writer.high);
    view.setUint32(4, marker.writer.low);
    view.setFloat64(8, marker.counter);
    value.set(this.stop, 16);
    this.system.put(markerKey(partition), sealed(value));
    return this.stop;
  }

  private beginStop(): Uint8Array {
    const stop = new Uint8Array(STOP_BYTES);
    const view = new DataView(stop.buffer);
    for (let offset = 0; offset < STOP_BYTES; offset += 4) view.setUint32(offset, this.random.uint32());
    this.objects.put(STOP_KEY, stop);
    return stop;
  }

  private remember(key: Uint8Array, stored: Uint8Array, lastStop: Uint8Array): void {
    const partition = partitionIn(key, MARKER_PREFIX);
    const value = unsealed(stored, MARKER_BYTES);
    // A marker that has rotted, or is of another stop, says nothing about this data: its vnode draws a new writerId.
    if (value === undefined || !equalBytes(value.subarray(16), lastStop)) return;
    const view = viewOf(value);
    this.markers.set(partition, {
      writer: { high: view.getUint32(0), low: view.getUint32(4) },
      counter: view.getFloat64(8),
      stop: lastStop,
    });
  }
}

function markerKey(partition: number): Uint8Array {
  return utf8(`marker:${partition}`);
}

function refillKey(partition: number): Uint8Array {
  return utf8(`refill:${partition}`);
}

function partitionIn(key: Uint8Array, prefix: Uint8Array): number {
  return Number.parseInt(new TextDecoder().decode(key.subarray(prefix.length)), 10);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
