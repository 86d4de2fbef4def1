/**
 * A ring as JSON: what a data directory keeps, and what reopening it compares with. The owners are stored, not
 * claimed anew: a better claim in a later version must not move data by itself.
 */
import { InvalidArgumentError, OptionsMismatchError, UnknownFormatError } from '../base/errors.js';
import { assembleRing, checkPlan, type Member, type Ring, type RingPlan } from './ring.js';

const FORMAT = 1;

/** The stored form. `format` grows when a reader of this one could no longer make sense of it. */
export interface RingJson {
  readonly format: typeof FORMAT;
  readonly version: number;
  readonly partitions: number;
  readonly n: number;
  readonly members: readonly Member[];
  readonly owners: readonly number[];
}

export function ringToJson({ version, partitions, n, members, owners }: Ring): RingJson {
  return { format: FORMAT, version, partitions, n, members, owners };
}

/**
 * The ring whose JSON, parsed, is `json`.
 * @throws {UnknownFormatError} It is of another format, or no sound ring.
 */
export function ringFromJson(json: unknown): Ring {
  if (!isRecord(json)) throw new UnknownFormatError('the stored ring is not an object');
  if (json.format !== FORMAT) {
    throw new UnknownFormatError(
      `the stored ring is of format ${JSON.stringify(json.format)}; this version reads format ${FORMAT}`,
    );
  }
  const { version, partitions, n, members, owners } = json;
  if (!isInteger(version) || version < 1) throw damaged('its version is no integer above 0');
  if (!isInteger(partitions) || !isInteger(n)) throw damaged('partitions and n are not integers');
  if (!Array.isArray(members) || !members.every(isRecord)) throw damaged('its members are not a list of objects');
  const plan = { members: members as unknown as Member[], partitions, n };
  try {
    checkPlan(plan);
  } catch (error) {
    if (error instanceof InvalidArgumentError) throw damaged(error.message);
    throw error;
  }
  if (!Array.isArray(owners) || owners.length !== partitions) throw damaged(`it has not ${partitions} owners`);
  if (!owners.every((owner) => isInteger(owner) && owner >= 0 && owner < members.length)) {
    throw damaged('an owner is not one of its members');
  }
  return assembleRing(plan, version, owners as number[]);
}

/**
 * Compares a stored ring with what a store is opened with.
 * @throws {OptionsMismatchError} naming the first option that differs: nodes, their zones and weights, n, partitions.
 */
export function checkSamePlan(ring: Ring, plan: RingPlan): void {
  const differs = (what: string, stored: unknown, asked: unknown) =>
    new OptionsMismatchError(
      `${what} was fixed at creation as ${JSON.stringify(stored)}; open the store with that, not with ${JSON.stringify(asked)}`,
    );
  if (plan.partitions !== ring.partitions) throw differs('partitions', ring.partitions, plan.partitions);
  if (plan.n !== ring.n) throw differs('n', ring.n, plan.n);
  const names = (members: readonly Member[]) => members.map(({ name }) => name);
  const stored = names(ring.members);
  const asked = names(plan.members);
  if (stored.length !== asked.length || stored.some((name) => !asked.includes(name))) {
    throw differs('the set of nodes', stored, asked);
  }
  for (const { name, zone, weight } of ring.members) {
    const member = plan.members.find((other) => other.name === name)!;
    if (member.zone !== zone) throw differs(`the zone of node "${name}"`, zone, member.zone);
    if (member.weight !== weight) throw differs(`the weight of node "${name}"`, weight, member.weight);
  }
}

function damaged(why: string): UnknownFormatError {
  return new UnknownFormatError(`the stored ring is damaged: ${why}; restore it from a backup`);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isInteger(value: unknown): value is number {
  return Number.isSafeInteger(value);
}
