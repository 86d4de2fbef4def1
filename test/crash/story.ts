/** What a crash test is: a story that ends well, throws, or cannot be told here. */

/** Tells how far it is, on one line. */
export type Progress = (text: string) => void;

/** What it needs is not there: it counts neither as passed nor as failed. */
export interface Skipped {
  /** What is missing, and how to get it. */
  readonly skipped: string;
}

export interface Story {
  readonly name: string;
  /** It mostly waits, and nothing in it is held to a time: the one next to it may run at the same time, if it is another such. */
  readonly leavesRoom?: boolean;
  /** @returns what was seen, on one line */
  run(progress: Progress): Promise<string | Skipped>;
}
