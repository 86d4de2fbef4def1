/** What a crash test is: a story that ends well or throws. */

/** Tells how far it is, on one line. */
export type Progress = (text: string) => void;

export interface Story {
  readonly name: string;
  /** @returns what was seen, on one line */
  run(progress: Progress): Promise<string>;
}
