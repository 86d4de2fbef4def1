/**
 * A record without its bodies: what a listing of keys needs of an object, to tell whether it is there and what is newer.
 *
 * Outlines are records, too: they decode, and merge. The outline of a merge is the merge of the outlines, since merging
 * looks at dots and contexts alone; so replicas may leave bodies out before anybody has compared them.
 */
import { EMPTY } from '../base/bytes.js';
import { ByteWriter } from './byte-writer.js';
import { CHECKSUM_BYTES, decodeSoundRecord, encodeRecord, RECORD_VERSION, seal } from './record.js';
import { RecordView } from './record-view.js';

const view = new RecordView();

/** @param record - its checksum was checked before. @returns memory of its own */
export function outlineOf(record: Uint8Array): Uint8Array {
  if (!view.read(record)) {
    const { context, siblings } = decodeSoundRecord(record);
    return encodeRecord({ context, siblings: siblings.map((sibling) => ({ ...sibling, body: EMPTY })) });
  }
  const { bodyStart } = view;
  const hasBody = bodyStart < record.length;
  // The length of a body, which is 0 now.
  const writer = new ByteWriter(hasBody ? bodyStart + 1 : bodyStart);
  writer.at = CHECKSUM_BYTES;
  writer.u8(RECORD_VERSION);
  writer.copyPart(record, writer.at, bodyStart);
  if (hasBody) writer.u8(0);
  return seal(writer);
}
