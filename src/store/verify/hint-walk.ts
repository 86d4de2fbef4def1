/** Goes through the hints that a node keeps for others: see `own-files.ts`. */
import { CorruptRecordError, UnknownRecordVersionError } from '../../codec/errors.js';
import { decodeLocatedKey } from '../../codec/key.js';
import { highestCounterIn } from '../../codec/record-update.js';
import { decodeHintFence } from '../../hinted-handoff/hint-fence.js';
import {
  COUNTED,
  KNOWS_FENCES,
  LEDGER,
  locatedKeyOf,
  numberOf,
  OWN,
  ownerOf,
  PROBE,
  partitionOfHint,
  REFUSE_BELOW,
  SET_ASIDE,
  SURELY_BELOW,
} from '../../hinted-handoff/hint-key.js';
import { decodeLedger } from '../../hinted-handoff/hint-ledger.js';
import { decodeHint, type Hint } from '../../hinted-handoff/hint-record.js';
import type { PreferenceList } from '../../ring/preference-list.js';
import type { Storage } from '../../storage/storage.js';
import { type Complain, entriesOf, type Fences } from './own-files.js';

export interface HintsReport {
  readonly hints: number;
  /** Those of them that cannot be read. */
  readonly hintsUnreadable: number;
  /** What was found unreadable, or refused by its owner, before: kept, and not delivered. */
  readonly hintsSetAside: number;
}

export interface HintWalkOptions {
  readonly node: number;
  readonly names: readonly string[];
  readonly lists: readonly PreferenceList[];
  readonly fences: Fences;
  readonly complain: Complain;
}

/** The names of so many hints are looked at for one that is used twice. */
const MAX_NAMES = 1_000_000;
const LETTER_AT = 2;
const WITHOUT_NUMBERS = new Set([PROBE, KNOWS_FENCES, COUNTED]);

export function walkHints(storage: Storage, options: HintWalkOptions): HintsReport {
  const walk = new HintWalk(options);
  for (const { key, value } of entriesOf(storage)) walk.take(key, value);
  return walk.report();
}

class HintWalk {
  private readonly options: HintWalkOptions;
  private hints = 0;
  private unreadable = 0;
  private setAside = 0;
  private readonly counted = new Map<number, { count: number; bytes: number }>();
  /** By owner, what its ledger says. */
  private readonly ledgers = new Map<number, { count: number; bytes: number } | undefined>();

  constructor(options: HintWalkOptions) {
    this.options = options;
  }

  take(key: Uint8Array, value: Uint8Array): void {
    const owner = ownerOf(key);
    if (owner === SET_ASIDE) this.setAside++;
    else if (owner === OWN) this.takeOwn(key, value);
    else this.takeHint(owner, key, value);
  }

  report(): HintsReport {
    for (const owner of new Set([...this.counted.keys(), ...this.ledgers.keys()])) {
      const { count, bytes } = this.counted.get(owner) ?? { count: 0, bytes: 0 };
      const ledger = this.ledgers.get(owner);
      if (ledger?.count === count && ledger.bytes === bytes) continue;
      const said = ledger === undefined ? 'cannot be read' : `says ${ledger.count} (${ledger.bytes} bytes)`;
      this.complain(
        `the ledger of its hints for ${this.nameOf(owner)} ${said}, and there are ${count} (${bytes} bytes)`,
      );
    }
    return { hints: this.hints, hintsUnreadable: this.unreadable, hintsSetAside: this.setAside };
  }

  private takeOwn(key: Uint8Array, value: Uint8Array): void {
    const letter = String.fromCharCode(key[LETTER_AT]!);
    const number = numberOf(key);
    if (letter === LEDGER) this.ledgers.set(number, decodeLedger(value));
    else if (letter === REFUSE_BELOW || letter === SURELY_BELOW) this.takeFloor(number, value);
    else if (!WITHOUT_NUMBERS.has(letter)) this.complain(`hints file: an entry that nobody knows: ${letter}`);
  }

  private takeFloor(partition: number, value: Uint8Array): void {
    const { lists, fences } = this.options;
    const floor = decodeHintFence(value);
    if (partition >= lists.length) this.complain(`it refuses hints of partition ${partition}, which there is not`);
    else if (floor === undefined) {
      this.complain(`hints file: below which tag it refuses hints of partition ${partition} cannot be read`);
    } else {
      const highest = fences.highestTag(partition) ?? floor;
      if (floor > highest) {
        this.complain(
          `it refuses hints of partition ${partition} below ${floor}, and no primary has given more than ${highest}`,
        );
      }
    }
  }

  private takeHint(owner: number, key: Uint8Array, value: Uint8Array): void {
    this.hints++;
    const counted = this.counted.get(owner) ?? { count: 0, bytes: 0 };
    counted.count++;
    counted.bytes += key.length + value.length;
    this.counted.set(owner, counted);
    try {
      decodeLocatedKey(locatedKeyOf(key));
      this.check(owner, key, decodeHint(value));
    } catch (error) {
      // Whole, and written by a newer version.
      if (error instanceof UnknownRecordVersionError) return;
      if (!(error instanceof CorruptRecordError)) throw error;
      this.unreadable++;
      this.complain(`a hint for ${this.nameOf(owner)} cannot be read (${error.message})`);
    }
  }

  private check(owner: number, key: Uint8Array, { tag, writer, counter, record }: Hint): void {
    const { node, lists, fences } = this.options;
    const partition = partitionOfHint(key);
    if (owner === node || lists[partition]?.primaries.includes(owner) !== true) {
      this.complain(`a hint of partition ${partition} for ${this.nameOf(owner)}, which has no replica of it`);
      return;
    }
    const floor = fences.fence(owner, partition)?.floor ?? 0;
    if (tag < floor) {
      this.complain(
        `a hint of partition ${partition} that ${this.nameOf(owner)} will refuse: its tag is ${tag}, the floor ${floor}`,
      );
    }
    const highest = fences.highestTag(partition) ?? tag;
    if (tag > highest) {
      this.complain(
        `a hint of partition ${partition} has the tag ${tag}, and no primary has given more than ${highest}`,
      );
    }
    if (highestCounterIn(record, writer) > counter) {
      this.complain(`a hint for ${this.nameOf(owner)} has seen more of its own writer than that has minted`);
    }
    if (this.hints <= MAX_NAMES) fences.noteName(writer, node, `a hint for ${this.nameOf(owner)}`);
  }

  private complain(what: string): void {
    this.options.complain(this.options.node, what);
  }

  private nameOf(owner: number): string {
    return this.options.names[owner] ?? `node ${owner} (which there is not)`;
  }
}
