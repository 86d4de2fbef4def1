/**
 * Modules that Node loads before anything else, since an option says so (`--import`, `--require`): of a test runner, a
 * compiler, a tracer. Threads and child processes inherit them, although what they run is compiled JavaScript, and load
 * them anew at every start (under tap, the start of a node took ten times as long).
 */
const LOADERS = new Set(['--import', '--require', '-r', '--loader', '--experimental-loader']);

/** What of a process its threads and children inherit. */
export interface Inherited {
  readonly execArgv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly versions: Readonly<Record<string, string | undefined>>;
}

/** Options for a thread or a child: what is missing is inherited. */
export interface OwnOptions {
  readonly execArgv?: string[];
  readonly env?: Record<string, string | undefined>;
}

/**
 * Options with which no loader is inherited, from the command line or from NODE_OPTIONS. Where there is one, no option at
 * all is: a list that is given to a thread is checked, and options of the process, `--max-old-space-size` say, are refused in it.
 * Under Yarn's Plug'n'Play everything is inherited: its loader is what finds packages, for there is no `node_modules`.
 */
export function withoutLoaders({ execArgv, env, versions }: Inherited): OwnOptions {
  if (versions.pnp !== undefined) return {};
  // An option in quotes is one, too.
  const nodeOptions = (env.NODE_OPTIONS ?? '').replaceAll('"', ' ').split(/\s+/);
  return {
    ...(hasLoaders(execArgv) ? { execArgv: [] } : {}),
    ...(hasLoaders(nodeOptions) ? { env: { ...env, NODE_OPTIONS: '' } } : {}),
  };
}

function hasLoaders(options: readonly string[]): boolean {
  return options.some((option) => LOADERS.has(option.split('=', 1)[0]!));
}
