/**
 * The file that `quoral serve --config` reads: a JSON object with the options of `open` under their names, and with
 * `http` (the port), `host` and `insecure`. What the command line says goes before it.
 */
import { readFile } from 'node:fs/promises';
import type { OpenOptions } from '../store/api/open-options.js';
import { UsageError } from './terminal.js';

export interface ServeConfig {
  /** As they stand in the file: `open` checks them. */
  readonly open: OpenOptions;
  readonly http?: number;
  readonly host?: string;
  readonly insecure?: boolean;
}

/** @throws {UsageError} There is no such file, or it is not what it should be. */
export async function readServeConfig(file: string): Promise<ServeConfig> {
  const { http, host, insecure, ...open } = parse(file, await textOf(file));
  if (http !== undefined && !(Number.isInteger(http) && (http as number) >= 0 && (http as number) <= 65_535)) {
    throw new UsageError(`${file}: http must be a port, a whole number from 0 to 65535`);
  }
  if (host !== undefined && (typeof host !== 'string' || host === '')) {
    throw new UsageError(`${file}: host must be an address, as text`);
  }
  if (insecure !== undefined && typeof insecure !== 'boolean') {
    throw new UsageError(`${file}: insecure must be true or false`);
  }
  return {
    open,
    ...(http !== undefined && { http: http as number }),
    ...(host !== undefined && { host }),
    ...(insecure !== undefined && { insecure }),
  };
}

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new UsageError(`${file} cannot be read: ${(error as Error).message}`);
  }
}

function parse(file: string, text: string): { readonly [name: string]: unknown } {
  let config: unknown;
  try {
    config = JSON.parse(text);
  } catch (error) {
    throw new UsageError(`${file} is not JSON: ${(error as Error).message}`);
  }
  if (typeof config !== 'object' || config === null || Array.isArray(config)) {
    throw new UsageError(`${file} must be a JSON object, such as { "path": "./data", "nodes": 5, "http": 8098 }`);
  }
  return config as { [name: string]: unknown };
}
