/**
 * A running service over HTTP: requests, their answers as bytes, and what its failures are here.
 *
 * By Node's own client, not by `fetch`: that decompresses what was stored compressed, hides which bytes a header has,
 * and folds dot segments of paths away.
 */
import http, { type IncomingHttpHeaders, type IncomingMessage, type RequestOptions } from 'node:http';
import https from 'node:https';
import { urlToHttpOptions } from 'node:url';
import { AbortedError, type ErrorCode, InvalidArgumentError, OverloadedError, QuoralError } from '../base/errors.js';
import { encodeSegment } from '../service/http/address.js';
import { header } from '../service/http/headers.js';
import type { Key } from '../store/api/call-options.js';
import { CommandError } from './terminal.js';

const SLACK_MS = 60_000;
/** Metadata is at most 64 KiB, of which each name is spelt out, once more, and in base64. */
const MAX_ANSWER_HEAD_BYTES = 2 ** 20;
/** What the service takes of a head; a longer one it would refuse while the value is still being sent. */
const MAX_HEAD_BYTES = 60 * 2 ** 10;
const MAX_JSON_BYTES = 64 * 2 ** 20;
const MAX_FAILURE_BYTES = 64 * 2 ** 10;
/** From this size on, a body is sent only when the service has said that it wants it. RFC 9110, §10.1.1. */
const ASK_FIRST_BYTES = 64 * 2 ** 10;
/** How long it may take to say so: a service of another kind may never. */
const CONTINUE_MS = 1_000;

/** An error that the service reported, or that is its like; those with a class of their own that matters here come as that. */
export class RemoteError extends QuoralError {
  readonly code: ErrorCode;
  constructor(code: ErrorCode, message: string, definite: boolean) {
    super(message, { definite });
    this.code = code;
  }
}

/** There was no connection, or it broke. */
export class ConnectionError extends CommandError {
  /** True only if it is certain that nothing was stored. */
  readonly definite: boolean;
  constructor(message: string, definite: boolean) {
    super(message);
    this.definite = definite;
  }
}

export interface Asked {
  readonly method?: 'GET' | 'PUT' | 'DELETE';
  /** Values are Latin-1 characters that stand for bytes. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  readonly signal?: AbortSignal | undefined;
  /** How long the store may take, in milliseconds; its transport gets time beyond. */
  readonly timeoutMs?: number | undefined;
  /** True: the time is for each piece of the answer, not for the whole. */
  readonly isStream?: boolean;
}

/** An answer whose body is still to be read: by `bytes`, `pieces` or `failure`, one of which must be called. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** The body. @throws {RemoteError} VALUE_TOO_LARGE: it is over `maxBytes`, and was given up. */
  bytes(maxBytes: number): Promise<Uint8Array>;
  /** The body in pieces, as they come. */
  pieces(): AsyncIterable<Uint8Array>;
  /** What an answer that tells of a failure is here. */
  failure(): Promise<Error>;
}

export class RemoteService {
  private readonly origin: string;
  private readonly options: RequestOptions;
  private readonly basePath: string;
  private readonly request: typeof http.request;

  private readonly slackMs: number;

  /**
   * @param slackMs - how much longer than the store the client waits: for the connection and the transport of values
   * @throws {InvalidArgumentError} `url` is not the URL of an HTTP service.
   */
  constructor(url: string, slackMs = SLACK_MS) {
    const base = URL.canParse(url) ? new URL(url) : undefined;
    if (base === undefined || !/^https?:$/.test(base.protocol) || base.search !== '') {
      throw new InvalidArgumentError(`Not an HTTP URL: ${url}`);
    }
    this.slackMs = slackMs;
    this.origin = base.origin;
    this.basePath = base.pathname.replace(/\/+$/, '');
    this.options = { ...urlToHttpOptions(base), maxHeaderSize: MAX_ANSWER_HEAD_BYTES };
    this.request = base.protocol === 'https:' ? https.request : http.request;
  }

  /**
   * Sends a request; resolves with the head of its answer, whatever the status. A large body is sent only when the
   * service asks for it, so that its refusal is heard, and nothing is sent in vain.
   * @param path - percent-encoded, with its query; sent as it is
   * @throws {ConnectionError} @throws {AbortedError} @throws {RemoteError} TIMEOUT
   * @throws {InvalidArgumentError} The headers are longer than a service takes.
   */
  async ask(path: string, asked: Asked = {}): Promise<Answer> {
    const { method = 'GET', headers = {}, body, signal, timeoutMs = 0, isStream = false } = asked;
    if (signal?.aborted) throw aborted(signal, true);
    checkHead(headers);
    const writes = method !== 'GET';
    const waitMs = timeoutMs + this.slackMs;
    const asksFirst = body !== undefined && body.length >= ASK_FIRST_BYTES;
    return new Promise((resolve, reject) => {
      const request = this.request({
        ...this.options,
        method,
        path: `${this.basePath}${path}`,
        headers: {
          ...headers,
          ...(writes && { 'Content-Length': body?.length ?? 0 }),
          ...(asksFirst && { Expect: '100-continue' }),
        },
      });
      request.maxHeadersCount = 0;
      /** What made this side give up, if it did. */
      let givenUp: Error | undefined;
      const giveUp = (error: Error) => {
        givenUp ??= error;
        request.destroy(error);
      };
      // A write whose body has not been sent cannot have taken effect.
      const mayTakeEffect = () => writes && request.writableEnded;
      const late = () => giveUp(this.timedOut(!mayTakeEffect()));
      const onAbort = () => giveUp(aborted(signal!, !mayTakeEffect()));
      const timer = setTimeout(late, waitMs);
      const send = () => {
        clearTimeout(unasked);
        if (!request.writableEnded) request.end(body);
      };
      const unasked = asksFirst ? setTimeout(send, CONTINUE_MS) : undefined;
      signal?.addEventListener('abort', onAbort, { once: true });
      request.once('close', () => {
        clearTimeout(timer);
        clearTimeout(unasked);
        signal?.removeEventListener('abort', onAbort);
      });
      const failed = (error: unknown) => givenUp ?? this.unreachable(error, mayTakeEffect());
      request.on('error', (error) => reject(failed(error)));
      request.once('continue', send);
      request.once('response', (response) => {
        clearTimeout(unasked);
        if (isStream) clearTimeout(timer);
        // What was refused unsent is not sent any more: no other request can use its connection.
        if (!request.writableEnded) response.once('close', () => request.destroy());
        resolve(
          this.answer(response, { late, failed, whyGivenUp: () => givenUp, pieceMs: isStream ? waitMs : undefined }),
        );
      });
      if (asksFirst) request.flushHeaders();
      else send();
    });
  }

  /** What the service answers to a GET of `path`, parsed. @param timeoutMs - of the store */
  async json(path: string, timeoutMs = 0): Promise<unknown> {
    const answer = await this.ask(path, { timeoutMs });
    if (answer.status !== 200) throw await answer.failure();
    const text = Buffer.from(await answer.bytes(MAX_JSON_BYTES)).toString();
    try {
      return JSON.parse(text);
    } catch {
      throw this.stranger();
    }
  }

  /** What is thrown at an answer that quoral would not give. */
  stranger(): CommandError {
    return new CommandError(`${this.origin} does not answer as quoral does`);
  }

  private answer(
    response: IncomingMessage,
    reading: {
      late(): void;
      failed(error: unknown): Error;
      whyGivenUp(): Error | undefined;
      pieceMs: number | undefined;
    },
  ): Answer {
    const { late, failed, whyGivenUp, pieceMs } = reading;
    const { headers, statusCode: status = 0 } = response;
    const pieces = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
      // The time that the consumer takes between two pieces is its own.
      let timer = pieceMs === undefined ? undefined : setTimeout(late, pieceMs);
      try {
        for await (const piece of response as AsyncIterable<Uint8Array>) {
          clearTimeout(timer);
          yield piece;
          if (pieceMs !== undefined) timer = setTimeout(late, pieceMs);
        }
        // One whose end is that of its connection ends as if it were complete when it is given up.
        if (whyGivenUp() !== undefined) throw whyGivenUp();
      } catch (error) {
        throw failed(error);
      } finally {
        clearTimeout(timer);
      }
    };
    const bytes = async (maxBytes: number): Promise<Uint8Array> => {
      const announced = Number(headers['content-length'] ?? 0);
      const held: Uint8Array[] = [];
      let length = 0;
      if (announced > maxBytes) {
        response.destroy();
        throw tooLarge(announced, maxBytes);
      }
      for await (const piece of pieces()) {
        length += piece.length;
        // Leaving the loop gives the rest up.
        if (length > maxBytes) throw tooLarge(length, maxBytes);
        held.push(piece);
      }
      const { buffer, byteOffset } = Buffer.concat(held, length);
      return new Uint8Array(buffer, byteOffset, length);
    };
    const failure = async (): Promise<Error> => {
      const held: Uint8Array[] = [];
      let length = 0;
      for await (const piece of pieces()) {
        held.push(piece);
        length += piece.length;
        if (length > MAX_FAILURE_BYTES) break;
      }
      const text = Buffer.concat(held).toString('utf8', 0, MAX_FAILURE_BYTES).trim();
      return failureOf(status, headers, text) ?? new CommandError(`${this.origin} answered ${status}: ${text}`);
    };
    return { status, headers, bytes, pieces, failure };
  }

  private timedOut(definite: boolean): RemoteError {
    return new RemoteError('TIMEOUT', `${this.origin} has not answered in time`, definite);
  }

  private unreachable(error: unknown, mayTakeEffect: boolean): ConnectionError {
    const cause = causeOf(error);
    const definite = !mayTakeEffect || NEVER_SENT.has(cause);
    const end = definite ? '' : '; the write may still take effect';
    return new ConnectionError(
      `Cannot reach ${this.origin} (${cause})${end}: is "quoral serve" running there?`,
      definite,
    );
  }
}

/** A segment of a path. @throws {InvalidArgumentError} It is empty. */
export function segment(text: Key): string {
  const encoded = encodeSegment(text);
  if (encoded === '') throw new InvalidArgumentError('Type, bucket and key must not be empty');
  return encoded;
}

/** What of a head this package would not send: the service would refuse it. */
function checkHead(headers: Readonly<Record<string, string>>): void {
  let bytes = 0;
  for (const [name, value] of Object.entries(headers)) bytes += name.length + value.length + 4;
  if (bytes <= MAX_HEAD_BYTES) return;
  throw new InvalidArgumentError(
    `content type, metadata and context take ${bytes} bytes of HTTP headers, which may be ${MAX_HEAD_BYTES}: shorten them, or use --data`,
  );
}

function failureOf(status: number, headers: IncomingHttpHeaders, text: string): Error | undefined {
  const code = header(headers, 'x-quoral-error') as ErrorCode | undefined;
  const definite = header(headers, 'x-quoral-definite') === 'true';
  if (code === 'OVERLOADED') {
    const retryAfterMs = Number(header(headers, 'retry-after') ?? 1) * 1_000;
    return new OverloadedError(text, { definite, retryAfterMs });
  }
  if (code === 'INVALID_ARGUMENT' && status === 404) {
    const hint = 'create it with quoral properties --type TYPE --create, or leave --type out';
    return new RemoteError(code, `${text}: ${hint}`, definite);
  }
  if (code !== undefined) return new RemoteError(code, text, definite);
  if (status === 400 || status === 415) return new InvalidArgumentError(text);
  if (status === 412) return new RemoteError('PRECONDITION_FAILED', text, true);
  if (status === 413) return new RemoteError('VALUE_TOO_LARGE', text, true);
  return undefined;
}

function tooLarge(bytes: number, maxBytes: number): RemoteError {
  return new RemoteError('VALUE_TOO_LARGE', `The answer is ${bytes} bytes or more, over ${maxBytes}`, true);
}

function aborted(signal: AbortSignal, definite: boolean): AbortedError {
  return new AbortedError('The call was given up by its signal', { definite, cause: signal.reason });
}

/** Causes with which no request has left. */
const NEVER_SENT: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
]);

/** Why a connection failed, as short as can be. */
function causeOf(error: unknown): string {
  return error instanceof Error ? ((error as NodeJS.ErrnoException).code ?? error.message) : String(error);
}
