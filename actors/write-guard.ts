/**
 * How an actor that writes for clients refuses them while its storage fails, and finds out when it is well again: what a
 * vnode and a hint keeper have in common. When writes may pass is decided in `src/admission/write-gate.ts`.
 */
import type { WriteGate } from '../src/admission/write-gate.js';
import type { VnodeAnswer } from '../src/messages/vnode-messages.js';
import type { NodeCounters } from '../src/metrics/node-counters.js';
import type { ActorContext, Incoming } from '../src/runtime/actor.js';

export interface WriteGuardOptions {
  /** Of the storage: shut while its commits fail. */
  readonly gate: WriteGate;
  readonly counters: NodeCounters;
  /** Writes something of no client's, which tells whether anything can be stored. */
  writeProbe(): void;
}

/** What a probe is: a few pages, as a turn writes. */
export const PROBE_VALUE = new Uint8Array(16_384);
const NEXT_PROBE = 'probe';

export class WriteGuard {
  private readonly options: WriteGuardOptions;

  constructor(options: WriteGuardOptions) {
    this.options = options;
  }

  /** True if nothing can be stored here now: the write has had its answer, and is certain not to be here. */
  refuses(incoming: Incoming<VnodeAnswer>, context: ActorContext): boolean {
    const { gate, counters } = this.options;
    if (gate.open) return false;
    this.probe(context);
    counters.writesRefused++;
    context.reply(incoming, { type: 'no-storage', full: gate.full });
    return true;
  }

  /** Probes if that is due, and sets its actor's timer for the next one. To be called when a commit failed, and then. */
  probe(context: ActorContext): void {
    const { gate } = this.options;
    if (!gate.probeDue(context.now())) return;
    this.options.writeProbe();
    context.after(gate.nextProbeMs, NEXT_PROBE);
  }
}
