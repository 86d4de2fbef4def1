/**
 * The requests of one thread that another has not answered yet, by the number that their answers bring back.
 * A number is an index and a generation: an answer that comes twice, or too late, finds another generation and is dropped.
 */
import { assert } from '../../base/assert.js';
import type { Conversation } from '../actor.js';
import type { ActorCell } from './actor-cell.js';

const INDEX_BITS = 16;
const INDEX_MASK = (1 << INDEX_BITS) - 1;

// biome-ignore lint/suspicious/noExplicitAny: requests of all conversations lie side by side; each was typed where it was made.
type AnyConversation = Conversation<any, any>;

/** Columns instead of records: a request in flight then costs no object. */
export class Outstanding {
  /** At most so many at a time. */
  readonly limit: number;
  readonly requester: (ActorCell | undefined)[] = [];
  readonly incarnation: number[] = [];
  readonly correlation: number[] = [];
  readonly conversation: (AnyConversation | undefined)[] = [];
  /** The lane's position behind the request's frame: tells whether a dead receiver had taken it. */
  readonly position: number[] = [];
  private readonly generation: number[] = [];
  private readonly free: number[] = [];

  constructor(limit: number) {
    assert(limit <= INDEX_MASK + 1, 'an index of a request must fit its bits');
    this.limit = limit;
  }

  get size(): number {
    return this.requester.length - this.free.length;
  }

  get full(): boolean {
    return this.size >= this.limit;
  }

  /** Enters a request and gives its number, an unsigned 32-bit integer. Only if not full. */
  open(requester: ActorCell, incarnation: number, correlation: number, conversation: AnyConversation): number {
    const index = this.free.pop() ?? this.requester.length;
    if (index === this.generation.length) this.generation.push(0);
    this.requester[index] = requester;
    this.incarnation[index] = incarnation;
    this.correlation[index] = correlation;
    this.conversation[index] = conversation;
    this.position[index] = 0;
    return ((this.generation[index]! << INDEX_BITS) | index) >>> 0;
  }

  /** The index of an open request in the columns. */
  indexOf(id: number): number {
    return id & INDEX_MASK;
  }

  /** The index of a request in the columns, or −1 if it is no longer open. */
  find(id: number): number {
    const index = id & INDEX_MASK;
    const open = index < this.requester.length && this.requester[index] !== undefined;
    return open && this.generation[index] === id >>> INDEX_BITS ? index : -1;
  }

  /** Takes out the request at `index`. */
  close(index: number): void {
    this.requester[index] = undefined;
    this.conversation[index] = undefined;
    this.generation[index] = (this.generation[index]! + 1) & 0xffff;
    this.free.push(index);
  }
}
