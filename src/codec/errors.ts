/** What decoders throw, and all that they throw. Internal: a vnode heals a corrupt record, and lets out neither. */

/** Bytes that are not what their codec wrote: cut off, changed, or garbage. */
export class CorruptRecordError extends Error {
  override readonly name = 'CorruptRecordError';
}

/** A whole record, of a format that is newer than this code: not to be read, nor to be written over. */
export class UnknownRecordVersionError extends Error {
  override readonly name = 'UnknownRecordVersionError';
  readonly version: number;

  constructor(version: number) {
    super(`The record is of format version ${version}, which this version of the store does not know: upgrade it`);
    this.version = version;
  }
}
