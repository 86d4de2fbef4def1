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

  /**
   * After a start, until most of the other nodes have said that they know of no later life of this one. Of most, because
   * a single one may not have been told of that life; and among any two majorities is one node that is in both.
   */
  private mayBeOld: boolean;
  /** Until one of them has said how things stand, or none could be reached. */
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

  /** True while too few have said that this is no older copy: names of writers from earlier lives are not to be used. */
  get isUnheard(): boolean {
    return this.mayBeOld;
  }

  /** Nobody could be reached in time: the replicas serve, and say that they may lack something. */
  heardNobody(): void {
    this.waitsForWord = false;
  }

  /** Another node has said how things stand, and what is older than the last reaping was set aside upon that. */
  heardWord(): void {
    this.waitsForWord = false;
  }

  /** Most of the others know of this life now, and of none after it. */
  heardMost(): void {
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
