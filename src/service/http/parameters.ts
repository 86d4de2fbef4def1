/**
 * Query parameters, as Riak names and refuses them. Pure.
 * Source: Riak KV's HTTP API (its parameters and error texts).
 */
import type { Quorum } from '../../store/api/call-options.js';
import { type Refusal, refused } from './request-head.js';

/** `rw`: of a delete, for whichever of `r` and `w` is left out. */
type QuorumName = 'r' | 'w' | 'pr' | 'pw' | 'dw' | 'rw';

/** Of a request on one object. */
export interface Parameters {
  /** Of reads. */
  readonly notFound: { readonly notfoundOk?: boolean; readonly basicQuorum?: boolean };
  readonly quorums: QuorumsGiven;
  readonly timeout: { readonly timeoutMs?: number };
  readonly returnBody: boolean;
}

const QUORUM_NAMES: readonly QuorumName[] = ['r', 'w', 'pr', 'pw', 'dw', 'rw'];

/** Parameters of Riak's that this service does not carry out, and the values that ask for what it does anyway. */
const NEUTRAL_VALUES: Readonly<Record<string, readonly string[]>> = {
  node_confirms: ['default', '0'],
  sync_on_write: ['default'],
  asis: ['default', 'false'],
};

type QuorumsGiven = Partial<Record<QuorumName, Quorum>>;

/** Quorums of these names; what is left to the store is left out. */
export function parseQuorums(query: URLSearchParams, names: readonly QuorumName[]): QuorumsGiven | Refusal {
  const quorums: QuorumsGiven = {};
  for (const name of names) {
    const text = query.get(name);
    if (text === null || text === 'default') continue;
    if (text === 'one' || text === 'quorum' || text === 'all') quorums[name] = text;
    else if (/^\d{1,9}$/.test(text)) quorums[name] = Number(text);
    else {
      const words = `${name} query parameter must be an integer or one of the following words: 'one', 'quorum' or 'all'\n`;
      return refused(400, words);
    }
  }
  return quorums;
}

/** The parameters of a request on one object, or why it is refused. */
export function parseParameters(query: URLSearchParams): Parameters | Refusal {
  const quorums = parseQuorums(query, QUORUM_NAMES);
  if ('kind' in quorums) return quorums;
  for (const [name, neutral] of Object.entries(NEUTRAL_VALUES)) {
    const text = query.get(name);
    if (text !== null && !neutral.includes(text)) {
      return refused(501, `${name} is supported only as ${neutral.join(' or ')}\n`);
    }
  }
  const notfoundOk = flag(query, 'notfound_ok');
  const basicQuorum = flag(query, 'basic_quorum');
  if (notfoundOk === null) return refused(400, 'notfound_ok query parameter must be true or false\n');
  if (basicQuorum === null) return refused(400, 'basic_quorum query parameter must be true or false\n');
  const timeout = parseTimeout(query);
  if ('kind' in timeout) return timeout;
  const returnBody = query.get('returnbody')?.toLowerCase();
  if (returnBody !== undefined && returnBody !== 'true' && returnBody !== 'false') {
    return refused(400, 'returnbody query parameter must be true or false\n');
  }
  return {
    quorums,
    notFound: {
      ...(notfoundOk !== undefined && { notfoundOk }),
      ...(basicQuorum !== undefined && { basicQuorum }),
    },
    timeout,
    returnBody: returnBody === 'true',
  };
}

/** How long to wait, or nothing where it is left to the store. */
export function parseTimeout(query: URLSearchParams): { readonly timeoutMs?: number } | Refusal {
  const text = query.get('timeout');
  if (text === null) return {};
  return /^\d{1,9}$/.test(text) ? { timeoutMs: Number(text) } : refused(400, `Bad timeout value "${text}"\n`);
}

/** Undefined if it is left to the store, null if it is neither true nor false. */
function flag(query: URLSearchParams, name: string): boolean | undefined | null {
  const text = query.get(name)?.toLowerCase();
  if (text === undefined || text === 'default') return undefined;
  return text === 'true' ? true : text === 'false' ? false : null;
}
