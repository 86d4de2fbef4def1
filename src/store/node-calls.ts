/**
 * Waiting for something that happens in the nodes' threads, as seen from outside: asks them, round after round, how far they
 * have come since the call. Each node numbers such calls; whoever waits names his, and the run of the node that gave it.
 */

/** What a node answers at least: under which call, of which of its runs. */
export interface Called {
  readonly session: number;
  readonly call: number;
}

export interface CalledNodes<Answer extends Called> {
  /** Those that are asked. */
  readonly nodes: readonly number[];
  isUp(node: number): boolean;
  /** Session and call are 0 where the node is asked first. Rejects if it dies meanwhile. */
  ask(node: number, session: number, call: number): Promise<Answer>;
}

/** Between two rounds of questions, in milliseconds. */
const ROUND_MS = 50;

export abstract class NodeCalls<Answer extends Called> {
  private readonly called: CalledNodes<Answer>;
  /** By node: its last answer. */
  private readonly answers = new Map<number, Answer>();
  private stopped = false;

  constructor(called: CalledNodes<Answer>) {
    this.called = called;
  }

  /** True if nothing is waited for any more. */
  protected abstract isDone(): boolean;

  protected abstract hear(answer: Answer): void;

  /** Resolves when that has come which is waited for, or after `stop`. */
  async done(): Promise<void> {
    for (;;) {
      await Promise.all(this.called.nodes.map((node) => this.ask(node)));
      if (this.isDone() || this.stopped) return;
      await new Promise((resolve) => setTimeout(resolve, ROUND_MS));
    }
  }

  /** Nobody waits any more. */
  stop(): void {
    this.stopped = true;
  }

  private async ask(node: number): Promise<void> {
    if (!this.called.isUp(node)) return;
    const { session, call } = this.answers.get(node) ?? { session: 0, call: 0 };
    const [answer] = await Promise.allSettled([this.called.ask(node, session, call)]);
    // A node that died is asked again in the next round, and counts anew after its start.
    if (answer.status === 'rejected') return;
    this.answers.set(node, answer.value);
    this.hear(answer.value);
  }
}
