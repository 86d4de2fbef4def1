/** The events of a host: told to the owner of its thread. */

/** What a host lets its owner know. */
export interface HostEvents {
  /** An actor threw; it is restarted unless `escalated` follows. */
  crashed?(slot: number, incarnation: number, error: unknown): void;
  /** An actor failed too often: the thread must end, as if it had thrown. Without a listener the error is thrown. */
  escalated?(slot: number, error: unknown): void;
  /** A frame did not hold what its codec expects, or a commit failed: nothing is lost unanswered, but someone must know. */
  trouble?(what: 'malformed-frame' | 'commit-failed' | 'forgotten-request', error: unknown): void;
}
