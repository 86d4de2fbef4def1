/** Waiting until a node has built all of its Merkle trees anew, as seen from outside its thread: asks it again and again. */
import type { RebuiltTrees } from '../messages/node-control.js';

export interface Rebuilder {
  isUp(): boolean;
  /** As `NodeControl.rebuild`. Rejects if the node dies meanwhile. */
  ask(session: number, call: number): Promise<RebuiltTrees>;
}

/** Between two questions, in milliseconds. */
const ROUND_MS = 50;

export class RebuildWait {
  private readonly node: Rebuilder;
  private asked: RebuiltTrees | undefined;
  private stopped = false;

  constructor(node: Rebuilder) {
    this.node = node;
  }

  /** Resolves when every tree was built since, or after `stop`. */
  async done(): Promise<void> {
    for (;;) {
      if (this.node.isUp()) {
        const { session, call } = this.asked ?? { session: 0, call: 0 };
        const [answer] = await Promise.allSettled([this.node.ask(session, call)]);
        // One that died is asked again in the next round, and begins anew after its start.
        if (answer.status === 'fulfilled') this.asked = answer.value;
      }
      if (this.asked?.left === 0 || this.stopped) return;
      await new Promise((resolve) => setTimeout(resolve, ROUND_MS));
    }
  }

  /** Nobody waits any more. */
  stop(): void {
    this.stopped = true;
  }

  /** How many trees are left; undefined while the node has not said. */
  get left(): number | undefined {
    return this.asked?.left;
  }
}
