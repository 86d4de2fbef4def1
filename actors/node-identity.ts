/**
 * Who the vnodes of a node are: their writerIds and counters over the life of its data.
 *
 * A writerId may be kept only after a clean stop: then a marker per vnode lies in the system storage. On start all
 * markers are durably erased before one of them is believed, so that a crash never leaves one behind. A marker names the
 * stop that left it, and the objects file must name the same one, written with its last commit: a marker beside another
 * file, or beside one that lost its last commits to a power failure, is not believed. A vnode without a marker draws a
 * new writerId.
 * Source: the minting rule of the store's semantics, §1; the actor-counter losses of riak_kv#679.
 */
import { equalBytes, utf8 } from '../src/base/bytes.js';
import type { Random } from '../src/base/random.js';
import type { WriterId } from '../src/clocks/event-id.js';
import type { Storage } from '../src/storage/storage.js';

export interface VnodeMarker {
  readonly writer: WriterId;
  /** The highest counter that the writer has used. */
  readonly counter: number;
}

/** In the objects storage, behind every partition: the last clean stop, 16 random bytes. */
const STOP_KEY = Uint8Array.of(0xff, 0xff, 0x66);
const STOP_BYTES = 16;
const MARKER_PREFIX = utf8('marker:');
const MARKER_BYTES = 16 + STOP_BYTES;

export class NodeIdentity {
  private readonly system: Storage;
  private readonly objects: Storage;
  private readonly random: Random;
  private readonly markers = new Map<number, VnodeMarker>();
  /** The stop that is under way. */
  private stop: Uint8Array | undefined;

  private constructor(system: Storage, objects: Storage, random: Random) {
    this.system = system;
    this.objects = objects;
    this.random = random;
  }

  /** Reads and durably erases the markers of the last clean stop. Throws what the storages throw. */
  static open(options: { system: Storage; objects: Storage; random: Random }): NodeIdentity {
    const { system, objects, random } = options;
    const identity = new NodeIdentity(system, objects, random);
    const known = objects.get(STOP_KEY);
    const lastStop = known === undefined ? undefined : Uint8Array.from(known);
    const found = system.range({ gte: MARKER_PREFIX, lt: utf8('marker;'), limit: 65_536 });
    for (const { key, value } of found) {
      if (lastStop !== undefined) identity.remember(key, value, lastStop);
      system.remove(key);
    }
    if (found.length > 0) {
      system.commit();
      if (!system.commitIsDurable) system.flush();
    }
    return identity;
  }

  /** The marker that the vnode of `partition` left, once: a second vnode of the partition is a new one. */
  take(partition: number): VnodeMarker | undefined {
    const marker = this.markers.get(partition);
    this.markers.delete(partition);
    return marker;
  }

  /** Leaves a marker for the next start; stored with the turn's commit, which must be the last one of the objects. */
  leave(partition: number, marker: VnodeMarker): void {
    this.stop ??= this.beginStop();
    const value = new Uint8Array(MARKER_BYTES);
    const view = new DataView(value.buffer);
    view.setUint32(0, marker.writer.high);
    view.setUint32(4, marker.writer.low);
    view.setFloat64(8, marker.counter);
    value.set(this.stop, 16);
    this.system.put(markerKey(partition), value);
  }

  private beginStop(): Uint8Array {
    const stop = new Uint8Array(STOP_BYTES);
    const view = new DataView(stop.buffer);
    for (let offset = 0; offset < STOP_BYTES; offset += 4) view.setUint32(offset, this.random.uint32());
    this.objects.put(STOP_KEY, stop);
    return stop;
  }

  private remember(key: Uint8Array, value: Uint8Array, lastStop: Uint8Array): void {
    const partition = Number.parseInt(new TextDecoder().decode(key.subarray(MARKER_PREFIX.length)), 10);
    // A marker of another length or stop says nothing about this data: its vnode draws a new writerId.
    if (value.length !== MARKER_BYTES || !equalBytes(value.subarray(16), lastStop)) return;
    const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
    this.markers.set(partition, {
      writer: { high: view.getUint32(0), low: view.getUint32(4) },
      counter: view.getFloat64(8),
    });
  }
}

function markerKey(partition: number): Uint8Array {
  return utf8(`marker:${partition}`);
}
