/**
 * Whether a node's fences are where those of the others are. A node that starts asks every other one: a replica whose
 * tag is below a peer's floor was taken back to an older state, and may hold what was reaped since. It is set aside at
 * once; when all its peers have told their fences it is emptied, and begins anew above them. One whose own fence was lost
 * begins so, unless nothing was reaped yet: that a single peer can tell, without whose vote nothing is.
 *
 *     started ──fences?──▶ others        below a peer's floor ──▶ set aside ──all peers have told──▶ discard ──▶ adopt
 *
 * Before the first word of another node it is not known at all whether this one is an older copy, and what it would show,
 * take or mint may be of no worth: its vnodes let their mail wait (`arrears.ts`), for half a second at most where nobody
 * can be reached. Any member's word tells of every partition, since each has counted its hints in each round. And who
 * knows of a later life of this node (`lives.ts`) tells that, too: then it takes other names even if nothing was reaped.
 * But he may not have been told of it: names are kept for sure only once most of the others have answered. Whoever minted
 * by them in the later life had told as many of that, and one of these is among them.
 *
 * A node that has lost its hints, or whose file of hints has gone back to an older state, has lost with that below which tag
 * it refuses others: it takes that from the primaries.
 */
import type { PartitionFence } from '../src/anti-entropy/reaping.js';
import type { ReaperAnswer } from '../src/messages/reap-messages.js';
import type { VnodeAnswer, VnodeRequest } from '../src/messages/vnode-messages.js';
import type { PreferenceList } from '../src/ring/preference-list.js';
import type { Arrears } from './arrears.js';
import type { NodeFences } from './fence.js';
import type { HintStore } from './hint-store.js';
import type { NodeIdentity } from './node-identity.js';

export interface FenceInquiryOptions {
  readonly node: number;
  readonly preferenceLists: readonly PreferenceList[];
  readonly fences: NodeFences;
  readonly hints: HintStore;
  readonly identity: NodeIdentity;
  readonly arrears: Arrears;
  /** Tells the operator. */
  readonly report: (what: string, error: Error) => void;
}

export interface InquirySpeaker {
  askFences(node: number): void;
  askVnode(partition: number, message: VnodeRequest): void;
}

/** What another node has told. */
export type ToldFences = ReaperAnswer & { readonly type: 'fences' };

/** A replica that is set aside. */
interface Recovery {
  readonly heard: Map<number, PartitionFence>;
  isAsking: boolean;
}

export class FenceInquiry {
  private readonly options: FenceInquiryOptions;
  /** The partitions of which this node is a primary. */
  private readonly own: readonly number[];
  /** How many partitions have a primary that is another node. */
  private readonly partitionsOfOthers: number;
  /** Every other primary of any partition. */
  private readonly others: readonly number[];
  /** Who has not been told of the present life of this node yet, or has not answered. */
  private readonly unheard = new Set<number>();
  private isDisowned = false;
  private readonly recoveries = new Map<number, Recovery>();

  constructor(options: FenceInquiryOptions) {
    this.options = options;
    const { node, preferenceLists } = options;
    this.own = [...preferenceLists.keys()].filter((partition) => this.primariesOf(partition).includes(node));
    this.partitionsOfOthers = preferenceLists.filter(({ primaries }) => primaries.some((one) => one !== node)).length;
    const others = new Set(preferenceLists.flatMap(({ primaries }) => primaries));
    others.delete(node);
    this.others = [...others];
    this.forgetWords();
  }

  /** Asks whoever has not told what is to be known, and goes on with what is set aside. */
  tick(speaker: InquirySpeaker): void {
    const { fences, hints, arrears } = this.options;
    // Who has lost power with this node has to learn himself before he can give a word.
    const toAsk = new Set(hints.fences.isLearning || arrears.awaitsWord ? this.others : this.unheard);
    for (const partition of this.own) {
      if (!fences.of(partition).isSetAside) continue;
      let recovery = this.recoveries.get(partition);
      if (recovery === undefined) {
        recovery = { heard: new Map(), isAsking: false };
        this.recoveries.set(partition, recovery);
      }
      if (recovery.isAsking) continue;
      for (const other of this.missingOf(partition, recovery)) toAsk.add(other);
      this.recover(partition, recovery, speaker);
    }
    for (const other of toAsk) speaker.askFences(other);
  }

  /** `node` has told how its fences stand. */
  heard(node: number, { fences: told, refuseBelow, laterLife }: ToldFences, speaker: InquirySpeaker): void {
    if (laterLife > 0) {
      this.disown();
      // It is asked again, and told of a life that comes after the one that it knows. After that nobody says again that this
      // node is an older copy: its file of hints must, should it end before it has learnt what was reaped.
      if (this.options.hints.fences.isDoubtStored) this.options.identity.outlive(laterLife);
    } else if (this.unheard.delete(node)) {
      if (this.unheard.size === 0) this.options.identity.settle();
      if (2 * this.unheard.size < this.others.length) this.options.arrears.heardMost();
    }
    this.compare(told);
    this.compare(refuseBelow.map((floor, partition) => ({ partition, floor })));
    // Who does not know what was refused cannot say that this node is not old.
    if (refuseBelow.length > 0) this.options.arrears.heardWord();
    for (const fence of told) {
      const recovery = this.recoveries.get(fence.partition);
      if (recovery === undefined) continue;
      recovery.heard.set(node, fence);
      if (!recovery.isAsking) this.recover(fence.partition, recovery, speaker);
    }
    this.options.hints.fences.learn(told, this.partitionsOfOthers);
  }

  /** A vnode that was asked to begin anew has answered; undefined: it will not. */
  vnodeAnswered(partition: number, answer: VnodeAnswer | undefined, speaker: InquirySpeaker): void {
    const recovery = this.recoveries.get(partition);
    if (recovery === undefined) return;
    recovery.isAsking = false;
    if (answer?.type === 'discarded') this.adopt(partition, recovery, speaker);
    else if (answer?.type === 'adopted') this.recoveries.delete(partition);
  }

  /** A peer's fences of these partitions are known: how this node's own stand to them. */
  compare(told: readonly Pick<PartitionFence, 'partition' | 'floor'>[]): void {
    const { fences, node, report } = this.options;
    const behind: number[] = [];
    for (const { partition, floor } of told) {
      if (!this.primariesOf(partition).includes(node)) continue;
      const fence = fences.of(partition);
      if (fence.isSetAside || !fence.isBehind(floor)) continue;
      fence.setAside();
      behind.push(partition);
    }
    if (behind.length === 0) return;
    report(
      'fence',
      new Error(
        `the replicas of partitions ${behind.join(', ')} are older than what the others have reaped since (restored ` +
          'from a copy, or lost): they are set aside, emptied, and refilled from the others',
      ),
    );
  }

  private forgetWords(): void {
    for (const other of this.others) this.unheard.add(other);
  }

  /** This node is an older copy of itself: it takes other names, and is not whole before it was compared with the others. */
  private disown(): void {
    if (this.isDisowned) return;
    this.isDisowned = true;
    this.options.identity.disown();
    this.options.hints.fences.mustLearn();
    this.forgetWords();
    const what = 'this node has been alive in a later state than this one (it was restored from a copy)';
    this.options.report('life', new Error(`${what}: its vnodes take other names, and what it lacks is refilled`));
  }

  /** Has a replica begin anew, once enough is known for it. */
  private recover(partition: number, recovery: Recovery, speaker: InquirySpeaker): void {
    const heard = [...recovery.heard.values()];
    const { isKnown } = this.options.fences.of(partition);
    // Nothing can have been reaped without the vote of each primary.
    const isUnreaped = !isKnown && heard.some((fence) => fence.isKnown && fence.tag === 0);
    if (!isUnreaped && this.missingOf(partition, recovery).length > 0) return;
    if (isUnreaped || (!isKnown && heard.every(({ floor }) => floor === 0))) this.adopt(partition, recovery, speaker);
    else this.ask(partition, recovery, { type: 'discard' }, speaker);
  }

  private adopt(partition: number, recovery: Recovery, speaker: InquirySpeaker): void {
    let tag = 0;
    let floor = 0;
    for (const fence of recovery.heard.values()) {
      tag = Math.max(tag, fence.tag);
      floor = Math.max(floor, fence.floor);
    }
    this.ask(partition, recovery, { type: 'adopt', tag, floor }, speaker);
  }

  /** The peers who have not told. */
  private missingOf(partition: number, { heard }: Recovery): number[] {
    return this.primariesOf(partition).filter((one) => one !== this.options.node && !heard.has(one));
  }

  private ask(partition: number, recovery: Recovery, message: VnodeRequest, speaker: InquirySpeaker): void {
    recovery.isAsking = true;
    speaker.askVnode(partition, message);
  }

  private primariesOf(partition: number): readonly number[] {
    return this.options.preferenceLists[partition]!.primaries;
  }
}
