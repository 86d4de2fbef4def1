/** A binary min-heap: for timers and k-way merges. Not stable: `compare` must tell apart what has an order. */
export class Heap<T extends NonNullable<unknown>> {
  private readonly items: T[] = [];
  private readonly compare: (a: T, b: T) => number;

  /** `compare(a, b)` is negative if `a` comes out before `b`. */
  constructor(compare: (a: T, b: T) => number) {
    this.compare = compare;
  }

  get size(): number {
    return this.items.length;
  }

  /** The item that `pop` would take, or undefined if there is none. */
  peek(): T | undefined {
    return this.items[0];
  }

  push(item: T): void {
    this.items.push(item);
    this.rise(this.items.length - 1);
  }

  /** Takes the least item out, or gives undefined if there is none. */
  pop(): T | undefined {
    const last = this.items.pop();
    if (last === undefined || this.items.length === 0) return last;
    const least = this.items[0]!;
    this.items[0] = last;
    this.sink();
    return least;
  }

  /** Puts `item` in the place of the least, and gives that: one `pop` and `push` at half the price. */
  replace(item: T): T | undefined {
    const least = this.items[0];
    if (least === undefined) {
      this.items.push(item);
      return undefined;
    }
    this.items[0] = item;
    this.sink();
    return least;
  }

  clear(): void {
    this.items.length = 0;
  }

  private rise(index: number): void {
    const { items, compare } = this;
    const item = items[index]!;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (compare(item, items[parent]!) >= 0) break;
      items[index] = items[parent]!;
      index = parent;
    }
    items[index] = item;
  }

  private sink(): void {
    const { items, compare } = this;
    const item = items[0]!;
    const half = items.length >> 1;
    let index = 0;
    while (index < half) {
      let child = 2 * index + 1;
      const right = child + 1;
      if (right < items.length && compare(items[right]!, items[child]!) < 0) child = right;
      if (compare(items[child]!, item) >= 0) break;
      items[index] = items[child]!;
      index = child;
    }
    items[index] = item;
  }
}
