/**
 * Conditional reads: whether what was found is to be sent, is what the client has already, or fails its condition.
 * Pure. Source: RFC 9110, §13.1 (the conditions) and §13.2.2 (their order).
 */
import type { Conditions } from './protocol.js';

/** @param lastModifiedMs - milliseconds since 1970; compared in whole seconds, as HTTP dates are */
export function evaluate(conditions: Conditions, etag: string, lastModifiedMs: number): 200 | 304 | 412 {
  const modified = Math.floor(lastModifiedMs / 1000) * 1000;
  if (conditions.ifMatch !== undefined) {
    if (!lists(conditions.ifMatch, etag)) return 412;
  } else if (conditions.ifUnmodifiedSince !== undefined && modified > Date.parse(conditions.ifUnmodifiedSince)) {
    return 412;
  }
  if (conditions.ifNoneMatch !== undefined) return lists(conditions.ifNoneMatch, etag) ? 304 : 200;
  // An unreadable date is NaN: every comparison with it is false, and the condition is ignored, as §13.1.3 asks.
  if (conditions.ifModifiedSince !== undefined && modified <= Date.parse(conditions.ifModifiedSince)) return 304;
  return 200;
}

function lists(tags: string, etag: string): boolean {
  return tags.split(',').some((entry) => {
    const tag = entry.trim();
    return tag === '*' || tag.replace(/^W\//, '') === etag;
  });
}
