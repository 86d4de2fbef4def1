/** `quoral serve`: opens a store and serves it over HTTP until asked to stop. */
import type { Command } from 'commander';
import pc from 'picocolors';
import { type HttpOptions, type HttpService, serveHttp } from '../service/http/server.js';
import type { OpenOptions } from '../store/api/open-options.js';
import type { Store } from '../store/api/store.js';
import { addJson, addStoreOptions, integer, type StoreFlags, storeOptions } from './options.js';
import { readServeConfig, type ServeConfig } from './serve-config.js';
import { CommandError, print, type Terminal } from './terminal.js';

interface Flags extends StoreFlags {
  readonly config?: string;
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
    .option('--config <file>', 'JSON: the options of open, and http, host, insecure; what is given here goes before it')
    .option('--data <dir>', 'where the store keeps its data; created if missing', './data')
    .option('--http <port>', 'port; 0 takes a free one', integer(0, 65_535), 8098)
    .option('--host <address>', 'address to bind to', '127.0.0.1')
    .option('--insecure', 'allow an address that other hosts can reach: nothing authenticates them');
  addJson(addStoreOptions(command))
    .addHelpText(
      'after',
      `
A configuration file:
  { "path": "/var/lib/quoral", "nodes": 5, "n": 3, "w": 2, "maxValueBytes": 16777216, "http": 8098 }

Example:
  $ quoral serve --data ./data --nodes 5 --http 8098
  $ quoral serve --config quoral.json`,
    )
    .action((flags: Flags, invoked: Command) => serve(terminal, flags, invoked));
}

interface Plan {
  readonly open: OpenOptions & { readonly path: string };
  readonly http: HttpOptions;
}

/** What is to be opened and served: by the flags that were given, or else by the configuration, or by the defaults. */
async function planOf(flags: Flags, invoked: Command): Promise<Plan> {
  const config: ServeConfig = flags.config === undefined ? { open: {} } : await readServeConfig(flags.config);
  const given = (name: string) => invoked.getOptionValueSource(name) === 'cli';
  const { sync, ...fixed } = storeOptions(flags);
  const { maxValueBytes } = config.open;
  const open = {
    sync: 'full',
    ...config.open,
    ...fixed,
    ...(given('sync') && sync !== undefined && { sync }),
    path: given('data') ? flags.data : (config.open.path ?? flags.data),
  };
  return {
    // Whether these go together, `open` says.
    open: open as Plan['open'],
    http: {
      port: given('http') ? flags.http : (config.http ?? flags.http),
      host: given('host') ? flags.host : (config.host ?? flags.host),
      insecure: flags.insecure ?? config.insecure ?? false,
      ...(maxValueBytes !== undefined && { maxValueBytes }),
    },
  };
}

async function serve(terminal: Terminal, flags: Flags, invoked: Command): Promise<void> {
  // Listens for signals before it opens anything, so that none is lost.
  let stop = () => {};
  const stopped = new Promise<void>((resolve) => {
    stop = resolve;
  });
  const unsubscribe = terminal.onStopSignal(stop);
  try {
    const { open, http } = await planOf(flags, invoked);
    await using store = await terminal.openStore(open);
    const service = await listen(store, http);
    try {
      await print(
        terminal.stdout,
        flags.json ? jsonGreeting(service.url, open.path, store) : greeting(terminal, service.url, open.path, store),
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

/** @throws {CommandError} The port or the address cannot be had. */
async function listen(store: Store, http: HttpOptions): Promise<HttpService> {
  try {
    return await serveHttp(store, http);
  } catch (error) {
    const { code, syscall } = error as NodeJS.ErrnoException;
    if (syscall !== 'listen' && syscall !== 'getaddrinfo') throw error;
    const why = LISTEN_FAILURES[code ?? ''] ?? (error as Error).message;
    throw new CommandError(`Cannot listen on ${http.host}:${http.port}: ${why}`);
  }
}

const LISTEN_FAILURES: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the port is taken; name another one with --http, or take a free one with --http 0',
  EACCES: 'the port is not for this user; name one above 1023 with --http',
  EADDRNOTAVAIL: 'this machine has no such address; name another one with --host',
  ENOTFOUND: 'there is no such host; name another one with --host',
};

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
