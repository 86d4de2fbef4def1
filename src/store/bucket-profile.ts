/** What calls through a handle do unless they say otherwise: by the handle's options, or else by what is stored. */
import { InvalidArgumentError } from '../base/errors.js';
import type { BucketOptions, Codec } from './api/bucket.js';
import type { Quorum } from './api/call-options.js';
import type { BucketProperties } from './api/properties.js';
import type { StoreHome } from './bucket-home.js';
import { type GivenProperties, OF_BUCKETS, withDefaults } from './bucket-properties.js';
import {
  checkDurable,
  checkMaxSiblings,
  checkNames,
  checkTtl,
  flag,
  MAX_SIBLINGS,
  type Quorums,
  quorumOf,
  show,
} from './options.js';
import type { Reading } from './read-result.js';
import { codecOf } from './value-codecs.js';

const BUCKET_OPTIONS = new Set(['type', 'codec', 'merge', ...OF_BUCKETS]);

export interface BucketProfile<V> {
  /** Of what is stored, as it was taken into account. */
  readonly given: GivenProperties;
  readonly quorums: Quorums;
  readonly notfoundOk: boolean;
  readonly basicQuorum: boolean;
  /** Milliseconds; 0: for ever. */
  readonly ttlMs: number;
  /** 0: the nodes' own limit. */
  readonly maxSiblings: number;
  readonly lastWriteWins: boolean;
  readonly reading: Reading<V>;
}

const NOTHING: GivenProperties = {};

/** Makes the profiles of one handle. */
export class ProfileMaker<V> {
  readonly codec: Codec<V>;
  private readonly home: StoreHome;
  private readonly options: BucketOptions<V>;

  /** @throws {InvalidArgumentError} An option is unknown or out of its range. */
  constructor(home: StoreHome, options: BucketOptions<V>) {
    checkNames('bucket', options, BUCKET_OPTIONS);
    const { resolution, merge } = options;
    if (
      resolution !== undefined &&
      resolution !== 'siblings' &&
      resolution !== 'last-write-wins' &&
      resolution !== 'merge'
    ) {
      throw new InvalidArgumentError(
        `resolution must be 'siblings', 'merge' or 'last-write-wins', not ${show(resolution)}`,
      );
    }
    if ((resolution === 'merge') !== (typeof merge === 'function')) {
      throw new InvalidArgumentError("resolution: 'merge' and a function as merge go together: give both, or neither");
    }
    this.home = home;
    this.options = { ...options };
    this.codec = codecOf(options.codec);
    checkTtl(options.ttlMs);
    checkMaxSiblings(options.maxSiblings);
    flag('notfoundOk', options.notfoundOk);
    flag('basicQuorum', options.basicQuorum);
    checkDurable(this.make(NOTHING).quorums.dw, home.canBeDurable);
  }

  /** @param given - what is stored of the bucket */
  make(given: GivenProperties): BucketProfile<V> {
    const { options, home } = this;
    const stored: BucketProperties = withDefaults(given, home);
    const quorum = (which: keyof Quorums) => quorumOf(which, asked(options[which], stored[which]), home.n);
    const lastWriteWins = (options.resolution ?? stored.resolution) === 'last-write-wins';
    const maxSiblings = options.maxSiblings ?? stored.maxSiblings;
    return {
      given,
      quorums: { r: quorum('r'), w: quorum('w'), pr: quorum('pr'), pw: quorum('pw'), dw: quorum('dw') },
      notfoundOk: options.notfoundOk ?? stored.notfoundOk,
      basicQuorum: options.basicQuorum ?? stored.basicQuorum,
      ttlMs: checkTtl(options.ttlMs ?? stored.ttlMs),
      maxSiblings: maxSiblings === MAX_SIBLINGS ? 0 : maxSiblings,
      lastWriteWins,
      reading: { codec: this.codec, lastWriteWins, merge: options.merge },
    };
  }
}

/** Not `??`: null is no quorum, and is refused. */
function asked(quorum: Quorum | undefined, otherwise: Quorum): Quorum {
  return quorum === undefined ? otherwise : quorum;
}
