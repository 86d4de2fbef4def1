/**
 * Conditions: whether what was found is to be sent, is what the client has already, or is not what it wants to change.
 * Pure. Source: RFC 9110, §13.1 (the conditions) and §13.2.2 (their order).
 */
import { header, type RequestHeaders } from './headers.js';

/** Conditions of a request, by header. */
export interface Conditions {
  readonly ifNoneMatch: string | undefined;
  readonly ifMatch: string | undefined;
  readonly ifModifiedSince: string | undefined;
  readonly ifUnmodifiedSince: string | undefined;
}

export function conditionsOf(headers: RequestHeaders): Conditions {
  return {
    ifNoneMatch: header(headers, 'if-none-match'),
    ifMatch: header(headers, 'if-match'),
    ifModifiedSince: header(headers, 'if-modified-since'),
    ifUnmodifiedSince: header(headers, 'if-unmodified-since'),
  };
}

/** @param lastModifiedMs - milliseconds since 1970; compared in whole seconds, as HTTP dates are */
export function evaluate(conditions: Conditions, etag: string, lastModifiedMs: number): 200 | 304 | 412 {
  const modified = Math.floor(lastModifiedMs / 1000) * 1000;
  if (conditions.ifMatch !== undefined) {
    if (!lists(conditions.ifMatch, etag, 'strongly')) return 412;
  } else if (conditions.ifUnmodifiedSince !== undefined && modified > Date.parse(conditions.ifUnmodifiedSince)) {
    return 412;
  }
  if (conditions.ifNoneMatch !== undefined) return lists(conditions.ifNoneMatch, etag, 'weakly') ? 304 : 200;
  // An unreadable date is NaN: every comparison with it is false, and the condition is ignored, as §13.1.3 asks.
  if (conditions.ifModifiedSince !== undefined && modified <= Date.parse(conditions.ifModifiedSince)) return 304;
  return 200;
}

/** What a request's conditions are about: the version that is there; undefined if there is none. */
export interface Version {
  readonly etag: string;
  /** Milliseconds since 1970; compared in whole seconds, as HTTP dates are. */
  readonly lastModifiedMs: number;
}

/** True if a read must come before the write, to tell whether its conditions hold. */
export function needRead({ ifMatch, ifNoneMatch, ifUnmodifiedSince }: Conditions): boolean {
  return ifMatch !== undefined || ifUnmodifiedSince !== undefined || (ifNoneMatch !== undefined && !isAny(ifNoneMatch));
}

/** True for `*`: If-None-Match asks that nothing be there at all, If-Match that something is. */
export function isAny(tags: string | undefined): boolean {
  return tags?.trim() === '*';
}

/** Whether a write's conditions hold for what is there. If-Modified-Since has no meaning for writes, and is passed by. */
export function mayWrite({ ifMatch, ifNoneMatch, ifUnmodifiedSince }: Conditions, there: Version | undefined): boolean {
  if (ifMatch !== undefined) {
    if (there === undefined || !lists(ifMatch, there.etag, 'strongly')) return false;
  } else if (ifUnmodifiedSince !== undefined && there !== undefined) {
    if (Math.floor(there.lastModifiedMs / 1000) * 1000 > Date.parse(ifUnmodifiedSince)) return false;
  }
  return ifNoneMatch === undefined || there === undefined || !lists(ifNoneMatch, there.etag, 'weakly');
}

/** Strongly, a weak tag equals none: it says that bytes may differ. Source: RFC 9110, §8.8.3.2. */
function lists(tags: string, etag: string, compared: 'strongly' | 'weakly'): boolean {
  return tags.split(',').some((entry) => {
    const tag = entry.trim();
    return tag === '*' || (compared === 'weakly' ? tag.replace(/^W\//, '') : tag) === etag;
  });
}
