/** What one simulated thread knows of the others, and how many requests it has open at each. Knowledge lags behind. */
export class PeerTable {
  readonly #incarnations: number[];
  readonly #up: boolean[];
  /** True while the connection to a thread is known to be broken and a cut keeps it from being made anew. */
  readonly #disconnected: boolean[];
  readonly #open: number[];
  /** As last seen. */
  readonly #pulses: number[];
  /** The incarnations of a peer's actors, by slot, where one was found not to be the first. */
  readonly #actors: Map<number, number>[] = [];

  constructor(threads: number) {
    this.#incarnations = new Array(threads).fill(0);
    this.#up = new Array(threads).fill(false);
    this.#disconnected = new Array(threads).fill(false);
    this.#open = new Array(threads).fill(0);
    this.#pulses = new Array(threads).fill(0);
    for (let peer = 0; peer < threads; peer++) this.#actors.push(new Map());
  }

  /** At one's own start: the peer's incarnation if it is up, else 0. */
  meet(peer: number, incarnation: number): void {
    this.#incarnations[peer] = incarnation;
    this.#up[peer] = incarnation > 0;
  }

  learn(peer: number, incarnation: number, up: boolean): void {
    if (incarnation !== this.#incarnations[peer]) this.#actors[peer]!.clear();
    this.#incarnations[peer] = incarnation;
    this.#up[peer] = up;
  }

  incarnationOf(peer: number): number {
    return this.#incarnations[peer]!;
  }

  /** The last known incarnation of a peer's actor; one never heard of has its first. */
  actorIncarnation(peer: number, slot: number): number {
    return this.#actors[peer]!.get(slot) ?? 1;
  }

  learnActor(peer: number, slot: number, incarnation: number): void {
    // News may be overtaken by newer news.
    if (incarnation > this.actorIncarnation(peer, slot)) this.#actors[peer]!.set(slot, incarnation);
  }

  reachable(peer: number): boolean {
    return this.#up[peer]! && !this.#disconnected[peer];
  }

  disconnected(peer: number): void {
    this.#disconnected[peer] = true;
  }

  reconnect(): void {
    this.#disconnected.fill(false);
  }

  /** What one knows of a peer's pulse: −1 if it is known to be down. @param seen - undefined if nothing is seen of it */
  pulse(peer: number, seen: number | undefined): number {
    if (!this.#up[peer]) return -1;
    if (seen !== undefined) this.#pulses[peer] = seen;
    return this.#pulses[peer]!;
  }

  opened(peer: number): void {
    this.#open[peer]!++;
  }

  closed(peer: number): void {
    this.#open[peer]!--;
  }

  openTo(peer: number): number {
    return this.#open[peer]!;
  }

  /** At one's own end. */
  clear(): void {
    this.#up.fill(false);
    this.#disconnected.fill(false);
    this.#open.fill(0);
    this.#incarnations.fill(0);
    this.#pulses.fill(0);
    for (const actors of this.#actors) actors.clear();
  }
}
