/** The Merkle trees that a node has saved at its last stop, and whether they are those of its records. */
import { keyLow, leafLow, leafOfRecord } from '../../anti-entropy/leaf.js';
import { MerkleTree, nodesAt } from '../../anti-entropy/merkle-tree.js';
import { DeltaBuilder } from '../../anti-entropy/tree-delta.js';
import { readTree } from '../../anti-entropy/tree-form.js';
import { CorruptRecordError } from '../../codec/errors.js';
import { isSoundRecord } from '../../codec/record.js';
import type { Storage } from '../../storage/storage.js';

/** The Merkle trees that a node's last stop has saved: none, if it did not stop in order. */
export class SavedTrees {
  saved = 0;
  amiss = 0;
  private readonly storage: Storage | undefined;
  private readonly stop: Uint8Array | undefined;

  /** @param stop - what the objects end with; undefined if the node did not stop in order */
  constructor(storage: Storage | undefined, stop: Uint8Array | undefined) {
    this.storage = storage;
    this.stop = stop;
  }

  treeOf(partition: number): MerkleTree | undefined {
    const { storage, stop } = this;
    if (storage === undefined || stop === undefined) return undefined;
    try {
      const found = readTree(storage, partition, stop);
      if (found !== undefined) this.saved++;
      return found?.tree;
    } catch (error) {
      if (!(error instanceof CorruptRecordError)) throw error;
      this.saved++;
      this.amiss++;
      return undefined;
    }
  }
}

/** Makes the tree of the records that it is shown, to compare it with the one that was saved. */
export class TreeCheck {
  private readonly saved: MerkleTree;
  private readonly delta: DeltaBuilder;

  constructor(saved: MerkleTree) {
    this.saved = saved;
    this.delta = new DeltaBuilder(saved.depth, Math.max(1, saved.keys));
  }

  add(key: Uint8Array, record: Uint8Array): void {
    if (!isSoundRecord(record)) return;
    const high = leafOfRecord(key, record);
    this.delta.add(keyLow, high, leafLow);
  }

  fits(): boolean {
    const { saved } = this;
    const tree = new MerkleTree(saved.depth);
    tree.apply(this.delta.finish());
    if (tree.keys !== saved.keys) return false;
    for (let node = 0; node < nodesAt(tree.depth); node++) {
      if (tree.low(tree.depth, node) !== saved.low(tree.depth, node)) return false;
      if (tree.high(tree.depth, node) !== saved.high(tree.depth, node)) return false;
    }
    return true;
  }
}
