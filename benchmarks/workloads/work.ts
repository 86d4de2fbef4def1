/**
 * What an application does with a value that it got, as far as cores are concerned: some microseconds on its own thread.
 * Checking, parsing and rendering differ too much to be measured by one of them; SHA-256, again and again, takes about as long.
 */
import { hash } from 'node:crypto';

const TIMES = 5;

/** Hashes the value, and then the digest, so that the whole takes 10 to 20 µs for small values. */
export function workOn(value: Uint8Array): void {
  let digest: Uint8Array = value;
  for (let i = 0; i < TIMES; i++) digest = hash('sha256', digest, 'buffer');
  if (digest.length !== 32) throw new Error('a digest has 32 bytes');
}

/** What that takes by itself, in microseconds. */
export function workMicros(valueBytes: number): number {
  const value = new Uint8Array(valueBytes).fill(7);
  for (let i = 0; i < 2_000; i++) workOn(value);
  const times = 2_000;
  const { user, system } = process.cpuUsage();
  for (let i = 0; i < times; i++) workOn(value);
  const after = process.cpuUsage();
  return (after.user + after.system - user - system) / times;
}
