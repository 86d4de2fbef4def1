/**
 * What a V8 profile of a thread says of where its time went, by step of an operation: each function belongs to the step of
 * its source file. Native code counts for the function of ours, or of lmdb's, that called it. Pure.
 */

/** The part of a `.cpuprofile` that is read. Times are in microseconds of the monotonic clock. */
export interface CpuProfile {
  readonly nodes: readonly { readonly id: number; readonly callFrame: { functionName: string; url: string } }[];
  readonly startTime: number;
  readonly samples: readonly number[];
  /** Before each sample, since the one before, or since `startTime`. */
  readonly timeDeltas: readonly number[];
}

/** Microseconds by step, without those in which the thread had nothing to do. */
export type Steps = Map<string, number>;

/** The first that is part of a function's address says what it belongs to. */
const STEPS: readonly (readonly [string, string])[] = [
  ['/lmdb/write.js', 'LMDB: write, commit'],
  ['/lmdb/', 'LMDB: read'],
  ['/src/storage/', 'storage layer'],
  ['/src/runtime/', 'turns, lanes, mailboxes'],
  ['/src/messages/', 'messages, to bytes and back'],
  ['/actors/coordinator', 'coordinator'],
  ['/src/quorum/', 'coordinator'],
  ['/src/admission/', 'coordinator'],
  ['/src/metrics/', 'coordinator'],
  ['/src/membership/', 'coordinator'],
  ['/actors/replica-tree', 'trees'],
  ['/src/anti-entropy/', 'trees'],
  ['/actors/', 'vnode'],
  ['/src/codec/', 'records, tokens, keys'],
  ['/src/clocks/', 'records, tokens, keys'],
  ['/src/objects/', 'records, tokens, keys'],
  ['/src/base/', 'records, tokens, keys'],
  ['xxhash-wasm', 'records, tokens, keys'],
  ['wasm:', 'records, tokens, keys'],
  ['/src/store/', 'calls, client, results'],
  ['/benchmarks/', 'the load itself'],
  ['node:', "node's event loop"],
];
const UNNAMED: Readonly<Record<string, string>> = {
  '(garbage collector)': 'collecting garbage',
  '(program)': 'native: system calls, waking, V8',
  '(root)': 'native: system calls, waking, V8',
};
const IDLE = '(idle)';

/** Of the samples from `fromUs` on and before `toUs`. */
export function stepsOf({ nodes, startTime, samples, timeDeltas }: CpuProfile, fromUs: number, toUs: number): Steps {
  const stepOfNode = new Map(nodes.map(({ id, callFrame }) => [id, stepOf(callFrame.functionName, callFrame.url)]));
  const steps: Steps = new Map();
  let at = startTime;
  for (const [place, node] of samples.entries()) {
    at += timeDeltas[place]!;
    // It stood there until the next sample.
    const tookUs = timeDeltas[place + 1] ?? 0;
    const step = stepOfNode.get(node);
    if (at < fromUs || at >= toUs || step === undefined) continue;
    steps.set(step, (steps.get(step) ?? 0) + tookUs);
  }
  return steps;
}

/** @returns undefined for idleness */
function stepOf(functionName: string, url: string): string | undefined {
  if (functionName === IDLE) return undefined;
  if (url === '') return UNNAMED[functionName] ?? 'built-in functions';
  return STEPS.find(([part]) => url.includes(part))?.[1] ?? 'other';
}

/** Adds what another thread did. */
export function addSteps(sum: Steps, more: Steps): void {
  for (const [step, us] of more) sum.set(step, (sum.get(step) ?? 0) + us);
}
