/**
 * An open loop: operations arrive at a constant rate, whether or not those before have ended, as requests of many users
 * do. Latencies count from when an operation was due, not from when it could be sent: a standstill delays all that was
 * due meanwhile, and all of that is seen (no coordinated omission; Tene 2015). Operations are begun by a timer of a
 * millisecond: so much of each latency may be the loop's own.
 *
 * What became of each is noted in columns made before: objects that outlive an operation are copied by the collector of
 * garbage, on the very thread that the store's client runs on.
 */
export type Kind = 'put' | 'get';

/** An operation under way. */
export interface Begun {
  readonly kind: Kind;
  readonly partition: number;
  /** Rejects if it failed. */
  readonly done: Promise<unknown>;
}

/** An operation that has ended. Times are in milliseconds from the start of the loop. */
export interface Ended {
  readonly kind: Kind;
  readonly partition: number;
  readonly dueMs: number;
  /** When it could be sent: its arrival at the store. */
  readonly begunMs: number;
  readonly endedMs: number;
  /** Its error's code or name; undefined if it succeeded. */
  readonly failure: string | undefined;
}

export interface OpenLoopOptions {
  readonly perSecond: number;
  readonly durationMs: number;
  /** Begins the operation number `n`, from 0 on. */
  begin(n: number): Begun;
}

/** Runs for `durationMs`; resolves once all has ended that was begun, with all of it in the order of arrival. */
export async function openLoop(options: OpenLoopOptions): Promise<Ended[]> {
  const loop = new Loop(options);
  await loop.run();
  return loop.ended();
}

class Loop {
  private readonly options: OpenLoopOptions;
  private readonly total: number;
  private readonly isPut: Uint8Array;
  private readonly partitions: Uint16Array;
  private readonly begunMs: Float64Array;
  private readonly endedMs: Float64Array;
  private readonly failures = new Map<number, string>();
  private startMs = 0;
  private left: number;
  private onEnd: (() => void) | undefined = undefined;

  constructor(options: OpenLoopOptions) {
    this.options = options;
    this.total = Math.floor((options.perSecond * options.durationMs) / 1_000);
    this.left = this.total;
    this.isPut = new Uint8Array(this.total);
    this.partitions = new Uint16Array(this.total);
    this.begunMs = new Float64Array(this.total);
    this.endedMs = new Float64Array(this.total);
  }

  async run(): Promise<void> {
    this.startMs = performance.now();
    for (let next = 0; next < this.total; ) {
      for (let now = this.nowMs(); next < this.total && this.dueMs(next) <= now; next++) this.begin(next);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    if (this.left === 0) return;
    await new Promise<void>((resolve) => {
      this.onEnd = resolve;
    });
  }

  ended(): Ended[] {
    return Array.from({ length: this.total }, (_, n) => ({
      kind: this.isPut[n] === 1 ? 'put' : 'get',
      partition: this.partitions[n]!,
      dueMs: this.dueMs(n),
      begunMs: this.begunMs[n]!,
      endedMs: this.endedMs[n]!,
      failure: this.failures.get(n),
    }));
  }

  private begin(n: number): void {
    this.begunMs[n] = this.nowMs();
    const { kind, partition, done } = this.options.begin(n);
    this.isPut[n] = kind === 'put' ? 1 : 0;
    this.partitions[n] = partition;
    done.then(
      () => this.end(n),
      (error: unknown) => {
        this.failures.set(n, nameOf(error));
        this.end(n);
      },
    );
  }

  private end(n: number): void {
    this.endedMs[n] = this.nowMs();
    this.left--;
    if (this.left === 0) this.onEnd?.();
  }

  private nowMs(): number {
    return performance.now() - this.startMs;
  }

  private dueMs(n: number): number {
    return (n * 1_000) / this.options.perSecond;
  }
}

function nameOf(error: unknown): string {
  const { code, name } = error as { code?: unknown; name?: unknown };
  return String(code ?? name ?? error);
}
