/**
 * The command line: which commands there are, and what their ends mean for the exit code:
 * 0 done, 1 it failed, 2 it was called wrongly.
 */
import { createRequire } from 'node:module';
import { Command, CommanderError } from 'commander';
import pc from 'picocolors';
import { QuoralError } from '../base/errors.js';
import { addDelete } from './delete.js';
import { addExport } from './export.js';
import { addGet } from './get.js';
import { addImport } from './import.js';
import { addProperties } from './properties.js';
import { addPut } from './put.js';
import { addScan } from './scan.js';
import { addServe } from './serve.js';
import { addSimulate } from './simulate.js';
import { addStatus } from './status.js';
import { type Terminal, UsageError } from './terminal.js';
import { addVerify } from './verify.js';

/** By the package's own name, which works from wherever this file runs. */
const { version: VERSION }: { version: string } = createRequire(import.meta.url)('quoral/package.json');

/** Runs one command line (without the program's name); returns the exit code. Never throws. */
export async function run(args: readonly string[], terminal: Terminal): Promise<number> {
  const program = createProgram(terminal);
  try {
    await program.parseAsync(args, { from: 'user' });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    // A reader that has seen enough (`quoral scan … | head`) is no failure.
    if (isOutputClosed(error)) return 0;
    const { red } = pc.createColors(terminal.stderr.isTTY === true);
    terminal.stderr.write(`${red('quoral:')} ${describe(error)}\n`);
    return isWrongUse(error) ? 2 : 1;
  }
}

function createProgram(terminal: Terminal): Command {
  const program = new Command('quoral')
    .description('An always-writeable, replicated key-value store that lives inside a Node process')
    .version(VERSION, '--version', 'print the version')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void terminal.stdout.write(text),
      writeErr: (text) => void terminal.stderr.write(text),
      getOutHasColors: () => terminal.stdout.isTTY === true,
      getErrHasColors: () => terminal.stderr.isTTY === true,
    })
    .addHelpText(
      'after',
      '\nExample:\n  $ quoral serve --data ./data\n\nExit codes: 0 done, 1 it failed, 2 wrong use.',
    );
  for (const add of [
    addServe,
    addGet,
    addPut,
    addDelete,
    addScan,
    addImport,
    addExport,
    addProperties,
    addStatus,
    addVerify,
    addSimulate,
  ])
    add(program, terminal);
  return program;
}

function isOutputClosed(error: unknown): boolean {
  const { code, syscall } = error as NodeJS.ErrnoException;
  return code === 'EPIPE' && syscall === 'write';
}

function isWrongUse(error: unknown): boolean {
  return error instanceof UsageError || (error instanceof QuoralError && error.code === 'INVALID_ARGUMENT');
}

function describe(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const line = message.replace(/\s*\n\s*/g, ' ');
  if (!(error instanceof QuoralError)) return line;
  return `${line} (${error.code}${error.definite ? '' : '; the write may still take effect'})`;
}
