/**
 * The HTTP service: sockets, limits and shutdown around `protocol.ts` and `commands.ts`.
 *
 *     socket ─▶ head ─▶ parseRequest ─▶ (refused: reply at once) ─▶ body ─▶ Commands.execute ─▶ reply
 *
 * A head is judged before its body is read. Whatever arrives on a socket ends in a reply or a closed connection.
 */
import { type IncomingMessage, METHODS, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { Readable } from 'node:stream';
import fastify, { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { EMPTY } from '../../base/bytes.js';
import { ClosedError, InvalidArgumentError, QuoralError, ValueTooLargeError } from '../../base/errors.js';
import type { Store } from '../../store/api/store.js';
import { isObjectFamily, parseTarget } from './address.js';
import { Commands } from './commands.js';
import { failureReply } from './failures.js';
import { isLingering, lingerAfter, mayLinger } from './linger.js';
import type { ListRequest } from './list-request.js';
import { resourcesReply, statsReply, statusReply } from './overview.js';
import { type HttpRequest, parseRequest } from './protocol.js';
import { type Reply, textReply } from './reply.js';
import { notAllowed } from './request-head.js';

export interface HttpOptions {
  /** Default 8098; 0 takes a free one. */
  readonly port?: number;
  /** The address to bind to. Default 127.0.0.1. Others than loopback need `insecure`. */
  readonly host?: string;
  /** Allows an address that other hosts can reach, though nothing authenticates them. Default false. */
  readonly insecure?: boolean;
  /** The largest body, in bytes: the store's `maxValueBytes`. Default 8 MiB. */
  readonly maxValueBytes?: number;
  /** How long a client may take to send its request, in milliseconds: 100 to 3,600,000. Default 60,000. */
  readonly requestTimeoutMs?: number;
  /** How long a reply waits for a client that takes nothing before it is cut off, in milliseconds. Default 60,000. */
  readonly stallTimeoutMs?: number;
  /** How long `close` waits for requests in flight before it cuts them off, in milliseconds. Default 10,000. */
  readonly drainTimeoutMs?: number;
  /** Connections at a time; more are closed at once. Default 10,000. */
  readonly maxConnections?: number;
  /** Told of every error that is a mistake of this package and was answered 500. Default: writes it to stderr. */
  readonly onError?: (error: unknown) => void;
}

export interface HttpService {
  /** `http://host:port`, with the port that was taken. */
  readonly url: string;
  /** Stops accepting, finishes what is in flight, closes. Idempotent. */
  close(): Promise<void>;
}

const OBJECT_ROUTE = '/buckets';
const MAX_HEADER_BYTES = 64 * 1024;

/**
 * Serves `store` over HTTP. Closing the service leaves the store open.
 * @throws {InvalidArgumentError} The host is not loopback and `insecure` was not given. Port errors are Node's own.
 */
export async function serveHttp(store: Store, options: HttpOptions = {}): Promise<HttpService> {
  const host = options.host ?? '127.0.0.1';
  if (!isLoopback(host) && options.insecure !== true) {
    throw new InvalidArgumentError(
      `Refusing to serve on ${host}: other hosts could read and write without authentication. Use 127.0.0.1, or allow it with insecure (--insecure).`,
    );
  }
  const requestTimeoutMs = options.requestTimeoutMs ?? 60_000;
  const maxValueBytes = options.maxValueBytes ?? 8 * 2 ** 20;
  const server = fastify({
    bodyLimit: maxValueBytes,
    requestTimeout: requestTimeoutMs,
    return503OnClosing: false,
    exposeHeadRoutes: false,
    rewriteUrl: (request) => (isObjectFamily(parseTarget(request.url!).segments) ? OBJECT_ROUTE : request.url!),
    clientErrorHandler: answerClientError,
    frameworkErrors: (error, _request, reply) => {
      void sendError(error, reply, maxValueBytes, report);
    },
    http: {
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: requestTimeoutMs,
      connectionsCheckingInterval: Math.min(30_000, Math.max(50, requestTimeoutMs / 4)),
    },
  });
  // Their bytes are bounded; by number, some would be left out unnoticed.
  server.server.maxHeadersCount = 0;
  server.server.maxConnections = options.maxConnections ?? 10_000;
  // Whoever asks before sending a body hears `100 Continue` once its head is judged: see `preParsing`.
  server.server.on('checkContinue', (request, response) => server.server.emit('request', request, response));
  const report = options.onError ?? ((error: unknown) => console.error('quoral: internal error:', error));

  let closing: Promise<void> | undefined;
  addRoutes(server, new Commands(store), {
    store,
    maxValueBytes,
    requestTimeoutMs,
    stallTimeoutMs: options.stallTimeoutMs ?? 60_000,
    report,
    isClosing: () => closing !== undefined,
  });
  server.setErrorHandler<FastifyError>((error, _request, reply) => sendError(error, reply, maxValueBytes, report));
  await server.listen({ port: options.port ?? 8098, host });
  const { port } = server.server.address() as AddressInfo;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${port}`,
    close: () => (closing ??= drain(server, options.drainTimeoutMs ?? 10_000)),
  };
}

/** True for addresses that only this host can reach. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

interface Circumstances {
  readonly store: Store;
  readonly maxValueBytes: number;
  readonly requestTimeoutMs: number;
  readonly stallTimeoutMs: number;
  isClosing(): boolean;
  report(error: unknown): void;
}

function addRoutes(server: FastifyInstance, commands: Commands, circumstances: Circumstances): void {
  const { store, maxValueBytes, requestTimeoutMs, stallTimeoutMs, isClosing } = circumstances;
  // Of those that nobody may use here, too, it is to be said that they are not allowed.
  for (const method of METHODS) if (!server.supportedMethods.includes(method)) server.addHttpMethod(method);
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  server.decorateRequest('parsed', null);
  server.addHook('onRequest', async (_request, reply) => {
    if (isClosing()) return send(reply, failureReply(new ClosedError('The service is stopping'))!);
    return undefined;
  });

  // Its head was taken: the body may come, unless it is announced as too large, which the parser refuses unread.
  server.addHook('preParsing', async ({ raw, headers }, reply) => {
    if (expectsContinue(raw) && !(Number(headers['content-length']) > maxValueBytes)) reply.raw.writeContinue();
  });

  server.addHook('onSend', async ({ raw }, reply) => {
    // Keep-alive clients of requests in flight are not to send another one. And whoever was refused before the body
    // may send it or not (RFC 9110, §10.1.1): what comes next on the connection is anybody's guess.
    const lingers = !expectsContinue(raw) && mayLinger(raw);
    const closes = isClosing() || !(raw.complete || lingers);
    if (closes) reply.header('Connection', 'close');
    if (!lingers) return;
    reply.removeHeader('Connection');
    lingerAfter(raw, reply.raw, { closes: isClosing, withinMs: requestTimeoutMs });
  });

  server.all(OBJECT_ROUTE, {
    onRequest: async (request, reply) => {
      const parsed = parseRequest({ method: request.method, url: request.originalUrl, headers: request.headers });
      if (parsed.kind === 'refused') return send(reply, parsed.reply);
      (request as ParsedRequest).parsed = parsed;
      return undefined;
    },
    handler: async (request, reply) => {
      const { parsed } = request as ParsedRequest;
      if (parsed.kind === 'list') return sendList(reply, commands, parsed, circumstances);
      const body = request.body instanceof Uint8Array ? request.body : EMPTY;
      const answer = await commands.execute(parsed, body);
      // A large value is held for as long as its client takes to read it.
      reply.raw.setTimeout(stallTimeoutMs, () => reply.raw.destroy());
      return send(reply, answer);
    },
  });
  const ping = { status: 200, headers: { 'Content-Type': 'text/html' }, body: 'OK' };
  const overviews: [string, (accept: string | undefined) => Reply | Promise<Reply>][] = [
    ['/', resourcesReply],
    ['/ping', () => ping],
    ['/ready', () => commands.ready()],
    ['/stats', (accept) => statsReply(store, accept)],
    ['/admin/status', () => statusReply(store)],
  ];
  for (const [url, replyOf] of overviews) {
    server.all(url, async (request, reply) => {
      const isRead = request.method === 'GET' || request.method === 'HEAD';
      return send(reply, isRead ? await replyOf(request.headers.accept) : notAllowed('GET, HEAD').reply);
    });
  }
  server.setNotFoundHandler((_request, reply) => send(reply, textReply(404, 'not found\n')));
}

interface ParsedRequest extends FastifyRequest {
  parsed: HttpRequest;
}

/** Lists as fast as the client takes it, and no longer than there is a client (riak_kv#293: listings nobody waited for). */
async function sendList(
  reply: FastifyReply,
  commands: Commands,
  request: ListRequest,
  { stallTimeoutMs, report }: Circumstances,
): Promise<FastifyReply> {
  const gone = new AbortController();
  reply.raw.once('close', () => gone.abort());
  const list = await commands.execute(request, EMPTY, gone.signal);
  const { body } = list;
  if (typeof body === 'string' || body instanceof Uint8Array) return send(reply, list);
  return send(reply, { ...list, body: takenInTime(reported(body, report), stallTimeoutMs, () => reply.raw.destroy()) });
}

/** `pieces`; mistakes of this package are reported, since the status is sent and can no longer tell. */
async function* reported(
  pieces: AsyncIterable<string>,
  report: (error: unknown) => void,
): AsyncGenerator<string, void, undefined> {
  try {
    yield* pieces;
  } catch (error) {
    if (!(error instanceof QuoralError)) report(error);
    throw error;
  }
}

/** `pieces`; `onStall` is called if the next one is not asked for within `timeoutMs`. */
async function* takenInTime(
  pieces: AsyncIterable<string>,
  timeoutMs: number,
  onStall: () => void,
): AsyncGenerator<string, void, undefined> {
  for await (const piece of pieces) {
    const timer = setTimeout(onStall, timeoutMs);
    try {
      yield piece;
    } finally {
      clearTimeout(timer);
    }
  }
}

function send(reply: FastifyReply, { status, headers, body }: Reply): FastifyReply {
  reply.code(status).headers(headers);
  // Of nothing, there is no type; the framework would name one.
  if (body === '') return reply.send();
  // As bytes, because the framework adds a charset to the type of some texts.
  if (typeof body === 'string') return reply.send(Buffer.from(body));
  if (body instanceof Uint8Array) return reply.send(Buffer.from(body.buffer, body.byteOffset, body.byteLength));
  return reply.send(Readable.from(body, { objectMode: false }));
}

/** True if the client waits for `100 Continue` before it sends the body. */
function expectsContinue({ headers }: IncomingMessage): boolean {
  return headers.expect?.toLowerCase() === '100-continue';
}

/** Answers what the framework refused (an oversized body, say) by its own status, and everything else as 500. */
function sendError(
  error: FastifyError,
  reply: FastifyReply,
  maxValueBytes: number,
  report: (error: unknown) => void,
): FastifyReply {
  const status = error.statusCode ?? 500;
  if (status === 413) {
    const limit = `the value is over maxValueBytes (${maxValueBytes}): store less, or raise it up to 64 MiB`;
    return send(reply, failureReply(new ValueTooLargeError(limit))!);
  }
  if (status < 500) return send(reply, textReply(status, `${error.message}\n`));
  report(error);
  return send(reply, textReply(500, 'Error:\ninternal error\n'));
}

const CLIENT_ERRORS: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
};

/** Answers what is not HTTP, or stopped being it, and closes the connection. */
function answerClientError(
  this: unknown,
  error: Error & { code?: string },
  socket: Socket & { _httpMessage?: ServerResponse },
): void {
  // Nothing can be said to a socket that is gone, nor in the middle of a reply, nor a second time.
  if (error.code === 'ECONNRESET' || !socket.writable || socket._httpMessage?.headersSent || isLingering(socket)) {
    socket.destroy();
    return;
  }
  const status = CLIENT_ERRORS[error.code ?? ''] ?? '400 Bad Request';
  const body = `${status.slice(4)}\n`;
  socket.end(
    `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
}

async function drain(server: FastifyInstance, timeoutMs: number): Promise<void> {
  const deadline = setTimeout(() => server.server.closeAllConnections(), timeoutMs);
  try {
    await server.close();
  } finally {
    clearTimeout(deadline);
  }
}
