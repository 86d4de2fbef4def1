/**
 * For how long the replicas of a node have not been found equal to their others: what tells that the promise of an
 * exchange in every interval is kept, whoever leads it. Pure; nothing of it outlives the node's run.
 */
export class PairAges {
  private readonly self: number;
  /** By partition of the node: by place of the other primary in the preference list, since when; its own place never counts. */
  private readonly sinceMs = new Map<number, Float64Array>();
  private readonly primaries: readonly (readonly number[])[];

  /**
   * @param self - the node
   * @param primaries - the nodes that are primaries, by partition
   * @param nowMs - of the caller's clock: what was before is not known
   */
  constructor(self: number, primaries: readonly (readonly number[])[], nowMs: number) {
    this.self = self;
    this.primaries = primaries;
    for (const [partition, nodes] of primaries.entries()) {
      if (!nodes.includes(self)) continue;
      const own = nodes.map((node) => (node === self ? Number.POSITIVE_INFINITY : nowMs));
      this.sinceMs.set(partition, Float64Array.from(own));
    }
  }

  /** The node's replica of a partition was found equal to that of another primary. */
  foundEqual(partition: number, other: number, nowMs: number): void {
    const place = this.primaries[partition]!.indexOf(other);
    if (place !== -1 && other !== this.self) this.sinceMs.get(partition)![place] = nowMs;
  }

  /** Of the pair that was found equal longest ago, or never: for how long it was not, in milliseconds. 0: there is no pair. */
  longestMs(nowMs: number): number {
    let earliest = nowMs;
    for (const places of this.sinceMs.values()) {
      for (let i = 0; i < places.length; i++) if (places[i]! < earliest) earliest = places[i]!;
    }
    return nowMs - earliest;
  }
}
