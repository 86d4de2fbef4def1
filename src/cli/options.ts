/** Options that several commands share. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { utf8 } from '../base/bytes.js';
import type { Quorum } from '../store/api/call-options.js';
import { csvHeader } from './csv.js';

/** An option's parser for whole numbers within a range. */
export function integer(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max) {
      throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
    }
    return value;
  };
}

/** An option's parser for quorums. */
export function quorum(text: string): Quorum {
  if (text === 'one' || text === 'quorum' || text === 'all') return text;
  if (!/^\d{1,3}$/.test(text)) throw new InvalidArgumentError("It must be a number, or 'one', 'quorum' or 'all'.");
  return Number(text);
}

/** An option's parser for what stands between the fields of a CSV file. */
export function separator(text: string): string {
  const character = text === '\\t' ? '\t' : text;
  if (/^[\t\x20-\x7e]$/.test(character) && character !== '"') return character;
  throw new InvalidArgumentError('It must be one ASCII character that is no quote, or \\t for a tab.');
}

/** An option's parser for names of fields, as a record of CSV has them. */
export function fieldNames(text: string): readonly string[] {
  const names = csvHeader(utf8(text), ',');
  if (typeof names !== 'string') return names;
  throw new InvalidArgumentError(`It must be names with commas between, quoted where they have one: ${names}.`);
}

export function addJson(command: Command): Command {
  return command.option('--json', 'print JSON');
}

export function addTimeout(command: Command): Command {
  return command.option('--timeout <ms>', 'how long to wait for the quorum', integer(1, 3_600_000));
}

/** Options that only matter when a store is created: an existing one keeps its own. */
export function addStoreOptions(command: Command): Command {
  return command
    .option('--nodes <count>', 'nodes of a new store (default: 5)', integer(1, 32))
    .option('--replicas <n>', 'replicas of each key in a new store (default: 3)', integer(1, 32))
    .addOption(
      new Option('--sync <mode>', 'full: survives power loss; none: faster').choices(['full', 'none']).default('full'),
    );
}

export interface StoreFlags {
  readonly nodes?: number;
  readonly replicas?: number;
  readonly sync?: 'full' | 'none';
}

/** The flags of `addStoreOptions` as `open` takes them. */
export function storeOptions({ nodes, replicas, sync }: StoreFlags) {
  return {
    ...(nodes !== undefined && { nodes }),
    ...(replicas !== undefined && { n: replicas }),
    ...(sync !== undefined && { sync }),
  };
}
