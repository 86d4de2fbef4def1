/** What an operator has been told of each node: one trouble that goes on, or some that take turns, are told once. */

/** What has not happened for so long is news when it happens again, in milliseconds. */
const QUIET_MS = 60_000;
/** Of a node. With more kinds of trouble at a time, the one that came last is told again. */
const MAX_TEXTS = 16;

export class ToldOnce {
  /** By node, when each text came last, the oldest first. */
  private readonly seen = new Map<number, Map<string, number>>();

  /** True if the node's `text` is to be told; it counts as told then. @param nowMs - monotonic */
  isNews(node: number, text: string, nowMs: number): boolean {
    const texts = this.seen.get(node) ?? new Map<string, number>();
    this.seen.set(node, texts);
    const lastMs = texts.get(text);
    texts.delete(text);
    if (texts.size === MAX_TEXTS) texts.delete(texts.keys().next().value!);
    texts.set(text, nowMs);
    return lastMs === undefined || nowMs - lastMs >= QUIET_MS;
  }

  /** The node is well again: whatever comes is news. */
  forget(node: number): void {
    this.seen.delete(node);
  }
}
