/**
 * JSON texts as they stand. Parsed and written anew, numbers would be rounded to 53 bits, and lose how they were written;
 * here they stay text. Pure. Every `text` must be one that `JSON.parse` takes.
 */

/** The text without line ends: as it is if it has none, else without any white space outside its strings. */
export function onOneLine(text: string): string {
  if (!/[\r\n]/.test(text)) return text;
  const pieces: string[] = [];
  let from = 0;
  for (let at = 0; at < text.length; ) {
    if (text[at] === '"') at = stringEnd(text, at);
    else if (isWhite(text, at)) {
      pieces.push(text.slice(from, at));
      from = ++at;
    } else at++;
  }
  pieces.push(text.slice(from));
  return pieces.join('');
}

/** The members of an object, in their order: each name, and the text of its value. A name may come twice. */
export function membersOf(text: string): [name: string, value: string][] {
  const members: [string, string][] = [];
  for (let at = text.indexOf('"'); at >= 0; at = text.indexOf('"', at)) {
    const nameEnd = stringEnd(text, at);
    const name: string = JSON.parse(text.slice(at, nameEnd));
    let begin = text.indexOf(':', nameEnd) + 1;
    while (isWhite(text, begin)) begin++;
    at = valueEnd(text, begin);
    members.push([name, text.slice(begin, at)]);
  }
  return members;
}

/** Where the value that begins at `at` ends. */
function valueEnd(text: string, at: number): number {
  let depth = 0;
  for (let i = at; ; ) {
    const char = text[i];
    if (char === '"') i = stringEnd(text, i);
    else {
      if (depth === 0 && (char === ',' || char === '}' || isWhite(text, i))) return i;
      if (char === '{' || char === '[') depth++;
      else if (char === '}' || char === ']') depth--;
      i++;
    }
    // Only what has brackets, or is a string, ends by itself.
    if (depth === 0 && (char === '"' || char === '}' || char === ']')) return i;
  }
}

/** The place behind the string that begins at `at`. */
function stringEnd(text: string, at: number): number {
  for (let quote = text.indexOf('"', at + 1); ; quote = text.indexOf('"', quote + 1)) {
    let escapes = 0;
    while (text[quote - 1 - escapes] === '\\') escapes++;
    if (escapes % 2 === 0) return quote + 1;
  }
}

function isWhite(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}
