/** Asking all nodes round after round, for whoever waits for something that happens in their threads. */

/** Between two rounds of questions, in milliseconds. */
const ROUND_MS = 50;

/** Asks every node, and again, until it is done. Rejects as `ask` does. */
export async function pollNodes(
  nodes: number,
  ask: (node: number) => Promise<void>,
  isDone: () => boolean,
): Promise<void> {
  for (;;) {
    await Promise.all(Array.from({ length: nodes }, (_, node) => ask(node)));
    if (isDone()) return;
    await new Promise((resolve) => setTimeout(resolve, ROUND_MS));
  }
}
