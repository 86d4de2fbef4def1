/**
 * The control plane: rare calls to a thread (start, plan, stats, faults), by comlink over a MessagePort.
 *
 * Two things that comlink lacks are added here: a call to a thread that dies is rejected instead of staying pending for
 * ever, and an error keeps its class's name, its `code` and its `definite` (they travel as data).
 */
import type { MessagePort } from 'node:worker_threads';
import * as comlink from 'comlink';

/** An object whose methods can be called from another thread. */
// biome-ignore lint/suspicious/noExplicitAny: the methods of any interface fit.
export type Controllable = Record<string, (...args: any[]) => unknown>;

/** The same interface as its caller sees it: every method gives a promise. */
export type Remote<T> = {
  // biome-ignore lint/suspicious/noExplicitAny: infers the arguments of any method.
  readonly [K in keyof T]: T[K] extends (...args: infer A extends any[]) => infer R
    ? (...args: A) => Promise<Awaited<R>>
    : never;
};

/** An error thrown by the called method, with what is left of it on this side. */
export class RemoteError extends Error {
  override readonly name: string;
  readonly code: string | undefined;
  /** As of a `QuoralError`; undefined if the error had none. */
  readonly definite: boolean | undefined;

  constructor(data: ErrorData) {
    super(data.message);
    this.name = data.name;
    this.code = data.code;
    this.definite = data.definite;
    if (data.stack !== undefined) this.stack = data.stack;
  }
}

/** The thread that was called is gone; whether the call took effect is not known. */
export class ThreadGoneError extends Error {
  override readonly name = 'ThreadGoneError';
}

export interface ErrorData {
  readonly name: string;
  readonly message: string;
  readonly code: string | undefined;
  readonly definite: boolean | undefined;
  readonly stack: string | undefined;
}

type Outcome = { readonly value: unknown } | { readonly error: ErrorData };

/** What an error is made of, for the way between threads. */
export function errorData(thrown: unknown): ErrorData {
  if (!(thrown instanceof Error)) {
    return { name: 'Error', message: String(thrown), code: undefined, definite: undefined, stack: undefined };
  }
  const { code, definite } = thrown as { code?: unknown; definite?: unknown };
  return {
    name: thrown.name,
    message: thrown.message,
    code: typeof code === 'string' ? code : undefined,
    definite: typeof definite === 'boolean' ? definite : undefined,
    stack: thrown.stack,
  };
}

/** Serves calls to `target` from `port`. The port does not keep the thread alive. */
export function serveControl(target: object, port: MessagePort): void {
  const methods = target as Controllable;
  const api = {
    async call(method: string, args: unknown[]): Promise<Outcome> {
      try {
        const found = methods[method];
        if (typeof found !== 'function') throw new TypeError(`there is no control method '${method}'`);
        return { value: await found.apply(target, args) };
      } catch (error) {
        return { error: errorData(error) };
      }
    },
  };
  comlink.expose(api, endpointOf(port));
  port.unref();
}

/** The caller's end. */
export class ControlLine<T> {
  /** The methods of the other side. */
  readonly remote: Remote<T>;
  private readonly port: MessagePort;
  private readonly call: (method: string, args: unknown[]) => Promise<Outcome>;
  /** What to call if the thread dies, for each call on its way. */
  private readonly pending = new Set<(error: Error) => void>();
  private gone: ThreadGoneError | undefined = undefined;

  /** @param onHangUp - called once when the port closes: when the thread ends, before anything that may hold up its end */
  constructor(port: MessagePort, onHangUp: () => void = () => {}) {
    this.port = port;
    port.once('close', onHangUp);
    const far = comlink.wrap<{ call(method: string, args: unknown[]): Promise<Outcome> }>(endpointOf(port));
    this.call = (method, args) => far.call(method, args);
    port.unref();
    this.remote = new Proxy({} as Remote<T>, {
      get: (_, method) => {
        // A proxy that answered `then` would be taken for a promise by `await`.
        if (typeof method !== 'string' || method === 'then') return undefined;
        return (...args: unknown[]) => this.invoke(method, args);
      },
    });
  }

  /** Rejects all calls on their way, and those to come. */
  close(reason: string): void {
    this.gone = new ThreadGoneError(reason);
    for (const reject of this.pending) reject(this.gone);
    this.pending.clear();
    this.port.close();
  }

  private invoke(method: string, args: unknown[]): Promise<unknown> {
    if (this.gone !== undefined) return Promise.reject(this.gone);
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        this.pending.delete(reject);
        if (this.pending.size === 0) this.port.unref();
      };
      this.pending.add(reject);
      // A call on its way keeps the process alive.
      this.port.ref();
      this.call(method, args).then(
        (outcome) => {
          settle();
          if ('error' in outcome) reject(new RemoteError(outcome.error));
          else resolve(outcome.value);
        },
        (error: unknown) => {
          settle();
          reject(error instanceof Error ? error : new Error(String(error)));
        },
      );
    });
  }
}

/** Makes a MessagePort look like what comlink listens to. Its own adapter has no types that NodeNext can use. */
function endpointOf(port: MessagePort): comlink.Endpoint {
  const listeners = new Map<EventListenerOrEventListenerObject, (data: unknown) => void>();
  return {
    postMessage(message: unknown, transfer?: Transferable[]) {
      port.postMessage(message, (transfer ?? []) as never);
    },
    addEventListener(_type, listener) {
      const heard = (data: unknown): void => {
        const event = { data } as MessageEvent;
        if (typeof listener === 'function') listener(event);
        else listener.handleEvent(event);
      };
      listeners.set(listener, heard);
      port.on('message', heard);
    },
    removeEventListener(_type, listener) {
      const heard = listeners.get(listener);
      if (heard === undefined) return;
      listeners.delete(listener);
      port.off('message', heard);
    },
    start() {
      port.start();
    },
  };
}
