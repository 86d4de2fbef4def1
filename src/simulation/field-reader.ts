/** Reads the fields of an object that was parsed from JSON, and says which is wrong, and what it may be. */
import { InvalidArgumentError } from '../base/errors.js';

type Fields = Readonly<Record<string, unknown>>;

/** Reads one field after the other, and knows at the end which nobody asked for. */
export class FieldReader {
  /** What the object is called in messages. */
  readonly where: string;
  private readonly fields: Fields;
  private readonly asked = new Set<string>();

  constructor(where: string, value: unknown) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new InvalidArgumentError(`${where} must be an object, not ${JSON.stringify(value)}`);
    }
    this.where = where;
    this.fields = value as Fields;
  }

  /** A number from `least` to `most`; without a default it must be there. */
  number(name: string, least: number, most: number, otherwise?: number): number {
    const value = this.take(name) ?? otherwise;
    if (typeof value !== 'number' || !(value >= least && value <= most)) {
      throw this.wrong(name, `a number from ${least} to ${most}`, value);
    }
    return value;
  }

  integer(name: string, least: number, most: number, otherwise?: number): number {
    const value = this.number(name, least, most, otherwise);
    if (!Number.isInteger(value)) throw this.wrong(name, `an integer from ${least} to ${most}`, value);
    return value;
  }

  text(name: string, otherwise?: string): string {
    const value = this.take(name) ?? otherwise;
    if (typeof value !== 'string' || value === '') throw this.wrong(name, 'a text', value);
    return value;
  }

  oneOf<Value extends string>(name: string, values: readonly Value[], otherwise?: Value): Value {
    const value = this.take(name) ?? otherwise;
    if (!values.includes(value as Value)) throw this.wrong(name, `one of ${values.join(', ')}`, value);
    return value as Value;
  }

  texts(name: string, otherwise?: readonly string[]): readonly string[] {
    const value = this.take(name) ?? otherwise;
    if (!Array.isArray(value) || value.length === 0 || !value.every((one) => typeof one === 'string')) {
      throw this.wrong(name, 'a list of texts', value);
    }
    return value;
  }

  /** The field as it is, undefined if it is not there. */
  take(name: string): unknown {
    this.asked.add(name);
    return this.fields[name];
  }

  end(): void {
    for (const name of Object.keys(this.fields)) {
      if (this.asked.has(name)) continue;
      throw new InvalidArgumentError(`${this.where} has no field "${name}"; it has ${[...this.asked].join(', ')}`);
    }
  }

  wrong(name: string, wanted: string, value: unknown): InvalidArgumentError {
    const is = value === undefined ? 'it is missing' : `it is ${JSON.stringify(value)}`;
    return new InvalidArgumentError(`${this.where}: "${name}" must be ${wanted}; ${is}`);
  }
}
