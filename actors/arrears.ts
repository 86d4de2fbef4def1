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

  /** After a start, until somebody has said that the node's state is the one that he knows of, and not an older copy. */
  private mayBeOld: boolean;
  private waitsForWord: boolean;

  constructor(how: { hintsMayWait: boolean; refilling: ReadonlySet<number>; mayBeOld: boolean }) {
    this.hintsMayWait = how.hintsMayWait;
    this.refilling = how.refilling;
    this.mayBeOld = how.mayBeOld;
    this.waitsForWord = how.mayBeOld;
  }

  /** True while the node's replicas neither give nor take anything: they may be an older copy, and the first word is awaited. */
  get awaitsWord(): boolean {
    return this.waitsForWord;
  }

  /** True if the replicas serve though nobody has said that they are no older copy. */
  get isUnheard(): boolean {
    return this.mayBeOld && !this.waitsForWord;
  }

  /** Nobody could be reached in time: the replicas serve, and say that they may lack something. */
  heardNobody(): void {
    this.waitsForWord = false;
  }

  /** Another node has said how things stand, and what is old was set aside upon that. */
  heardWord(): void {
    this.waitsForWord = false;
    this.mayBeOld = false;
  }

  /** True while the node's replica of `partition` may lack something. */
  behind(partition: number): boolean {
    return this.hintsMayWait || this.mayBeOld || this.refilling.has(partition);
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
