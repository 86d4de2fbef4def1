/** What a put resolves with; its token is encoded when it is looked at. */
import { laterOf } from '../clocks/timestamp.js';
import type { SeenContext } from '../codec/context.js';
import type { KeyHash } from '../codec/key.js';
import { encodeToken } from '../codec/token.js';
import { receiptContext } from '../objects/mint.js';
import type { Receipt } from './api/results.js';
import type { PutOutcome } from './client-outcomes.js';

export interface ReceiptParts {
  readonly key: KeyHash;
  /** What the put was given. */
  readonly given: SeenContext;
  readonly outcome: PutOutcome & { readonly ok: true };
  readonly nodeNames: readonly string[];
}

export class PutReceipt implements Receipt {
  readonly #parts: ReceiptParts;
  #token: string | undefined;

  constructor(parts: ReceiptParts) {
    this.#parts = parts;
  }

  /** Covers what the put was given and this write, not the whole object: siblings that it never saw stay. */
  get causalContext(): string {
    if (this.#token !== undefined) return this.#token;
    const { key, given, outcome } = this.#parts;
    const earlier = outcome.attempts.slice(0, -1);
    const context = receiptContext(given.context, outcome.dot, earlier);
    this.#token = encodeToken(key, context, laterOf(given.highestTimestamp, outcome.timestamp));
    return this.#token;
  }

  get acks(): Receipt['acks'] {
    const { outcome, nodeNames } = this.#parts;
    return outcome.acks.map(({ node, role, durable }) => ({ node: nodeNames[node]!, role, durable }));
  }

  get hints(): Receipt['hints'] {
    const { outcome, nodeNames } = this.#parts;
    return outcome.hints.map(({ owner, holder }) => ({ owner: nodeNames[owner]!, holder: nodeNames[holder]! }));
  }

  toJSON(): object {
    return { causalContext: this.causalContext, acks: this.acks, hints: this.hints };
  }

  [Symbol.for('nodejs.util.inspect.custom')](): object {
    return this.toJSON();
  }
}
