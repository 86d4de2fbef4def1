/** `quoral serve`: opens a store and serves it over HTTP until asked to stop. */
import type { Command } from 'commander';
import pc from 'picocolors';
import { serveHttp } from '../service/http/server.js';
import type { Store } from '../store/api.js';
import { addJson, addStoreOptions, integer, type StoreFlags, storeOptions } from './options.js';
import { print, type Terminal } from './terminal.js';

interface Flags extends StoreFlags {
  readonly data: string;
  readonly http: number;
  readonly host: string;
  readonly insecure?: boolean;
  readonly json?: boolean;
}

export function addServe(program: Command, terminal: Terminal): void {
  const command = program
    .command('serve')
    .description('open a store and serve it over HTTP, until SIGTERM or SIGINT')
    .option('--data <dir>', 'where the store keeps its data; created if missing', './data')
    .option('--http <port>', 'port; 0 takes a free one', integer(0, 65_535), 8098)
    .option('--host <address>', 'address to bind to', '127.0.0.1')
    .option('--insecure', 'allow an address that other hosts can reach: nothing authenticates them');
  addJson(addStoreOptions(command))
    .addHelpText('after', '\nExample:\n  $ quoral serve --data ./data --nodes 5 --http 8098')
    .action((flags: Flags) => serve(terminal, flags));
}

async function serve(terminal: Terminal, flags: Flags): Promise<void> {
  // Listens for signals before it opens anything, so that none is lost.
  let stop = () => {};
  const stopped = new Promise<void>((resolve) => {
    stop = resolve;
  });
  const unsubscribe = terminal.onStopSignal(stop);
  try {
    await using store = await terminal.openStore({ ...storeOptions(flags), path: flags.data });
    const service = await serveHttp(store, {
      port: flags.http,
      host: flags.host,
      insecure: flags.insecure === true,
    });
    try {
      await print(
        terminal.stdout,
        flags.json ? jsonGreeting(service.url, flags.data, store) : greeting(terminal, service.url, flags.data, store),
      );
      await stopped;
      if (!flags.json) await print(terminal.stdout, 'stopping: finishing what is in flight\n');
    } finally {
      await service.close();
    }
  } finally {
    unsubscribe();
  }
  if (!flags.json) await print(terminal.stdout, 'stopped\n');
}

function jsonGreeting(url: string, data: string, store: Store): string {
  return `${JSON.stringify({ event: 'listening', url, data, nodes: store.nodes() })}\n`;
}

function greeting(terminal: Terminal, url: string, data: string, store: Store): string {
  const { bold, dim } = pc.createColors(terminal.stdout.isTTY === true);
  const nodes = store.nodes();
  const names = nodes.map(({ name }) => name).join(', ');
  return `${bold('quoral')} serves ${nodes.length} nodes (${names}) in ${data} on ${bold(url)}

${dim('Try, from another terminal:')}
  curl -X PUT ${url}/buckets/carts/keys/alice -H 'Content-Type: text/plain' -d milk
  curl -i ${url}/buckets/carts/keys/alice
  curl -X DELETE ${url}/buckets/carts/keys/alice

${dim('Ctrl-C stops it; nothing acknowledged is lost.')}
`;
}
