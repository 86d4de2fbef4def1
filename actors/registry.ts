/** The actors of a node, by slot: what a worker thread hosts, and what the simulator hosts. */
import { WriteGate } from '../src/admission/write-gate.js';
import { StorageFullError } from '../src/base/errors.js';
import { COORDINATOR_SLOT, vnodeSlot } from '../src/messages/addresses.js';
import { coordinatorConversation } from '../src/messages/coordinator-messages.js';
import { vnodeConversation } from '../src/messages/vnode-messages.js';
import type { NodeCounters } from '../src/metrics/node-counters.js';
import type { PreferenceList } from '../src/ring/preference-list.js';
import type { ActorHost } from '../src/runtime/actor.js';
import type { Storage } from '../src/storage/storage.js';
import { Coordinator } from './coordinator.js';
import type { NodeIdentity } from './node-identity.js';
import { Vnode } from './vnode.js';

/** What a node's actors are made from. */
export interface NodeEnvironment {
  /** The node's index in the ring. */
  readonly node: number;
  /** By partition, its preference list: the nodes of the primaries, and of the fallbacks behind them. */
  readonly preferenceLists: readonly PreferenceList[];
  readonly objects: Storage;
  readonly system: Storage;
  readonly identity: NodeIdentity;
  readonly counters: NodeCounters;
  readonly maxOperations: number;
  readonly maxSiblings: number;
  readonly maxObjectBytes: number;
}

/** Puts the node's actors onto `host`: its coordinator, and a vnode for each partition of which it is a primary. */
export function spawnNode(host: ActorHost, environment: NodeEnvironment): void {
  const { node, preferenceLists, objects, identity, counters, maxOperations, maxSiblings, maxObjectBytes } =
    environment;
  host.addCommitter(environment.system);
  const gate = new WriteGate();
  host.addCommitter(objects, (failure) => {
    if (failure === undefined) gate.commitEnded(undefined);
    else gate.commitEnded(failure.cause instanceof StorageFullError ? 'full' : 'failed');
  });
  preferenceLists.forEach(({ primaries }, partition) => {
    if (!primaries.includes(node)) return;
    host.spawn(
      vnodeSlot(partition),
      vnodeConversation,
      (context) => new Vnode({ partition, objects, identity, counters, gate, maxSiblings, maxObjectBytes }, context),
    );
  });
  host.spawn(
    COORDINATOR_SLOT,
    coordinatorConversation,
    () => new Coordinator({ node, preferenceLists, maxOperations, counters }),
    { mailbox: maxOperations },
  );
}
