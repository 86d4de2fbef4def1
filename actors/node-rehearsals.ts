/**
 * When a thread rehearses a node's failure (`rehearsal.ts`).
 *
 *     a node's thread    start ─▶ briefly, at once ── is in use ─▶ at length, with rests, one node after the other
 *     one that stands by          at length, several times; there is nothing left to rehearse when it takes a place
 *
 * At once, because what V8 compiles for the first requests is to hold later on: it has seen by then what a failure does.
 * When a busy thread rehearsed for the first time, all that it had compiled was thrown away, as in a failure, and compiling
 * it anew took so much of the cores that clients were refused (benchmarks/README.md). Briefly, because this comes with the
 * opening of a store. And once more at length, since what only failures need is then compiled, too.
 */
import type { Random } from '../src/base/random.js';
import type { Storage } from '../src/storage/storage.js';
import { type RehearsalStage, rehearse } from './rehearsal.js';

/** What the thread gives for it. */
export interface RehearsalGround {
  readonly random: Random;
  /** Has nothing of the one before. @param onTrouble - told of whatever goes wrong there; `isFatal`: there is no going on */
  openStage(onTrouble: (error: unknown, isFatal: boolean) => void): ClosableStage;
  openStorage(): Storage;
}

export interface ClosableStage extends RehearsalStage {
  /** Ends all that is under way there. Idempotent. */
  close(): void;
}

/** The node of which the thread is. */
export interface RehearsingNode {
  readonly node: number;
  /** True if its thread has stood by: it has rehearsed before. */
  readonly isPrepared: boolean;
  /** True if it was there before, and is back: others have much for it, and clients wait. */
  readonly isBack: boolean;
  /** How many operations it has been asked for. */
  operations(): number;
  /** It turns out to be in use. */
  inUse(): void;
  report(error: unknown): void;
  /** @returns what takes it back */
  after(ms: number, then: () => void): () => void;
}

/** How much of a rehearsal there is. */
const BRIEFLY = 1 / 4;
const AT_LENGTH = 1;
/**
 * The long one comes so long after the start of the thread, in milliseconds, and so much later for each node before it: one
 * after the other. Not while it catches up, nor before the node has been asked so much.
 */
const AFTER_MS = 8_000;
const APART_MS = 3_000;
const IN_USE_OPERATIONS = 5_000;
const LOOK_MS = 500;
/** Between two rounds, in milliseconds, where clients are served: it takes a tenth of a core then. */
const REST_MS = 20;
/** So often a thread rehearses that stands by, until its code is compiled; and its rests: until then there is none. */
const TIMES = 4;
const STANDING_BY_REST_MS = 10;

/**
 * What a thread does that stands by: it is to be as fast as if it had been a node's for long. Rejects if anything goes wrong.
 * @param restMs - between two rounds, in milliseconds
 */
export async function rehearseStandingBy(ground: RehearsalGround, restMs = STANDING_BY_REST_MS): Promise<void> {
  for (let i = 0; i < TIMES; i++) {
    let stage: ClosableStage | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        stage = ground.openStage(reject);
        const report = (_what: string, error: Error): void => reject(error);
        rehearse({ ...ground, stage, share: AT_LENGTH, restMs, report }).then(() => resolve(), reject);
      });
    } finally {
      stage?.close();
    }
  }
}

/** The rehearsals of a node's thread. */
export class NodeRehearsals {
  private readonly ground: RehearsalGround;
  private readonly node: RehearsingNode;
  private stage: ClosableStage | undefined = undefined;
  private takeBack: () => void = () => undefined;

  constructor(ground: RehearsalGround, node: RehearsingNode) {
    this.ground = ground;
    this.node = node;
  }

  /** Once, as the thread starts. Nothing happens before this returns. */
  begin(): void {
    this.after(0, () => {
      if (!this.node.isPrepared) this.rehearse(BRIEFLY, this.node.isBack ? REST_MS : 0);
      this.after(AFTER_MS, this.look);
    });
  }

  /** Breaks off what is under way; none follows. */
  end(): void {
    this.takeBack();
    this.stage?.close();
  }

  private readonly look = (): void => {
    const { node } = this;
    if (node.operations() < IN_USE_OPERATIONS) {
      this.after(LOOK_MS, this.look);
      return;
    }
    node.inUse();
    if (!node.isPrepared) this.after(node.node * APART_MS, () => this.rehearse(AT_LENGTH, REST_MS));
  };

  private rehearse(share: number, restMs: number): void {
    const { ground, node } = this;
    this.stage?.close();
    const stage = ground.openStage((error, isFatal) => {
      node.report(error);
      // Nothing is at stake: the node goes on.
      if (isFatal) stage.close();
    });
    this.stage = stage;
    rehearse({ ...ground, stage, share, restMs, report: (_what, error) => node.report(error) })
      .catch((error: unknown) => node.report(error))
      .finally(() => stage.close());
  }

  private after(ms: number, then: () => void): void {
    this.takeBack = this.node.after(ms, then);
  }
}
