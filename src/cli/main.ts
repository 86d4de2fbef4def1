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

// A reader that has seen enough (`quoral scan … | head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

process.exitCode = await run(process.argv.slice(2), terminal);
