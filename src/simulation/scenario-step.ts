/** What a step of a scenario (`scenario.ts`) is: what it is called, what fields it has, what they are checked against. */
import type { FieldReader } from './field-reader.js';
import type { NodeCopy, SimulatedCluster } from './simulated-cluster.js';

/** The longest span that a scenario can name, in virtual milliseconds. */
export const MAX_MS = 3_600_000;

/** What the steps of one run have in common. */
export interface StepState {
  /** Every key that was touched. */
  readonly keys: Set<string>;
  /** By node, the last copy of its disks. */
  readonly copies: Map<string, NodeCopy>;
}

export type Action = (cluster: SimulatedCluster, state: StepState) => void;

/** What a step is checked against. */
export interface StepPlace {
  /** When, in virtual milliseconds from the beginning. */
  readonly at: number;
  /** Reads the name of a node that the scenario has, and several: those of a field. */
  one(fields: FieldReader): string;
  many(fields: FieldReader, field: string): readonly string[];
  /** All steps that make a copy of a node. */
  readonly copied: readonly { readonly node: unknown; readonly at: unknown }[];
  /** True if each commit is flushed. */
  readonly flushes: boolean;
  /** True if replicas are compared, and if deletions are reaped. */
  readonly exchanges: boolean;
  readonly reaps: boolean;
}

export interface StepForm {
  /** Beside `at` and `do`; those with a question mark may be left out. */
  readonly fields: string;
  readonly what: string;
  read(fields: FieldReader, place: StepPlace): Action;
}
