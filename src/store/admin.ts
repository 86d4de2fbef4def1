/**
 * Acts of administration: what they are given is checked here, and how long they may take. Who carries them out differs:
 * the thread that has the nodes, or that thread for another which has attached.
 */
import { InvalidArgumentError } from '../base/errors.js';
import type { ComparedPairs, HintStatus, ReapedPartitions, RebuiltTrees } from '../messages/node-control.js';
import type { PreferenceList } from '../ring/preference-list.js';
import type { Member } from '../ring/ring.js';
import type { CallOptions } from './api/call-options.js';
import type { Admin } from './api/store.js';
import { within } from './deadline.js';
import { ExchangeWait } from './exchange-wait.js';
import { HintWait } from './hint-wait.js';
import { checkPause, show } from './options.js';
import { ReapWait } from './reap-wait.js';
import { RebuildWait } from './rebuild-wait.js';

/** What is done to nodes, which are given by their indexes. A type, not an interface: the control plane passes it. */
export type NodeActs = {
  stop(node: number): Promise<void>;
  start(node: number): Promise<void>;
  crash(node: number): Promise<void>;
  pause(node: number, ms: number): Promise<void>;
  split(nodes: number[]): Promise<void>;
  heal(): Promise<void>;
  /** Rejects if the node dies meanwhile. */
  hints(node: number): Promise<HintStatus>;
  /** As `NodeControl.compare`. Rejects if the node dies meanwhile. */
  compare(node: number, session: number, call: number): Promise<ComparedPairs>;
  /** As `NodeControl.rebuild`. Rejects if the node dies meanwhile. */
  rebuild(node: number, session: number, call: number): Promise<RebuiltTrees>;
  /** As `NodeControl.reap`. Rejects if the node dies meanwhile. */
  reap(node: number, session: number, call: number): Promise<ReapedPartitions>;
};

/** What is known of the nodes where the acts are asked for. */
export interface Nodes {
  readonly members: readonly Member[];
  readonly preferenceLists: readonly Pick<PreferenceList, 'primaries'>[];
  /** @throws {ClosedError} */
  refuseIfClosed(): void;
  isUp(node: number): boolean;
  /** How many hints the node keeps; of one that is down, how many it kept. */
  hintsOn(node: number): number;
}

export function adminOf(acts: NodeActs, nodes: Nodes): Admin {
  const { members } = nodes;
  const all = members.map((_, node) => node);
  const indexOf = (name: string): number => {
    nodes.refuseIfClosed();
    const node = members.findIndex((member) => member.name === name);
    if (node !== -1) return node;
    const names = members.map((member) => member.name).join(', ');
    throw new InvalidArgumentError(`there is no node ${show(name)}; the nodes are ${names}`);
  };
  const sideOf = (names: readonly string[]): number[] => {
    if (!Array.isArray(names)) throw new InvalidArgumentError(`a split takes a list of nodes, not ${show(names)}`);
    const side = new Set(names.map(indexOf));
    if (side.size > 0 && side.size < members.length) return [...side];
    throw new InvalidArgumentError(`a split cuts some nodes off from others, not ${show(names)}`);
  };
  const names = (some: readonly number[]) => some.map((node) => members[node]?.name ?? `#${node}`).join(', ');
  const isUp = (node: number): boolean => {
    nodes.refuseIfClosed();
    return nodes.isUp(node);
  };
  return {
    stop: (node, options = {}) =>
      within(options, `the stop of node ${show(node)}`, async () => acts.stop(indexOf(node))),
    start: (node, options = {}) =>
      within(options, `the start of node ${show(node)}`, async () => acts.start(indexOf(node))),
    crash: (node, options = {}) =>
      within(options, `the crash of node ${show(node)}`, async () => acts.crash(indexOf(node))),
    pause: (node, ms, options = {}) =>
      within(options, `the pause of node ${show(node)}`, async () => acts.pause(indexOf(node), checkPause(ms))),
    split: (names, options = {}) =>
      within(options, `the split of nodes ${show(names)}`, async () => acts.split(sideOf(names))),
    heal: (options = {}) =>
      within(options, 'the healing of splits', async () => {
        nodes.refuseIfClosed();
        await acts.heal();
      }),
    waitForHints: async (options = {}) => {
      const wait = new HintWait({
        nodes: members.length,
        isUp,
        hintsOn: (node) => nodes.hintsOn(node),
        ask: (node) => acts.hints(node),
      });
      const what = () => {
        const { holders, owners } = wait.awaited;
        const whose = owners.length > 0 ? ` for ${names(owners)}` : '';
        return `the delivery of the hints that ${names(holders)} may keep${whose}`;
      };
      await untilDone(options, what, wait);
    },
    waitForExchange: async (options = {}) => {
      const { preferenceLists } = nodes;
      const ask = acts.compare.bind(acts);
      const wait = new ExchangeWait({ nodes: all, preferenceLists, isUp, ask });
      const what = () => {
        const { pairs, nodes: whose } = wait.awaited;
        return `the comparison of ${pairs} pairs of replicas of ${names(whose)}`;
      };
      await untilDone(options, what, wait);
    },
    rebuildTrees: async (name, options = {}) => {
      const node = indexOf(name);
      const wait = new RebuildWait({ nodes: [node], isUp, ask: acts.rebuild.bind(acts) });
      const what = () => `the building of ${wait.left ?? 'all'} Merkle trees of node ${show(name)}`;
      await untilDone(options, what, wait);
    },
    waitForReaping: async (options = {}) => {
      const partitions = nodes.preferenceLists.length;
      const wait = new ReapWait({ nodes: all, partitions, isUp, ask: acts.reap.bind(acts) });
      await untilDone(options, () => `the reaping of what may go in ${wait.awaited} partitions`, wait);
    },
  };
}

/** Waits in time; nobody goes on asking for one who has given up. @param what - names it in the error */
async function untilDone(
  options: CallOptions,
  what: () => string,
  wait: { done(): Promise<void>; stop(): void },
): Promise<void> {
  try {
    await within(options, what, () => wait.done());
  } finally {
    wait.stop();
  }
}
