/** A node's replicas and hints as they lie on its simulated disks: looked at directly, not by quorum reads. */
import { assert } from '../base/assert.js';
import { decodeBody } from '../codec/body.js';
import { decodeRecord, isSoundRecord } from '../codec/record.js';
import { locatedKeyOf, MAX_OWNERS, ownerOf } from '../hinted-handoff/hint-key.js';
import { hintedRecord } from '../hinted-handoff/hint-record.js';
import { visibleSiblings } from '../objects/resolution.js';
import type { StoredObject } from '../objects/stored-object.js';
import type { SimulatedDisk } from '../runtime/simulator/simulated-disk.js';
import { locate } from './simulated-client.js';

/** What lies on a node's disk, by key. */
export class Replica {
  private readonly disk: SimulatedDisk;
  private readonly partitions: number;

  constructor(disk: SimulatedDisk, partitions: number) {
    this.disk = disk;
    this.partitions = partitions;
  }

  /** The committed record, or undefined. */
  record(key: string): Uint8Array | undefined {
    return this.disk.peek(locate(key, this.partitions));
  }

  /** The object, undefined if there is none or it is unreadable. */
  object(key: string): StoredObject | undefined {
    const record = this.record(key);
    return record === undefined || !isSoundRecord(record) ? undefined : decodeRecord(record);
  }

  /** The values that a reader would be shown, oldest first. */
  values(key: string): string[] {
    const object = this.object(key);
    if (object === undefined) return [];
    return visibleSiblings(object, 0).map(({ body }) => Buffer.from(decodeBody(body).value).toString());
  }

  /** The one value; undefined if there is none. */
  read(key: string): string | undefined {
    const values = this.values(key);
    assert(values.length <= 1, `${key} has ${values.length} values`);
    return values[0];
  }
}

/** An object that a node keeps for another. */
export interface HeldHint {
  /** The index of the node for which it is kept. */
  readonly owner: number;
  readonly located: Uint8Array;
  /** Undefined if it is unreadable. */
  readonly object: StoredObject | undefined;
}

/** The hints that are committed on a disk for hints. */
export function heldHints(disk: SimulatedDisk): HeldHint[] {
  const hints: HeldHint[] = [];
  for (const { key, value } of disk.peekAll()) {
    const owner = ownerOf(key);
    if (owner >= MAX_OWNERS) continue;
    const record = hintedRecord(value);
    const object = isSoundRecord(record) ? decodeRecord(record) : undefined;
    hints.push({ owner, located: locatedKeyOf(key), object });
  }
  return hints;
}
