/** A client actor whose outcomes are promises: how tests ask actors of other threads. */
import type { Actor, ActorContext, ActorRef, Failure } from '../../../src/runtime/actor.js';
import { refAt } from '../../../src/runtime/actor.js';
import type { Link } from '../../../src/runtime/threads/link.js';
import type { ThreadHost } from '../../../src/runtime/threads/thread-host.js';
import type { Ask, Told } from './echo.js';
import { ECHO, ECHO_SLOT } from './echo.js';

export interface Answered {
  readonly told: Told;
  readonly notices: readonly Told[];
}

export type Outcome = Answered | { readonly failure: Failure };

/** The answer of an outcome; throws if it is a failure. */
export function told(outcome: Outcome): Answered {
  if ('failure' in outcome) throw new Error(`expected an answer, got ${outcome.failure}`);
  return outcome;
}

/** Counts outcomes by their kind: 'told', or the failure. */
export function tally(outcomes: readonly Outcome[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const outcome of outcomes) {
    const kind = 'failure' in outcome ? outcome.failure : 'told';
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}

interface Waiting {
  readonly notices: Told[];
  readonly resolve: (outcome: Outcome) => void;
}

export class Asker implements Actor<never, never, Told> {
  private readonly waiting = new Map<number, Waiting>();
  private context: ActorContext | undefined = undefined;
  private host: ThreadHost | undefined = undefined;
  private next = 0;
  /** Outcomes that nobody waited for: a second one, or one of nobody's. */
  strays = 0;

  /** Puts an asker into `slot` of `host`. */
  static async on(host: ThreadHost, slot = 0): Promise<Asker> {
    const asker = new Asker();
    asker.host = host;
    await new Promise<void>((resolve) => {
      host.spawn(slot, { ...ECHO } as never, (context) => {
        asker.context = context;
        resolve();
        return asker;
      });
    });
    return asker;
  }

  receive(): void {
    throw new Error('an asker is not asked');
  }

  answered(correlation: number, told: Told, interim: boolean): void {
    const waiting = this.waiting.get(correlation);
    if (waiting === undefined) this.strays++;
    else if (interim) waiting.notices.push(told);
    else this.settle(correlation, { told, notices: waiting.notices });
  }

  failed(correlation: number, failure: Failure): void {
    this.settle(correlation, { failure });
  }

  get open(): number {
    return this.waiting.size;
  }

  ask(thread: number, ask: Partial<Ask>, slot = ECHO_SLOT): Promise<Outcome> {
    const whole: Ask = { verb: 'echo', number: 0, body: new Uint8Array(0), ...ask };
    const to: ActorRef<Ask, Told> = refAt(ECHO, thread, slot);
    return new Promise((resolve) => {
      const correlation = this.next++;
      this.waiting.set(correlation, { notices: [], resolve });
      this.host!.outside(() => this.context!.request(to, whole, correlation));
    });
  }

  /** Resolves once `thread` has taken what it was asked. Looks into the lane: nothing else tells while it hangs. */
  async taken(thread: number): Promise<void> {
    const { links } = this.host as unknown as { links: { links: Link[] } };
    const { writer } = links.links[thread]!;
    while (!writer.taken(writer.position)) await new Promise(setImmediate);
  }

  private settle(correlation: number, outcome: Outcome): void {
    const waiting = this.waiting.get(correlation);
    this.waiting.delete(correlation);
    if (waiting === undefined) this.strays++;
    else waiting.resolve(outcome);
  }
}
