/** Numbers in digits, capitals and small letters, as Riak writes vtags and generated keys. */

const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** `bytes`, read as one big-endian number, in base 62; zero is `0`. */
export function base62(bytes: Uint8Array): string {
  let rest = 0n;
  for (const byte of bytes) rest = (rest << 8n) | BigInt(byte);
  if (rest === 0n) return '0';
  let text = '';
  for (; rest > 0n; rest /= 62n) text = DIGITS[Number(rest % 62n)]! + text;
  return text;
}
