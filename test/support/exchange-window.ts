/** Times of the day at which a story has no exchanges, but for those that it waits for. */
import type { ExchangeWindowOptions } from '../../src/store/api/open-options.js';

/** An hour that begins eleven to twelve hours from now. */
export function windowFarFromNow(): ExchangeWindowOptions {
  const hour = new Date().getUTCHours();
  const clock = (hours: number) => `${String((hour + hours) % 24).padStart(2, '0')}:00`;
  return { from: clock(12), to: clock(13) };
}
