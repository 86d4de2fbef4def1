/** What attacks reaping, and mistakes that would let it succeed; all planted from outside, without a line in the actors. */
import type { ReapAnswer } from '../../../src/anti-entropy/reaping.js';
import { isSoundRecord } from '../../../src/codec/record.js';
import { deadFromMsIn, reducedRecord } from '../../../src/codec/record-update.js';
import { coordinatorConversation } from '../../../src/messages/coordinator-messages.js';
import { type ReaperAnswer, type ReapRequest, reapConversation } from '../../../src/messages/reap-messages.js';
import { type VnodeAnswer, type VnodeRequest, vnodeConversation } from '../../../src/messages/vnode-messages.js';
import {
  type ActorContext,
  type ActorRef,
  type Failure,
  type Incoming,
  type Release,
  type TimerId,
  threadOf,
} from '../../../src/runtime/actor.js';
import { type Tap, TappedActor, TappedContext } from '../../../src/simulation/tapped-host.js';
import type { Storage } from '../../../src/storage/storage.js';
import { tapOf } from './plant.js';

/** What all messages have in common, and rounds of reaping have. */
interface Spoken {
  readonly type: string;
  readonly ask?: { readonly type: string };
}

/** What was to be sent and is held back: in flight for as long as a story wants. */
export class InFlight {
  /** Which requests are held back; undefined: none. */
  holds: ((node: number, message: Spoken) => boolean) | undefined;
  /** True: they are sent when their actor next acts. */
  released = false;
  /** What becomes of a message that is sent at last. */
  readonly atSend: (message: VnodeRequest) => VnodeRequest;
  private count = 0;

  constructor(atSend: (message: VnodeRequest) => VnodeRequest = (message) => message) {
    this.atSend = atSend;
  }

  get held(): number {
    return this.count;
  }

  tap(conversation: string): Tap {
    return tapOf(conversation, { context: (inner) => this.of(inner) });
  }

  /** Of one actor. */
  of(inner: ActorContext): ActorContext {
    return new Holding(inner, this);
  }

  noteHeld(change: number): void {
    this.count += change;
  }
}

class Holding extends TappedContext {
  private readonly flight: InFlight;
  private kept: (() => void)[] = [];

  constructor(inner: ActorContext, flight: InFlight) {
    super(inner);
    this.flight = flight;
  }

  override request<Request, Answer>(to: ActorRef<Request, Answer>, message: Request, correlation: number): void {
    this.sendReleased();
    const { flight } = this;
    const spoken = message as VnodeRequest;
    if (flight.holds?.(threadOf(to.place), spoken) !== true) {
      super.request(to, message, correlation);
      return;
    }
    flight.noteHeld(1);
    this.kept.push(() => {
      flight.noteHeld(-1);
      super.request(to, flight.atSend(spoken) as Request, correlation);
    });
  }

  override reply<Answer>(incoming: Incoming<Answer>, answer: Answer, release?: Release): void {
    this.sendReleased();
    super.reply(incoming, answer, release);
  }

  override after(delayMs: number, message: unknown): TimerId {
    this.sendReleased();
    return super.after(delayMs, message);
  }

  private sendReleased(): void {
    if (!this.flight.released || this.kept.length === 0) return;
    const { kept } = this;
    this.kept = [];
    for (const send of kept) send();
  }
}

/** For whom no time passes while it is stopped. */
export class StoppedClock {
  isStopped = false;

  tap(inner: ActorContext): ActorContext {
    return new Timeless(inner, this);
  }
}

class Timeless extends TappedContext {
  private readonly clock: StoppedClock;
  private last = 0;

  constructor(inner: ActorContext, clock: StoppedClock) {
    super(inner);
    this.clock = clock;
  }

  override now(): number {
    if (!this.clock.isStopped) this.last = super.now();
    return this.last;
  }
}

/** Both taps, one around the other. */
export function both(first: Tap, second: Tap): Tap {
  return {
    context: (conversation, slot, inner) =>
      second.context(conversation, slot, first.context(conversation, slot, inner)),
    actor: (conversation, make, context) => {
      const inner = first.actor === undefined ? make : () => first.actor!(conversation, make, context);
      return second.actor === undefined ? inner(context) : second.actor(conversation, inner, context);
    },
  };
}

/** Above every floor. */
const HIGHEST = 2 ** 40;
export const highestTag = (message: VnodeRequest): VnodeRequest => {
  if (message.type === 'write') return { ...message, tag: HIGHEST };
  if (message.type !== 'hand-off') return message;
  return { ...message, entries: message.entries.map((entry) => ({ ...entry, tag: HIGHEST })) };
};

/** Takes whatever comes. */
class TakesAnyTag extends TappedActor<VnodeRequest, VnodeAnswer, unknown> {
  override receive(message: VnodeRequest, incoming: Incoming<VnodeAnswer>, context: ActorContext): void {
    super.receive(highestTag(message), incoming, context);
  }
}

export const NO_FENCE: Tap = tapOf(vnodeConversation.name, {
  actor: (inner, context) => new TakesAnyTag(inner, context),
});

/** Counts a refusal for an acknowledgement. */
class CountsRefusals extends TappedActor<unknown, unknown, VnodeAnswer> {
  override answered(correlation: number, answer: VnodeAnswer, interim: boolean, context: ActorContext): void {
    const heard: VnodeAnswer = answer.type === 'stale-fence' ? { type: 'wrote', durable: true } : answer;
    super.answered(correlation, heard, interim, context);
  }
}

export const COUNTS_STALE: Tap = tapOf(coordinatorConversation.name, {
  actor: (inner, context) => new CountsRefusals(inner, context),
});

/** Does without the hints of those who do not answer. */
class SkipsCensus extends TappedContext {
  readonly asks = new Map<number, ReapRequest>();

  override request<Request, Answer>(to: ActorRef<Request, Answer>, message: Request, correlation: number): void {
    this.asks.set(correlation, message as ReapRequest);
    super.request(to, message, correlation);
  }
}

class IsNeverRefused extends TappedActor<unknown, unknown, ReapAnswer> {
  override failed(correlation: number, failure: Failure, context: ActorContext): void {
    const message = (this.context as SkipsCensus).asks.get(correlation);
    if (message?.type !== 'reap') super.failed(correlation, failure, context);
    else if (message.ask.type === 'census') super.answered(correlation, { type: 'clear' }, false, context);
    else if (message.ask.type === 'ask') {
      const ready: ReapAnswer = { type: 'ready', ringVersion: 1, pendingOwner: false, tag: 0, floor: 0 };
      super.answered(correlation, ready, false, context);
    } else super.failed(correlation, failure, context);
  }
}

export const NO_CENSUS: Tap = tapOf(reapConversation.name, {
  context: (inner) => new SkipsCensus(inner),
  actor: (inner, context) => new IsNeverRefused(inner, context),
});

/** Does not hear how the fences of others stand. */
class Believes extends TappedActor<unknown, unknown, { type: string }> {
  override answered(correlation: number, answer: { type: string }, interim: boolean, context: ActorContext): void {
    super.answered(correlation, answer.type === 'fences' ? { type: 'clear' } : answer, interim, context);
  }
}

export const NO_INQUIRY: Tap = tapOf(reapConversation.name, {
  actor: (inner, context) => new Believes(inner, context),
});

/** Knows of no life of another node but the present one. */
class RemembersNoLife extends TappedActor<unknown, unknown, ReaperAnswer> {
  override answered(correlation: number, answer: ReaperAnswer, interim: boolean, context: ActorContext): void {
    const told = answer.type === 'fences' ? { ...answer, laterLife: 0 } : answer;
    super.answered(correlation, told, interim, context);
  }
}

export const NO_LIVES: Tap = tapOf(reapConversation.name, {
  actor: (inner, context) => new RemembersNoLife(inner, context),
});

/** A storage that shows its records as somebody makes them once their time has come; undefined: not at all. */
abstract class Altered {
  begun = false;

  readonly tap = (inner: Storage): Storage =>
    new Proxy(inner, {
      get: (target, name) => {
        if (name === 'get') return (key: Uint8Array) => this.shown(target.get(key));
        if (name === 'range') {
          return (options: Parameters<Storage['range']>[0]) =>
            target.range(options).flatMap(({ key, value }) => {
              const shown = this.shown(value);
              return shown === undefined ? [] : [{ key, value: shown }];
            });
        }
        const member: unknown = Reflect.get(target, name, target);
        return typeof member === 'function' ? member.bind(target) : member;
      },
    });

  protected abstract alter(record: Uint8Array): Uint8Array | undefined;

  private shown(record: Uint8Array | undefined): Uint8Array | undefined {
    if (!this.begun || record === undefined || !isSoundRecord(record)) return record;
    return this.alter(record);
  }
}

/** A replica that forgets deletions by itself, once it is told that their time has come. */
export class ForgetsByItself extends Altered {
  protected override alter(record: Uint8Array): Uint8Array | undefined {
    return deadFromMsIn(record) < Number.POSITIVE_INFINITY ? undefined : record;
  }
}

/** A replica that reduces contexts by itself, without a round. */
export class ReducesByItself extends Altered {
  protected override alter(record: Uint8Array): Uint8Array {
    return reducedRecord(record, false);
  }
}
