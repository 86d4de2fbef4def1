/** JSON objects that follow each other in a stream of bytes with nothing between them but, at most, white space. */

type JsonObject = { readonly [name: string]: unknown };

const WHITE = /^[ \t\r\n]*/;

/**
 * The objects, each as soon as it is complete.
 * @param maxChars - longer ones are an error
 * @throws {SyntaxError} The stream is not JSON objects, or ends within one.
 */
export async function* jsonObjectsOf(
  chunks: AsyncIterable<Uint8Array>,
  maxChars: number,
): AsyncGenerator<JsonObject, void, undefined> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let text = '';
  /** How far `text` was looked at, and what was seen: brackets that are open, and whether it stands in a string. */
  let at = 0;
  let depth = 0;
  let inString = false;
  for await (const chunk of chunks) {
    text += decoder.decode(chunk, { stream: true });
    for (; at < text.length; at++) {
      const char = text[at];
      if (inString) {
        if (char === '\\') at++;
        else if (char === '"') inString = false;
      } else if (char === '"') inString = true;
      else if (char === '{' || char === '[') depth++;
      else if ((char === '}' || char === ']') && --depth === 0) {
        yield objectOf(text.slice(0, at + 1));
        text = text.slice(at + 1);
        at = -1;
      }
    }
    if (text.length > maxChars) throw new SyntaxError(`an object is longer than ${maxChars} characters`);
  }
  const rest = (text + decoder.decode()).replace(WHITE, '');
  if (rest !== '') throw new SyntaxError('it ends within an object');
}

function objectOf(text: string): JsonObject {
  const value: unknown = JSON.parse(text);
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject;
  throw new SyntaxError('it holds something that is not an object');
}
