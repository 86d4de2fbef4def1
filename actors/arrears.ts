/**
 * Whether a node's replicas may lack what was acknowledged without them. There are several causes, each with an end of
 * its own; while one stands, the node's vnodes say so with every answer to a read. Shared by the actors of a node.
 */
export class Arrears {
  /** After a start, until every other node that is up has said that it holds no hint for this one, or delivered them. */
  private hintsMayWait: boolean;
  /** How often that was called into question: who looks for the hints begins anew each time. */
  private questions = 0;
  /** After a loss of the node's objects, the partitions that have not been made whole from the others yet. */
  private readonly refilling: ReadonlySet<number>;

  constructor({ hintsMayWait, refilling }: { hintsMayWait: boolean; refilling: ReadonlySet<number> }) {
    this.hintsMayWait = hintsMayWait;
    this.refilling = refilling;
  }

  /** True while the node's replica of `partition` may lack something. */
  behind(partition: number): boolean {
    return this.hintsMayWait || this.refilling.has(partition);
  }

  /** The number of the present question, and whether it is open. */
  get question(): number {
    return this.questions;
  }

  get isOpen(): boolean {
    return this.hintsMayWait;
  }

  /** A vnode was away, and others may have stood in for it. */
  wasAway(): void {
    this.hintsMayWait = true;
    this.questions++;
  }

  /** A stand-in has said that it holds hints; or the last of them has none. */
  setHintsMayWait(may: boolean): void {
    this.hintsMayWait = may;
  }
}
