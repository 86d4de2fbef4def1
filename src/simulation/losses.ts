/**
 * What faults have destroyed, and what nobody can be asked for any more because of it. A put is given up when the fault
 * that struck took its last holder: whoever is struck before, or after, must have handed it on.
 *
 * Where nothing is flushed (`sync: 'none'`) power may, too, take a replica back to before a round of reaping for which it
 * has voted: what the deletion had replaced is then there again, and may come back (README, "Deletions"). What came back
 * so is written down, sibling by sibling; nothing else is excused.
 */
import { latin1 } from '../base/bytes.js';
import { decodeRecord, isSoundRecord } from '../codec/record.js';
import type { StoredObject } from '../objects/stored-object.js';
import type { SimulatedDisk } from '../runtime/simulator/simulated-disk.js';
import type { AcknowledgedPut, History } from './history.js';
import type { HeldHint } from './replica.js';

/** What is looked at of a cluster: what lies on its disks. */
export interface Disks {
  readonly history: History;
  readonly time: number;
  readonly names: readonly string[];
  /** Of primaries of the key. */
  objectsOf(key: string): Iterable<StoredObject | undefined>;
  hintsOn(name: string): readonly HeldHint[];
  locate(key: string): Uint8Array;
}

/** What is struck: of a replica's data strict reads are not asked any more, of hints they never were. */
export interface Struck {
  readonly nodes: readonly number[];
  readonly replicas: boolean;
  /** Whether the loss of a put is excused by it. */
  readonly excuses: (put: AcknowledgedPut) => boolean;
}

export class Losses {
  private readonly disks: Disks;

  constructor(disks: Disks) {
    this.disks = disks;
  }

  /** Does what destroys data, and writes down which acknowledged puts have lost their last holder by it. */
  destroy({ nodes, replicas, excuses }: Struck, action: () => void): void {
    const { history, time } = this.disks;
    const before = new Holders(this.disks);
    const held = [...history.acknowledged()].filter((put) => excuses(put) && before.hold(put));
    action();
    history.destructions.push({ time, nodes, replicas, excuses });
    const after = new Holders(this.disks);
    for (const put of held) if (!after.hold(put)) history.destroyed.add(put.id);
  }

  /** Takes the power from replicas that were not flushed, and writes down what is there again. */
  takeBack(replicas: readonly SimulatedDisk[], action: () => void): void {
    const { history, time } = this.disks;
    const before = replicas.map(eventsOn);
    action();
    for (const [i, replica] of replicas.entries()) {
      for (const event of eventsOn(replica)) if (!before[i]!.has(event)) history.cameBack(event, time);
    }
    function eventsOn(replica: SimulatedDisk): Set<number> {
      const events = new Set<number>();
      for (const { value } of replica.peekAll()) {
        if (!isSoundRecord(value)) continue;
        for (const { attempt } of decodeRecord(value).siblings) {
          const event = history.eventOf(attempt);
          if (event !== undefined) events.add(event);
        }
      }
      return events;
    }
  }

  /** An acknowledgement has come: of a put that may have lost its holders while that was under way. */
  acknowledged(put: AcknowledgedPut): void {
    const { history } = this.disks;
    if (history.wasOvertaken(put) && !new Holders(this.disks).hold(put)) history.destroyed.add(put.id);
  }
}

/** What lies on all disks at a moment: each key is looked at once, when it is first asked for. */
class Holders {
  private readonly disks: Disks;
  private readonly objects = new Map<string, StoredObject[]>();
  private hints: Map<string, StoredObject[]> | undefined;

  constructor(disks: Disks) {
    this.disks = disks;
  }

  /** True if the disk of some primary, or of one that stands in, holds the write, or an object that has seen it. */
  hold(put: AcknowledgedPut): boolean {
    const { history } = this.disks;
    let objects = this.objects.get(put.key);
    if (objects === undefined) {
      this.hints ??= this.hintedObjects();
      const hinted = this.hints.get(latin1(this.disks.locate(put.key))) ?? [];
      objects = [...this.disks.objectsOf(put.key), ...hinted].filter((object) => object !== undefined);
      this.objects.set(put.key, objects);
    }
    return objects.some((object) => history.isHeldIn(object, put));
  }

  private hintedObjects(): Map<string, StoredObject[]> {
    const hinted = new Map<string, StoredObject[]>();
    for (const name of this.disks.names) {
      for (const { located, object } of this.disks.hintsOn(name)) {
        if (object === undefined) continue;
        const others = hinted.get(latin1(located));
        if (others === undefined) hinted.set(latin1(located), [object]);
        else others.push(object);
      }
    }
    return hinted;
  }
}

/** True if nobody has acknowledged the put as durable. */
export function isVolatile({ end }: AcknowledgedPut): boolean {
  return !end.acks.some((ack) => ack.durable);
}
