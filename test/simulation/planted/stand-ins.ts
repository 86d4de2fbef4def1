/** Mistakes of fallbacks that mint, that answer reads, and that hold hints for a node which has left: told as stories. */
import { ownerOf } from '../../../src/hinted-handoff/hint-key.js';
import { coordinatorConversation } from '../../../src/messages/coordinator-messages.js';
import { hintConversation } from '../../../src/messages/hint-messages.js';
import type { VnodeAnswer } from '../../../src/messages/vnode-messages.js';
import type { ActorContext } from '../../../src/runtime/actor.js';
import { locate } from '../../../src/simulation/simulated-client.js';
import type { SimulatedCluster } from '../../../src/simulation/simulated-cluster.js';
import { TappedActor } from '../../../src/simulation/tapped-host.js';
import type { Storage } from '../../../src/storage/storage.js';
import { plantHints } from '../../support/planted-hints.js';
import { type HintStory, isDelivered } from './hints.js';
import { SameDraws } from './identity.js';
import { tapOf } from './plant.js';

const KEY = 'cart';
const PARTITIONS = 16;
const N = 3;
/** A correlation is a ticket and a place below this. */
const PLACES = 64;
/** Of a node that is not in the ring. */
const DEPARTED = 9;

/** Takes a stand-in's nothing for that of the first primary. */
class TrustsStandIns extends TappedActor<unknown, unknown, VnodeAnswer> {
  override answered(correlation: number, answer: VnodeAnswer, interim: boolean, context: ActorContext): void {
    super.answered(correlation, answer, interim, context);
    const place = correlation % PLACES;
    if (answer.type === 'nothing' && place >= N) super.answered(correlation - place, answer, interim, context);
  }
}

/** A storage that begins without the hints of those who have left. */
function withoutDeparted(inner: Storage): Storage {
  const ofDeparted = inner.range({ limit: Number.POSITIVE_INFINITY }).filter(({ key }) => isHintOf(key, DEPARTED));
  for (const { key } of ofDeparted) inner.remove(key);
  return inner;
}

function isHintOf(key: Uint8Array, owner: number): boolean {
  return key.length > 8 && ownerOf(key) === owner;
}

/** A put while no primary is up; then the primaries have it, and are all down again. */
function putOnStandIns(cluster: SimulatedCluster, value: string): boolean {
  const primaries = cluster.primariesOf(KEY);
  for (const name of primaries) cluster.crashNode(name);
  cluster.runFor(50);
  const put = cluster.settle(cluster.put(KEY, value, { timeoutMs: 2_000 }));
  if (put.end?.type !== 'acknowledged') throw new Error(`not acknowledged: ${JSON.stringify(put.end)}`);
  for (const name of primaries) cluster.startNode(name);
  cluster.runFor(50);
  return isDelivered(cluster);
}

export const STAND_IN_STORIES: readonly HintStory[] = [
  {
    planted: {
      name: 'a fallback that mints by an id of its node, not of the hint',
      nodes: (node) => tapOf(hintConversation.name, { context: (inner) => new SameDraws(inner, 2_000 + node) }),
    },
    sync: 'full',
    tell(cluster) {
      for (const value of ['milk', 'bread']) if (!putOnStandIns(cluster, value)) return false;
      const kept = cluster.primariesOf(KEY).every((name) => cluster.replica(name).values(KEY).length === 2);
      return kept && cluster.history.contradictions.length === 0;
    },
  },
  {
    planted: {
      name: "a fallback's not-found counted alone",
      nodes: () =>
        tapOf(coordinatorConversation.name, { actor: (inner, context) => new TrustsStandIns(inner, context) }),
    },
    sync: 'full',
    tell(cluster) {
      const put = cluster.settle(cluster.put(KEY, 'milk', { w: 3 }));
      if (put.end?.type !== 'acknowledged') throw new Error(`not acknowledged: ${JSON.stringify(put.end)}`);
      for (const name of cluster.primariesOf(KEY)) cluster.crashNode(name);
      cluster.runFor(50);
      const get = cluster.settle(cluster.get(KEY, { r: 2, timeoutMs: 300 }));
      return get.end?.type === 'failed';
    },
  },
  {
    planted: { name: "a departed owner's hints dropped", hints: withoutDeparted },
    sync: 'full',
    tell(cluster) {
      const [holder] = cluster.names.filter((name) => !cluster.primariesOf(KEY).includes(name));
      cluster.stopNode(holder!);
      cluster.runFor(50);
      const storage = cluster.simulator.disk(cluster.nodeOf(holder!), 'hints', { sync: 'full' }).open();
      plantHints(storage, DEPARTED, [locate(KEY, PARTITIONS)]);
      cluster.startNode(holder!);
      if (!isDelivered(cluster)) return false;
      return cluster.primariesOf(KEY).every((name) => cluster.replica(name).object(KEY) !== undefined);
    },
  },
];
