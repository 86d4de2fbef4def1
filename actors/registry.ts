/** The actors of a node, by slot: what a worker thread hosts, and what the simulator hosts. */
import { BackgroundBudget } from '../src/admission/background-budget.js';
import { WriteGate } from '../src/admission/write-gate.js';
import type { ReapLimits } from '../src/anti-entropy/reaping.js';
import type { ExchangeWindow } from '../src/anti-entropy/schedule.js';
import { StorageFullError } from '../src/base/errors.js';
import {
  COORDINATOR_SLOT,
  EXCHANGER_SLOT,
  HINT_DELIVERER_SLOT,
  HINT_KEEPER_SLOT,
  REAPER_SLOT,
  vnodeSlot,
} from '../src/messages/addresses.js';
import { coordinatorConversation } from '../src/messages/coordinator-messages.js';
import { exchangeConversation } from '../src/messages/exchange-messages.js';
import { hintDeliveryConversation } from '../src/messages/hint-delivery-messages.js';
import { hintConversation } from '../src/messages/hint-messages.js';
import { reapConversation } from '../src/messages/reap-messages.js';
import { vnodeConversation } from '../src/messages/vnode-messages.js';
import type { HotKeys } from '../src/metrics/hot-keys.js';
import type { NodeCounters } from '../src/metrics/node-counters.js';
import type { OperationLatencies } from '../src/metrics/operation-latencies.js';
import type { PreferenceList } from '../src/ring/preference-list.js';
import type { ActorHost } from '../src/runtime/actor.js';
import type { Storage } from '../src/storage/storage.js';
import { Arrears } from './arrears.js';
import { Coordinator } from './coordinator.js';
import type { ExchangeRecord } from './exchange-record.js';
import { Exchanger } from './exchanger.js';
import { NodeFences } from './fence.js';
import { HintDeliverer } from './hint-deliverer.js';
import { HintKeeper } from './hint-keeper.js';
import type { HintStore } from './hint-store.js';
import type { NodeIdentity } from './node-identity.js';
import type { OnUnreadable } from './own-records.js';
import { PutWarnings } from './put-warnings.js';
import type { ReapRecord } from './reap-record.js';
import { Reaper } from './reaper.js';
import type { ReplicaTrees } from './replica-trees.js';
import { Vnode } from './vnode.js';

/** How a node's replicas are compared with those of others. */
export interface ExchangeEnvironment {
  /** Every pair of replicas is compared at least so often, in milliseconds. */
  readonly intervalMs: number;
  /** Undefined: at all times of the day. */
  readonly window: ExchangeWindow | undefined;
  readonly trees: ReplicaTrees;
  readonly record: ExchangeRecord;
  /** Undefined: tombstones stay. */
  readonly reaping: ReapingEnvironment | undefined;
}

/** How tombstones are reaped. */
export interface ReapingEnvironment {
  readonly limits: ReapLimits;
  readonly record: ReapRecord;
}

/** What a node's actors are made from. */
export interface NodeEnvironment {
  /** The node's index in the ring. */
  readonly node: number;
  /** By partition, its preference list: the nodes of the primaries, and of the fallbacks behind them. */
  readonly preferenceLists: readonly PreferenceList[];
  readonly objects: Storage;
  readonly system: Storage;
  readonly hints: HintStore;
  readonly identity: NodeIdentity;
  /** True if a flush, or each commit, makes objects durable. */
  readonly canBeDurable: boolean;
  /** True for the first start of the node in its store's life: nobody can have stood in for it. */
  readonly isNew: boolean;
  readonly counters: NodeCounters;
  readonly latencies: OperationLatencies;
  readonly hotKeys: HotKeys;
  readonly maxOperations: number;
  readonly maxSiblings: number;
  readonly maxObjectBytes: number;
  /** Undefined: they are not compared. */
  readonly exchange: ExchangeEnvironment | undefined;
  readonly onUnreadable: OnUnreadable;
  /** Tells the operator of something that he should know. */
  readonly report: (what: string, error: Error) => void;
}

/**
 * Puts the node's actors onto `host`: its coordinator, hint keeper, hint deliverer, exchanger and reaper, and a vnode for
 * each partition of which it is a primary.
 */
export function spawnNode(host: ActorHost, environment: NodeEnvironment): void {
  const { node, preferenceLists, objects, hints, maxOperations, exchange } = environment;
  const { onUnreadable } = environment;
  const fences = new NodeFences(environment.system, environment.isNew || exchange?.reaping === undefined, onUnreadable);
  host.addCommitter(environment.system, (failure) => fences.commitEnded(failure));
  const gate = new WriteGate();
  host.addCommitter(objects, (failure) => {
    if (failure === undefined) gate.commitEnded(undefined);
    else gate.commitEnded(failure.cause instanceof StorageFullError ? 'full' : 'failed');
    countDisks(environment, gate);
  });
  host.addCommitter(hints, (failure) => {
    hints.commitEnded(failure);
    countDisks(environment, gate);
  });
  const budget = new BackgroundBudget();
  const others = preferenceLists.some(({ primaries, fallbacks }) => primaries.length + fallbacks.length > 1);
  const arrears = new Arrears({
    hintsMayWait: !environment.isNew,
    refilling: environment.identity.refilling,
    // Only a round of reaping, or those who take part in it, could tell.
    mayBeOld: others && !environment.isNew && exchange?.reaping !== undefined,
  });
  const trees = exchange?.trees;
  const warnings = new PutWarnings(environment);
  preferenceLists.forEach(({ primaries }, partition) => {
    if (!primaries.includes(node)) return;
    host.spawn(
      vnodeSlot(partition),
      vnodeConversation,
      (context) => new Vnode({ ...environment, partition, fences, gate, arrears, trees, warnings }, context),
    );
  });
  host.spawn(COORDINATOR_SLOT, coordinatorConversation, () => new Coordinator({ ...environment, budget }), {
    mailbox: maxOperations,
  });
  const keeper = { ...environment, arrears, warnings };
  host.spawn(HINT_KEEPER_SLOT, hintConversation, (context) => new HintKeeper(keeper, context), {
    mailbox: maxOperations,
  });
  host.spawn(
    HINT_DELIVERER_SLOT,
    hintDeliveryConversation,
    () => new HintDeliverer({ ...environment, arrears, budget }),
  );
  if (exchange === undefined) return;
  host.spawn(
    EXCHANGER_SLOT,
    exchangeConversation,
    (context) => new Exchanger({ ...environment, ...exchange, budget }, context),
  );
  const { record: exchanges, reaping } = exchange;
  if (reaping === undefined) return;
  host.spawn(
    REAPER_SLOT,
    reapConversation,
    (context) => new Reaper({ ...environment, ...reaping, fences, exchanges, arrears, budget }, context),
  );
}

/** What `stats()` is to tell of the disks of a node: whether it refuses writes for them. */
function countDisks({ counters, hints }: NodeEnvironment, gate: WriteGate): void {
  counters.diskFull = isShut(gate, true) || isShut(hints.gate, true) ? 1 : 0;
  counters.diskFailing = isShut(gate, false) || isShut(hints.gate, false) ? 1 : 0;
}

function isShut(gate: WriteGate, full: boolean): boolean {
  return !gate.open && gate.full === full;
}
