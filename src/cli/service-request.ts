/** What every request to a running service has in common: its URL, its time, and what its failures are here. */
import { type ErrorCode, InvalidArgumentError, OverloadedError, QuoralError } from '../base/errors.js';
import { encodeSegment } from '../service/http/address.js';
import type { Key } from '../store/api/call-options.js';
import { CommandError } from './terminal.js';

/** How much longer than the store the client waits, in milliseconds: for the connection and the transport of values. */
export const SLACK_MS = 60_000;

/** An error that the service reported; those with a class of their own that matters here come as that. */
export class RemoteError extends QuoralError {
  readonly code: ErrorCode;
  constructor(code: ErrorCode, message: string, definite: boolean) {
    super(message, { definite });
    this.code = code;
  }
}

/** The URL without a slash at its end. @throws {InvalidArgumentError} It is no http or https URL. */
export function baseOf(url: string): string {
  const base = URL.canParse(url) ? new URL(url) : undefined;
  if (base === undefined || !/^https?:$/.test(base.protocol)) throw new InvalidArgumentError(`Not an HTTP URL: ${url}`);
  return base.href.replace(/\/+$/, '');
}

/** What a service answers to a GET of `path`, parsed. @param timeoutMs - of the store, beyond which the rest is waited for */
export async function getJson(url: string, path: string, timeoutMs = 0): Promise<unknown> {
  const response = await request(`${baseOf(url)}${path}`, { signal: AbortSignal.timeout(timeoutMs + SLACK_MS) });
  if (response.status !== 200) throw await failureOf(response);
  return await response.json();
}

/** `fetch`, with an error that says what to do where the service cannot be reached. */
export async function request(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch (error) {
    const writes = init.method !== undefined && init.method !== 'GET';
    throw new CommandError(unreachable(new URL(url).origin, causeOf(error), writes));
  }
}

/** fetch folds dot segments away, even escaped ones, and would ask for something else. */
export function segment(text: Key): string {
  const encoded = encodeSegment(text);
  if (encoded === '') throw new InvalidArgumentError('Type, bucket and key must not be empty');
  if (encoded === '.' || encoded === '..') {
    throw new InvalidArgumentError(`The name "${encoded}" cannot be sent in a URL: use --data`);
  }
  return encoded;
}

/** What a reply that tells of a failure is here. */
export async function failureOf(response: Response): Promise<Error> {
  const text = (await response.text()).trim();
  const code = response.headers.get('x-quoral-error') as ErrorCode | null;
  const definite = response.headers.get('x-quoral-definite') === 'true';
  if (code === 'OVERLOADED') {
    const retryAfterMs = Number(response.headers.get('retry-after') ?? 1) * 1_000;
    return new OverloadedError(text, { definite, retryAfterMs });
  }
  if (code === 'INVALID_ARGUMENT' && response.status === 404) {
    return new RemoteError(
      code,
      `${text}: create it with quoral properties --type TYPE --create, or leave --type out`,
      definite,
    );
  }
  if (code !== null) return new RemoteError(code, text, definite);
  if (response.status === 400) return new InvalidArgumentError(text);
  if (response.status === 413) return new RemoteError('VALUE_TOO_LARGE', text, true);
  return new CommandError(`${new URL(response.url).origin} answered ${response.status}: ${text}`);
}

/** Causes with which no request has left. */
const NEVER_SENT: ReadonlySet<string> = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT']);

function unreachable(origin: string, cause: string, writes: boolean): string {
  const end = writes && !NEVER_SENT.has(cause) ? '; the write may still take effect' : '';
  return `Cannot reach ${origin} (${cause})${end}: is "quoral serve" running there?`;
}

/** Why a connection failed, as short as can be. */
export function causeOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error ? ((cause as NodeJS.ErrnoException).code ?? cause.message) : String(cause);
}
