/**
 * Watches the JavaScript heap of a thread: told when most of it is in use although it has just been collected. What
 * comes next is its exhaustion, which ends the thread at any moment, within a commit, too.
 *
 * Looked at after full collections only: in between, what is in use is mostly garbage, and says nothing.
 */
import { constants, PerformanceObserver } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';
import { resourceLimits } from 'node:worker_threads';

/** Calls `full` once, with the share in use (0 … 1), when that is `share` or more. */
export function watchHeap(share: number, full: (used: number) => void): void {
  // The limit counts room for young objects, too. What has survived is not there, and dies of the rest being full.
  const youngBytes = (resourceLimits.maxYoungGenerationSizeMb ?? 0) * 2 ** 20;
  const observer = new PerformanceObserver((list) => {
    const collected = list.getEntries().some((entry) => kindOf(entry) === constants.NODE_PERFORMANCE_GC_MAJOR);
    if (!collected) return;
    const { used_heap_size, heap_size_limit } = getHeapStatistics();
    const used = used_heap_size / (heap_size_limit - youngBytes);
    if (used < share) return;
    observer.disconnect();
    full(used);
  });
  observer.observe({ entryTypes: ['gc'] });
}

function kindOf(entry: object): number | undefined {
  return (entry as { readonly detail?: { readonly kind?: number } }).detail?.kind;
}
