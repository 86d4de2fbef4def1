/**
 * The encoded answers that a turn holds back until its commit: they lie one behind another in memory that the next turn
 * uses again.
 */
import type { Envelope } from './envelope.js';
import { FrameEncoder } from './frame.js';

/** What most turns need; an answer that finds no room in it gets memory of its own. */
const HELD_BYTES = 64 * 2 ** 10;

export class HeldAnswers {
  private readonly shared = new Uint8Array(HELD_BYTES);
  private readonly encoder = new FrameEncoder(this.shared.buffer);
  private used = 0;

  /** Encodes the answer to `request`: sets its `start` and `length` in the returned memory. */
  keep(request: Envelope, answer: unknown): Uint8Array {
    const codec = request.cell.conversation.answer;
    const bound = codec.size(answer);
    const fits = this.used + bound <= HELD_BYTES;
    const memory = fits ? this.shared : new Uint8Array(bound);
    const encoder = fits ? this.encoder : new FrameEncoder(memory.buffer);
    const start = fits ? this.used : 0;
    encoder.begin(start, start + bound);
    codec.write(answer, encoder);
    request.start = start;
    request.length = encoder.written;
    if (fits) this.used += encoder.written;
    return memory;
  }

  /** Once all that was held is sent. */
  clear(): void {
    this.used = 0;
  }
}
