/** `quoral verify`: looks through every record, hint, Merkle tree and all replicas of a store that is not open. */
import Table from 'cli-table3';
import type { Command } from 'commander';
import { equalBytes, textOf, utf8 } from '../base/bytes.js';
import type { HintsReport } from '../store/verify/hint-walk.js';
import type { Finding } from '../store/verify/replica-walk.js';
import type { VerifyReport } from '../store/verify.js';
import { addJson, integer } from './options.js';
import { CommandError, print, type Terminal } from './terminal.js';
import { jsonKey, oneLine } from './value.js';

interface Flags {
  readonly json?: boolean;
  readonly findings?: number;
}

const CHECKER = new URL('../../actors/objects-checker.js', import.meta.url);
const DEFAULT_TYPE = utf8('default');
const PROGRESS_MS = 2_000;
const PLAIN = { head: [], border: [] };

export function addVerify(program: Command, terminal: Terminal): void {
  const command = program
    .command('verify')
    .description('look through every record, hint, Merkle tree and all replicas of a store that is not open')
    .argument('<dir>', "the store's directory")
    .option('--findings <count>', 'list at most so many keys (default: 100)', integer(0, 1_000_000));
  addJson(command)
    .addHelpText(
      'after',
      `
Exit code 1 if a file, a record, a hint or a Merkle tree is damaged, or if what nodes keep contradicts itself: writers'
names, fences, hints for nodes that are not there. Keys that are missing or different on a replica are listed,
and are no damage: the next read or exchange of such a key brings its replicas together.

Example:
  $ quoral verify ./data`,
    )
    .action((directory: string, flags: Flags) => verify(terminal, directory, flags));
}

async function verify(terminal: Terminal, directory: string, flags: Flags): Promise<void> {
  // Loaded on demand: talking to a service needs no storage engine.
  const { verifyStore } = await import('../store/verify.js');
  let progressDue = terminal.now() + PROGRESS_MS;
  const report = await verifyStore(directory, {
    checker: CHECKER,
    ...(flags.findings !== undefined && { maxFindings: flags.findings }),
    progress: (what, share) => {
      if (terminal.now() < progressDue) return;
      progressDue = terminal.now() + PROGRESS_MS;
      terminal.stderr.write(`${what}: ${Math.round(share * 100)} %\n`);
    },
  });
  await print(terminal.stdout, flags.json ? `${JSON.stringify(plain(report))}\n` : told(report));
  const damaged = report.nodes.filter(({ damage }) => damage !== undefined).length;
  const trees = report.nodes.reduce((sum, { treesAmiss }) => sum + treesAmiss, 0);
  const { unreadable, contradictions, partitionsLost } = report;
  const amiss = [
    counted(damaged, 'node with damaged files', 'nodes with damaged files'),
    counted(unreadable, 'unreadable record', 'unreadable records'),
    counted(trees, 'wrong tree', 'wrong trees'),
    counted(contradictions, 'contradiction', 'contradictions'),
  ].filter((one) => one !== undefined);
  if (amiss.length === 0) return;
  throw new CommandError(`${amiss.join(', ')}${adviceOn(damaged, unreadable + trees, partitionsLost)}`);
}

/** What to do about it. */
function adviceOn(damaged: number, healed: number, partitionsLost: number): string {
  if (partitionsLost > 0) {
    const lost = counted(partitionsLost, 'partition has', 'partitions have');
    return `. ${lost} no replica left that can be read: restore what is damaged from a backup, and do not start the store before`;
  }
  if (damaged > 0) {
    return '. Move damaged files out of the way, then start the store: nodes whose files are missing begin anew, and are refilled from the other replicas';
  }
  return healed > 0 ? '. Start the store: the other replicas heal what cannot be read' : '';
}

function counted(count: number, one: string, more: string): string | undefined {
  if (count === 0) return undefined;
  return `${count} ${count === 1 ? one : more}`;
}

function told(report: VerifyReport): string {
  const nodes = new Table({
    head: ['node', 'records', 'trees', 'hints', 'files'],
    colAligns: ['left', 'right', 'right', 'right', 'left'],
    style: PLAIN,
  });
  for (const { name, records, damage, trees, treesAmiss, ...kept } of report.nodes) {
    const said = treesAmiss === 0 ? trees : `${treesAmiss} of ${trees} wrong`;
    nodes.push([name, records ?? '–', said, hintsTold(kept), damage ?? 'whole']);
  }
  const { keys, unreadable, missing, different, findings } = report;
  const lines = findings.map((finding) => `${finding.what} on ${finding.nodes.join(', ')}: ${nameOf(finding)}`);
  const left = unreadable + missing + different - findings.length;
  if (left > 0) lines.push(`and ${left} more`);
  const { contradictions, contradicting } = report;
  lines.push(...contradicting.map(({ node, what }) => `on ${node}: ${what}`));
  if (contradictions > contradicting.length) lines.push(`and ${contradictions - contradicting.length} more such`);
  const sum = `${keys} keys: ${unreadable} unreadable, ${missing} missing, ${different} different on some replica`;
  return `${nodes}\n\n${[...lines, sum].join('\n')}\n`;
}

function hintsTold({ hints, hintsUnreadable, hintsSetAside }: HintsReport): string {
  const parts = [`${hints}`];
  if (hintsUnreadable > 0) parts.push(`${hintsUnreadable} unreadable`);
  if (hintsSetAside > 0) parts.push(`${hintsSetAside} set aside`);
  return parts.join(', ');
}

function nameOf({ type, bucket, key }: Finding): string {
  const parts = equalBytes(type, DEFAULT_TYPE) ? [bucket, key] : [type, bucket, key];
  return parts.map(oneLine).join('/');
}

/** As JSON tells it: keys as text, and as base64 where they are none. */
function plain(report: VerifyReport): object {
  const findings = report.findings.map(({ what, partition, type, bucket, key, nodes }) => ({
    what,
    nodes,
    partition,
    type: oneLine(type),
    bucket: oneLine(bucket),
    ...jsonKey(textOf(key) ?? key),
  }));
  return { ...report, findings };
}
