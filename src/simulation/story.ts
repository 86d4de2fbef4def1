/** Tells what happened in a run: what struck and when, in between what the clients saw, and what was promised. */
import type { GetOperation, PutOperation } from './history.js';
import type { RunReport } from './swarm.js';

interface Line {
  readonly time: number;
  readonly text: string;
}

/** Clients are summed up over so much virtual time. */
const WINDOW_MS = 250;
const MAX_VIOLATIONS = 20;

/**
 * Runs something, and tells it.
 * @param name - what it is called in the story
 * @param run - runs it; what it is given is to be told of all that strikes
 */
export function tell<Report extends RunReport>(
  name: string,
  run: (say: (time: number, what: string) => void) => Report,
): { readonly report: Report; readonly lines: string[] } {
  const happenings: Line[] = [];
  const report = run((time, text) => happenings.push({ time, text }));
  const lines = [...happenings, ...sightings(report)]
    .sort((a, b) => a.time - b.time)
    .map(({ time, text }) => `${time.toFixed(1).padStart(9)} ms  ${text}`);
  lines.push('', `${name}: ${report.events} events in ${report.virtualMs.toFixed(0)} virtual ms`);
  lines.push(`${report.puts} puts, of which ${report.acknowledged} were acknowledged; ${report.gets} gets`);
  for (const [kind, count] of report.faults) lines.push(`struck ${count} times: ${kind}`);
  const seen = Object.entries(report.background).map(([what, count]) => `${count} ${what}`);
  if (seen.length > 0) lines.push(`seen on the nodes: ${seen.join(', ')}`);
  lines.push(...report.checked.map((checked) => `checked: ${checked}`));
  lines.push(...report.violations.slice(0, MAX_VIOLATIONS).map((violation) => `VIOLATION ${violation}`));
  const more = report.violations.length - MAX_VIOLATIONS;
  if (more > 0) lines.push(`and ${more} more`);
  lines.push(`trace ${report.traceHash}`);
  lines.push(report.violations.length === 0 ? 'every promise was kept' : 'PROMISES WERE BROKEN');
  return { report, lines };
}

/** What the clients were told, window by window. */
function sightings({ history }: RunReport): Line[] {
  const windows = new Map<number, (PutOperation | GetOperation)[]>();
  for (const operation of [...history.puts, ...history.gets]) {
    if (operation.end === undefined) continue;
    const window = Math.ceil(operation.endedAt / WINDOW_MS);
    const others = windows.get(window);
    if (others === undefined) windows.set(window, [operation]);
    else others.push(operation);
  }
  return [...windows].map(([window, operations]) => ({ time: window * WINDOW_MS, text: summaryOf(operations) }));
}

function summaryOf(operations: readonly (PutOperation | GetOperation)[]): string {
  const counts = new Map<string, number>();
  for (const operation of operations) {
    const outcome = outcomeOf(operation);
    counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  }
  const told = [...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([outcome, count]) => `${count} ${outcome}`);
  return `   clients: ${told.join(', ')}`;
}

function outcomeOf({ end }: PutOperation | GetOperation): string {
  switch (end?.type) {
    case 'acknowledged':
      return 'puts acknowledged';
    case 'got':
      return end.siblings.length > 1 ? 'gets of several siblings' : 'gets';
    case 'failed':
      return `${end.failure.definite ? 'failed' : 'in doubt'} (${end.failure.why})`;
    default:
      return 'abandoned with their process';
  }
}
