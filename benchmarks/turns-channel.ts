/** What the nodes' threads of `npm run bench -- turns` are told, and tell, by a BroadcastChannel. */
import type { HistogramData } from '../src/metrics/histogram.js';

export const TURNS_CHANNEL = 'quoral turns';

/** To count from now on; to tell what was counted. */
export type TurnsOrder = 'begin' | 'tell';

/** What a node's thread did since it was told to begin. */
export interface Turns {
  readonly turns: HistogramData;
  /** Of the turns that had something to commit. */
  readonly commits: HistogramData;
  readonly elapsedMs: number;
  readonly inTurnsMs: number;
  readonly inCommitsMs: number;
}
