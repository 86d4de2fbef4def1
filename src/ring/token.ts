/**
 * Tokens: where a key lies on the ring. A token is a key's 64-bit hash; the space of tokens is cut into equal
 * partitions, so a token's partition is its top bits. Only the high half of the hash is ever needed.
 * Source: Dynamo (SOSP 2007), §6.2, strategy 3 (equal partitions).
 */

export const MIN_PARTITIONS = 8;
export const MAX_PARTITIONS = 1_024;

/** True if a ring can have so many partitions: a power of two from 8 to 1,024. */
export function isPartitionCount(count: number): boolean {
  return Number.isInteger(count) && count >= MIN_PARTITIONS && count <= MAX_PARTITIONS && (count & (count - 1)) === 0;
}

/**
 * The partition, 0 to `partitions` − 1, of the token whose high 32 bits are `tokenHigh`.
 * `partitions` is trusted to be a valid partition count: this is the first thing that every operation does.
 */
export function partitionOf(tokenHigh: number, partitions: number): number {
  return tokenHigh >>> (Math.clz32(partitions) + 1);
}
