/** The HTTP service over a store that is watched, on a free port of this machine. */
import { type HttpOptions, serveHttp } from '../../src/service/http/server.js';
import { WatchedStore } from './watched-store.js';

/** @param t - at the end of which the service is closed */
export async function startWatchedService(
  t: { teardown(fn: () => unknown): void },
  options: HttpOptions = {},
): Promise<{ store: WatchedStore; url: string }> {
  const store = new WatchedStore();
  const service = await serveHttp(store, { port: 0, ...options });
  t.teardown(() => service.close());
  return { store, url: service.url };
}
