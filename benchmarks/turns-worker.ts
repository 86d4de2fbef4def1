/** The entry of a node's thread that measures its turns: `actors/worker`, with a clock around each turn and its commit. */
import { BroadcastChannel } from 'node:worker_threads';
import { Histogram } from '../src/metrics/histogram.js';
import { CommitStage } from '../src/runtime/threads/commit-stage.js';
import { ThreadHost } from '../src/runtime/threads/thread-host.js';
import { TURNS_CHANNEL, type Turns, type TurnsOrder } from './turns-channel.js';

/** A turn that finds nothing to commit takes less. */
const LEAST_COMMIT_MS = 0.05;

let turns = new Histogram();
let commits = new Histogram();
let beganMs = 0;
let inTurnsMs = 0;
let inCommitsMs = 0;

const { turn } = ThreadHost.prototype;
ThreadHost.prototype.turn = function (this: ThreadHost): void {
  const before = performance.now();
  turn.call(this);
  const took = performance.now() - before;
  turns.record(took);
  inTurnsMs += took;
};

const { endTurn } = CommitStage.prototype;
CommitStage.prototype.endTurn = function (this: CommitStage): void {
  const before = performance.now();
  endTurn.call(this);
  const took = performance.now() - before;
  if (took < LEAST_COMMIT_MS) return;
  commits.record(took);
  inCommitsMs += took;
};

const channel = new BroadcastChannel(TURNS_CHANNEL);
channel.unref();
channel.onmessage = (event) => {
  // What the other nodes tell is heard, too.
  const order = (event as { data: unknown }).data as TurnsOrder | Turns;
  if (order === 'begin') {
    turns = new Histogram();
    commits = new Histogram();
    inTurnsMs = 0;
    inCommitsMs = 0;
    beganMs = performance.now();
  } else if (order === 'tell') {
    const elapsedMs = performance.now() - beganMs;
    const told: Turns = { turns: turns.data(), commits: commits.data(), elapsedMs, inTurnsMs, inCommitsMs };
    channel.postMessage(told);
  }
};

await import('../actors/worker.js');
