/**
 * Media types: whether one is well formed, and how much an `Accept` header wants it.
 * Source: RFC 9110, §8.3.1 (media type) and §12.5.1 (Accept).
 */

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const MEDIA_TYPE = new RegExp(`^(${TOKEN})/(${TOKEN})[ \\t]*(?:;[\\t\\x20-\\x7e]*)?$`);

/** `type/subtype` in lower case, or undefined if `text` is not a media type that a header can carry. */
export function essenceOf(text: string): string | undefined {
  const match = MEDIA_TYPE.exec(text);
  return match ? `${match[1]}/${match[2]}`.toLowerCase() : undefined;
}

/**
 * How much `accept` wants `essence` (`type/subtype`): from 0, not at all, to 1. The most specific range decides.
 * An absent header wants everything.
 */
export function qualityOf(accept: string | undefined, essence: string): number {
  if (accept === undefined || accept.trim() === '') return 1;
  const family = `${essence.slice(0, essence.indexOf('/'))}/*`;
  let specificity = -1;
  let quality = 0;
  for (const part of accept.split(',')) {
    const [range, ...parameters] = part.split(';').map((piece) => piece.trim().toLowerCase());
    const rank = range === essence ? 2 : range === family ? 1 : range === '*/*' ? 0 : -1;
    if (rank <= specificity) continue;
    specificity = rank;
    const weight = parameters.find((parameter) => parameter.startsWith('q='));
    quality = weight === undefined ? 1 : Number.parseFloat(weight.slice(2));
    // An unreadable weight is taken as the default, 1.
    if (!(quality >= 0 && quality <= 1)) quality = 1;
  }
  return quality;
}

/** Whether siblings are to be sent as multipart/mixed or as a text list; undefined if neither is wanted. */
export function siblingForm(accept: string | undefined): 'text' | 'multipart' | undefined {
  const text = qualityOf(accept, 'text/plain');
  const multipart = qualityOf(accept, 'multipart/mixed');
  if (text === 0 && multipart === 0) return undefined;
  if (multipart !== text) return multipart > text ? 'multipart' : 'text';
  return accept?.toLowerCase().includes('multipart/mixed') ? 'multipart' : 'text';
}
