/** `quoral put`: stores a value under a key. */
import type { Command } from 'commander';
import { utf8 } from '../base/bytes.js';
import type { PutOptions, Quorum } from '../store/api/call-options.js';
import type { Receipt } from '../store/api/results.js';
import { addJson, addTimeout, quorum } from './options.js';
import { addTarget, type KeyValues, type TargetFlags, withBucket } from './target.js';
import { print, type Terminal, UsageError } from './terminal.js';
import { oneLine } from './value.js';

interface Flags extends TargetFlags {
  readonly json?: boolean;
  readonly w?: Quorum;
  readonly dw?: Quorum;
  readonly timeout?: number;
  readonly context?: string;
  readonly replace?: boolean;
  readonly contentType: string;
}

export function addPut(program: Command, terminal: Terminal): void {
  const command = program
    .command('put')
    .description('store a value under a key, beside what is there unless --replace or --context says otherwise')
    .argument('<bucket>')
    .argument('<key>')
    .argument('[value]', 'the value, or - to read it from standard input', '-')
    .option('--replace', 'read first, and replace what is there')
    .option('--context <token>', 'replace what the read that gave this token saw')
    .option('--content-type <type>', 'media type of the value', 'text/plain; charset=utf-8')
    .option('--w <quorum>', 'replicas that must have stored it', quorum)
    .option('--dw <quorum>', 'replicas that must have flushed it to disk', quorum);
  addJson(addTimeout(addTarget(command)))
    .addHelpText(
      'after',
      '\nExample:\n  $ quoral put carts alice milk --replace\n  $ quoral put pictures cat - --content-type image/png < cat.png',
    )
    .action((bucket: string, key: string, value: string, flags: Flags) => put(terminal, bucket, key, value, flags));
}

async function put(terminal: Terminal, bucket: string, key: string, text: string, flags: Flags): Promise<void> {
  if (flags.replace && flags.context !== undefined) throw new UsageError('Give --replace or --context, not both');
  const value = text === '-' ? await readAll(terminal.stdin) : utf8(text);
  const receipt = await withBucket(terminal, bucket, flags, (values) => store(values, key, value, flags), {});
  await print(
    terminal.stdout,
    flags.json ? `${JSON.stringify(receipt)}\n` : `stored ${oneLine(bucket)}/${oneLine(key)}${ackedBy(receipt)}\n`,
  );
}

async function store(values: KeyValues, key: string, value: Uint8Array, flags: Flags): Promise<Receipt> {
  const timeout = flags.timeout === undefined ? {} : { timeoutMs: flags.timeout };
  const causalContext = flags.replace ? (await values.get(key, timeout)).causalContext : flags.context;
  const options: PutOptions = {
    ...timeout,
    causalContext,
    contentType: flags.contentType,
    ...(flags.w !== undefined && { w: flags.w }),
    ...(flags.dw !== undefined && { dw: flags.dw }),
  };
  return await values.put(key, value, options);
}

function ackedBy({ acks }: Receipt): string {
  if (acks.length === 0) return '';
  return ` on ${acks.map(({ node, durable }) => `${node}${durable ? ' (on disk)' : ''}`).join(', ')}`;
}

async function readAll(input: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of input) chunks.push(chunk);
  return Buffer.concat(chunks);
}
