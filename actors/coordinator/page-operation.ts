/**
 * One page of a scan under way at a coordinator: R replicas list the range, and `quorum/page-merge.ts` makes one page of
 * theirs. Pages are merged, not compared: nobody gives a digest. R are primaries, always: a stand-in has only what was put
 * while it stood in, and a page of such would leave keys out silently. Where too few can be reached the page fails, and the
 * scan names the partition. What stand-ins keep for a primary that has returned it says itself that it may lack.
 */
import { mergeRecords } from '../../src/codec/record-update.js';
import type { CoordinatorAnswer, CoordinatorRequest } from '../../src/messages/coordinator-messages.js';
import type { VnodeAnswer, VnodeRequest } from '../../src/messages/vnode-messages.js';
import { GetQuorum, type GetVerdict } from '../../src/quorum/get-quorum.js';
import { mergePages, type Page } from '../../src/quorum/page-merge.js';
import { lowestSlot, NO_SLOTS, withoutSlot } from '../../src/quorum/slots.js';
import type { ActorContext, Incoming } from '../../src/runtime/actor.js';
import { type Desk, LIST } from './desk.js';
import { ReadOperation } from './read-operation.js';

type PageRequest = CoordinatorRequest & { readonly type: 'page' };

export class PageOperation extends ReadOperation {
  protected readonly quorum: GetQuorum;
  private readonly list: VnodeRequest;
  private readonly pages: Page[] = [];
  /** A replica that has listed may lack what was acknowledged. */
  private behind = false;

  private constructor(desk: Desk, message: PageRequest, incoming: Incoming<CoordinatorAnswer>, context: ActorContext) {
    const { partition, gte, lt, limit, limitBytes, values, r, timeoutMs } = message;
    super(desk, partition, timeoutMs, incoming, context);
    this.list = { type: 'list', gte, lt, limit, limitBytes, values };
    this.quorum = new GetQuorum(desk.primaryReachOf(partition), { r, pr: r });
  }

  static begin(desk: Desk, message: PageRequest, incoming: Incoming<CoordinatorAnswer>, context: ActorContext): void {
    const operation = new PageOperation(desk, message, incoming, context);
    operation.ticket = desk.operations.add(operation);
    if (operation.ticket === -1) {
      desk.refuse(incoming, context);
      return;
    }
    desk.counters.pages++;
    for (let left = operation.quorum.firstAsked; left !== NO_SLOTS; ) {
      const place = lowestSlot(left);
      left = withoutSlot(left, place);
      operation.ask(place, context);
    }
  }

  answered(place: number, answer: VnodeAnswer, context: ActorContext): void {
    if (answer.type !== 'listed') throw new TypeError(`a listing was answered with '${answer.type}'`);
    this.desk.answered(LIST, this.order[place]!, this.more ? -1 : this.beganAt, context);
    this.pages.push(answer);
    this.behind ||= answer.behind;
    // Each counts as it comes. One that had to leave records out does not, nor one that is behind: it may lack what was
    // acknowledged, and another replica is asked too.
    const { quorum } = this;
    this.act(answer.corrupt === 0 && !answer.behind ? quorum.onObject(place, 0, 0) : quorum.onCorrupt(place), context);
  }

  protected act(verdict: GetVerdict, context: ActorContext, late = false): void {
    const { quorum } = this;
    switch (verdict) {
      case 'pending':
        return;
      case 'fetch':
        this.more = true;
        this.ask(quorum.placeToAsk, context);
        return;
      case 'succeeded':
        this.replyWithPage(false, context);
        return;
      case 'failed':
        // All were heard who could be: what none of them can read does not hide the rest.
        if (this.pages.length >= quorum.wanted) {
          this.replyWithPage(this.behind, context);
          return;
        }
        this.end(this.failure(late), context);
        return;
    }
  }

  private replyWithPage(mayMissHints: boolean, context: ActorContext): void {
    const { entries, more } = mergePages(this.pages, mergeRecords);
    this.end({ type: 'page-done', entries, more, mayMissHints }, context);
  }

  private ask(place: number, context: ActorContext): void {
    this.desk.askVnode(LIST, this.order[place]!, this.partition, this.list, this.ticket, place, context);
  }

  private end(answer: CoordinatorAnswer, context: ActorContext): void {
    context.reply(this.incoming, answer);
    if (answer.type === 'page-done') this.desk.latencies.pages.record(context.now() - this.beganAt);
    this.desk.operations.remove(this.ticket);
  }
}
