#!/usr/bin/env node
/** The `quoral` command: hands the process's own streams, signals and clock to `program.ts`. */
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from './program.js';
import type { Terminal } from './terminal.js';

const terminal: Terminal = {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  openStore: async (options) => {
    // Loaded on demand: talking to a service needs no storage engine.
    const { open } = await import('../store/open.js');
    return await open(options);
  },
  onStopSignal: (stop) => {
    let asked = false;
    const handler = () => {
      // Whoever asks twice does not want to wait.
      if (asked) process.exit(1);
      asked = true;
      stop();
    };
    process.on('SIGINT', handler).on('SIGTERM', handler);
    return () => process.off('SIGINT', handler).off('SIGTERM', handler);
  },
  now: () => performance.now(),
  sleep: (ms) => sleep(ms),
};

let outputFailure = 0;
// Whoever waits to write more is told by `print`; here only what was written last can fail unseen.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') return;
  process.stderr.write(`quoral: cannot write the output: ${error.message}\n`);
  outputFailure = 1;
});
// What nobody reads any more is not worth failing for, and there is nowhere left to say so.
process.stderr.on('error', () => {});
process.on('exit', () => {
  process.exitCode ||= outputFailure;
});

process.exitCode = await run(process.argv.slice(2), terminal);
