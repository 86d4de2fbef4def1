/**
 * What happened in a simulation: a running hash of everything, by which two runs of one seed are compared, and the
 * last few thousand happenings, to be read by people. Text is made only when asked for.
 */
import { FAILURES } from './mail.js';

/** What can be noted: %a, %b, %c are its three numbers, %f the third as a failure, %k as a kind of frame, %t its text. */
const KINDS = {
  turn: 'turn begins, incarnation %a, %b mails',
  'turn-cut': 'turn cut short by a crash',
  request: 'request %b goes to thread %a, slot %c',
  notice: 'notice to request %b of thread %a goes, %c bytes',
  reply: 'reply to request %b of thread %a goes, %c bytes',
  failure: 'failure of request %b of thread %a goes: %f',
  lost: 'frame of request %b from thread %a is lost (by a cut: %c)',
  duplicated: 'request %b is duplicated on its way to thread %a',
  arrive: '%k %b arrives from thread %a',
  dropped: 'frame of request %b from thread %a is dropped: old connection',
  receive: 'slot %a receives request %b of thread %c',
  answered: 'slot %a gets the answer to request %b (interim %c)',
  failed: 'slot %a: request %b failed: %f',
  timer: 'slot %a: timer %b',
  commit: 'commit begins, takes %a ms, %b replies held',
  committed: 'commit ends: %a failed, %b replies released',
  'actor-start': 'slot %a starts, incarnation %b',
  'actor-crash': 'slot %a crashes, incarnation %b; restart in %c ms (-1: never): %t',
  'thread-start': 'thread starts, incarnation %a',
  'thread-crash': 'thread crashes, incarnation %a (point %b)',
  'thread-stop': 'thread stops cleanly, incarnation %a',
  pause: 'thread stands still for %a ms',
  peer: 'learns that thread %a, incarnation %b, is up (1) or down (0): %c',
  disk: 'disk: %t',
  power: 'power fails',
  clock: 'clock jumps by %a ms, drift now %b',
  network: 'network: %t',
  note: '%t',
} as const;

export type TraceKind = keyof typeof KINDS;

const FRAME_NAMES = ['request', 'notice to request', 'reply to request', 'failure of request'];

const NAMES = Object.keys(KINDS) as TraceKind[];
const CODES = Object.fromEntries(NAMES.map((name, code) => [name, code])) as Record<TraceKind, number>;

const float = new Float64Array(1);
const words = new Uint32Array(float.buffer);

export class Trace {
  readonly #times: Float64Array;
  readonly #kinds: Uint8Array;
  readonly #threads: Int32Array;
  readonly #numbers: Float64Array;
  readonly #texts: (string | undefined)[];
  readonly #capacity: number;
  #count = 0;
  #high = 0x9e3779b9 | 0;
  #low = 0x7f4a7c15 | 0;

  /** Keeps the last `capacity` happenings for `lines`. */
  constructor(capacity: number) {
    this.#capacity = capacity;
    this.#times = new Float64Array(capacity);
    this.#kinds = new Uint8Array(capacity);
    this.#threads = new Int32Array(capacity);
    this.#numbers = new Float64Array(capacity * 3);
    this.#texts = new Array(capacity);
  }

  /** How many happenings were noted so far. */
  get count(): number {
    return this.#count;
  }

  /** A digest of everything noted so far, 16 hexadecimal digits: equal for equal runs. */
  get hash(): string {
    return (this.#high >>> 0).toString(16).padStart(8, '0') + (this.#low >>> 0).toString(16).padStart(8, '0');
  }

  /** Notes that something happened on `thread` (-1: on none). */
  note(time: number, thread: number, kind: TraceKind, a = 0, b = 0, c = 0, text?: string): void {
    const code = CODES[kind];
    const at = this.#count % this.#capacity;
    this.#count++;
    this.#times[at] = time;
    this.#kinds[at] = code;
    this.#threads[at] = thread;
    this.#numbers[at * 3] = a;
    this.#numbers[at * 3 + 1] = b;
    this.#numbers[at * 3 + 2] = c;
    this.#texts[at] = text;
    float[0] = time;
    this.#mix(words[0]!);
    this.#mix(words[1]!);
    this.#mix((code << 16) ^ thread);
    this.#mixNumber(a);
    this.#mixNumber(b);
    this.#mixNumber(c);
    if (text !== undefined) for (let i = 0; i < text.length; i++) this.#mix(text.charCodeAt(i));
  }

  /** Lets bytes that went over the wire count in the hash: their length, and at most 64 of them. */
  mixBytes(bytes: Uint8Array): void {
    this.#mix(bytes.length);
    const step = Math.max(1, Math.floor(bytes.length / 64));
    for (let i = 0; i < bytes.length; i += step) this.#mix(bytes[i]!);
  }

  /** The last `limit` happenings, oldest first, one line each. */
  lines(limit = this.#capacity): string[] {
    const from = Math.max(0, this.#count - Math.min(limit, this.#capacity));
    const lines: string[] = [];
    for (let i = from; i < this.#count; i++) lines.push(this.#line(i % this.#capacity));
    return lines;
  }

  #line(at: number): string {
    const thread = this.#threads[at]!;
    const number = (index: number): number => this.#numbers[at * 3 + index]!;
    const text = KINDS[NAMES[this.#kinds[at]!]!].replace(/%([abcfkt])/g, (_, letter: string) => {
      if (letter === 't') return this.#texts[at] ?? '';
      if (letter === 'f') return FAILURES[number(2)]!;
      if (letter === 'k') return FRAME_NAMES[number(2)]!;
      return String(number('abc'.indexOf(letter)));
    });
    return `${this.#times[at]!.toFixed(4).padStart(14)} ms  ${thread < 0 ? '  -' : `t${thread}`.padStart(3)}  ${text}`;
  }

  #mixNumber(value: number): void {
    // Small integers, nearly always; a fraction or a large number counts with all its bits.
    if ((value | 0) === value) {
      this.#mix(value);
    } else {
      float[0] = value;
      this.#mix(words[0]!);
      this.#mix(words[1]!);
    }
  }

  #mix(word: number): void {
    let high = Math.imul(this.#high ^ word, 0x85ebca6b);
    high ^= high >>> 13;
    let low = Math.imul((this.#low + word) | 0, 0xc2b2ae35) ^ high;
    low ^= low >>> 16;
    this.#high = high;
    this.#low = low;
  }
}
