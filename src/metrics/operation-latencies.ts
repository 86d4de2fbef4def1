/**
 * How long the operations of a coordinator take, from the turn that reads the request to the one that sends the reply;
 * those that fail are not among them. One thread records them, and hands out copies when asked.
 */
import { Histogram, type HistogramData, type HistogramSummary } from './histogram.js';

/** By kind of operation. */
export interface ByOperation<T> {
  readonly gets: T;
  /** Deletes, too. */
  readonly puts: T;
  /** Of scans, which ask for a page of a partition at a time. */
  readonly pages: T;
}

export type OperationLatencies = ByOperation<Histogram>;

export function newOperationLatencies(): OperationLatencies {
  return { gets: new Histogram(), puts: new Histogram(), pages: new Histogram() };
}

/** For the way between threads. */
export function latencyData({ gets, puts, pages }: OperationLatencies): ByOperation<HistogramData> {
  return { gets: gets.data(), puts: puts.data(), pages: pages.data() };
}

/** Of all that these have recorded. */
export function summaryOf(recorded: readonly ByOperation<HistogramData>[]): ByOperation<HistogramSummary> {
  const { gets, puts, pages } = newOperationLatencies();
  for (const of of recorded) {
    gets.add(of.gets);
    puts.add(of.puts);
    pages.add(of.pages);
  }
  return { gets: gets.summary(), puts: puts.summary(), pages: pages.summary() };
}
