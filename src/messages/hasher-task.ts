/** What a node asks of the hashing pool, and what a thread of the pool gives back: plain data, copied and moved. */
import type { HashResult, HashTask } from '../anti-entropy/hash-task.js';

export interface HasherTask {
  readonly task: HashTask;
  /** The node's objects file. */
  readonly path: string;
  /** The word of its `SharedOpening`. */
  readonly opened: Int32Array;
}

/** 'gone': the node does not have its file open any more. */
export type HasherResult = HashResult | { readonly type: 'gone' };
