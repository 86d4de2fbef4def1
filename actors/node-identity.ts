/**
 * Who the vnodes of a node are: their writerIds and counters over the life of its data.
 *
 * A writerId may be kept only after a clean stop: then a marker per vnode lies in the system storage. On start all
 * markers are durably erased before one of them is believed, so that a crash never leaves one behind; a marker that was
 * left beside another objects file is not believed either. A vnode without a marker draws a new writerId.
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

/** In the objects storage, behind every partition: which file this is. */
const FILE_KEY = Uint8Array.of(0xff, 0xff, 0x66);
const MARKER_PREFIX = utf8('marker:');
const MARKER_BYTES = 32;

export class NodeIdentity {
  private readonly system: Storage;
  private readonly file: Uint8Array;
  private readonly markers = new Map<number, VnodeMarker>();

  private constructor(system: Storage, file: Uint8Array) {
    this.system = system;
    this.file = file;
  }

  /** Reads and durably erases the markers of the last clean stop. Throws what the storages throw. */
  static open(options: { system: Storage; objects: Storage; random: Random }): NodeIdentity {
    const { system, objects, random } = options;
    const identity = new NodeIdentity(system, fileIdOf(objects, random));
    const found = system.range({ gte: MARKER_PREFIX, lt: utf8('marker;'), limit: 65_536 });
    for (const { key, value } of found) {
      identity.remember(key, value);
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

  /** Leaves a marker for the next start; stored with the turn's commit. */
  leave(partition: number, marker: VnodeMarker): void {
    const value = new Uint8Array(MARKER_BYTES);
    const view = new DataView(value.buffer);
    view.setUint32(0, marker.writer.high);
    view.setUint32(4, marker.writer.low);
    view.setFloat64(8, marker.counter);
    value.set(this.file, 16);
    this.system.put(markerKey(partition), value);
  }

  private remember(key: Uint8Array, value: Uint8Array): void {
    const partition = Number.parseInt(new TextDecoder().decode(key.subarray(MARKER_PREFIX.length)), 10);
    // A marker of another length or file says nothing about this data: its vnode draws a new writerId.
    if (value.length !== MARKER_BYTES || !equalBytes(value.subarray(16), this.file)) return;
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

/** The 16 random bytes that name this objects file, drawn at its first opening. */
function fileIdOf(objects: Storage, random: Random): Uint8Array {
  const known = objects.get(FILE_KEY);
  if (known !== undefined) return Uint8Array.from(known);
  const id = new Uint8Array(16);
  const view = new DataView(id.buffer);
  for (let offset = 0; offset < 16; offset += 4) view.setUint32(offset, random.uint32());
  objects.put(FILE_KEY, id);
  objects.commit();
  return id;
}
