/** What a put resolves with; its token is encoded when it is looked at. */
import type { Dot, EventId } from '../clocks/event-id.js';
import { laterOf, type Timestamp } from '../clocks/timestamp.js';
import type { SeenContext } from '../codec/context.js';
import type { KeyHash } from '../codec/key.js';
import { encodeToken } from '../codec/token.js';
import { receiptContext } from '../objects/mint.js';
import type { Receipt } from './api.js';

export interface ReceiptParts {
  readonly key: KeyHash;
  /** What the put was given. */
  readonly given: SeenContext;
  readonly dot: Dot;
  readonly timestamp: Timestamp;
  /** Earlier attempts of this put. */
  readonly earlier: readonly EventId[];
  readonly acks: Receipt['acks'];
}

export class PutReceipt implements Receipt {
  readonly acks: Receipt['acks'];
  readonly hints: Receipt['hints'] = [];
  readonly #parts: ReceiptParts;
  #token: string | undefined;

  constructor(parts: ReceiptParts) {
    this.#parts = parts;
    this.acks = parts.acks;
  }

  /** Covers what the put was given and this write, not the whole object: siblings that it never saw stay. */
  get causalContext(): string {
    const { key, given, dot, timestamp, earlier } = this.#parts;
    this.#token ??= encodeToken(
      key,
      receiptContext(given.context, dot, earlier),
      laterOf(given.highestTimestamp, timestamp),
    );
    return this.#token;
  }

  toJSON(): object {
    return { causalContext: this.causalContext, acks: this.acks, hints: this.hints };
  }

  [Symbol.for('nodejs.util.inspect.custom')](): object {
    return this.toJSON();
  }
}
