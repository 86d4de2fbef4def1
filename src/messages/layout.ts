/**
 * Binary forms of messages, put together of their fields: what is written down once gives size, writing and reading,
 * and the compiler sees that no field is missing. A message costs about 250 ns so, 65 where its fields are written out by
 * hand: what every put and get sends is (`vnode-messages.ts`, `coordinator-messages.ts`).
 */
import { FrameError, type MessageCodec } from '../runtime/actor.js';

/** The binary form of each field, in the order in which they travel. */
export type Fields<T> = { readonly [Name in Exclude<keyof T, 'type'>]-?: MessageCodec<T[Name]> };

/** The fields of each type of message; a type travels as its place in this list, from 1. */
export type Variants<M extends { readonly type: string }> = {
  readonly [Type in M['type']]: Fields<Extract<M, { readonly type: Type }>>;
};

/** A whole number from 0 to 255. */
export const u8: MessageCodec<number> = {
  size: () => 1,
  write: (value, out) => out.u8(value),
  read: (from) => from.u8(),
};

/** A whole number of 32 bits. */
export const u32: MessageCodec<number> = {
  size: () => 4,
  write: (value, out) => out.u32(value),
  read: (from) => from.u32(),
};

/** Any number. */
export const f64: MessageCodec<number> = {
  size: () => 8,
  write: (value, out) => out.f64(value),
  read: (from) => from.f64(),
};

export const flag: MessageCodec<boolean> = {
  size: () => 1,
  write: (value, out) => out.u8(value ? 1 : 0),
  read: (from) => from.u8() === 1,
};

export const bytes: MessageCodec<Uint8Array> = {
  size: (value) => 4 + value.length,
  write: (value, out) => out.bytes(value),
  read: (from) => from.bytes(),
};

/**
 * One of these words, by its place among them.
 * @param what - what the words are, for the error about a place that none has
 */
export function word<Word extends string>(what: string, words: readonly Word[]): MessageCodec<Word> {
  return {
    size: () => 1,
    write: (value, out) => out.u8(words.indexOf(value)),
    read(from) {
      const place = from.u8();
      const value = words[place];
      if (value === undefined) throw new FrameError(`no ${what} is number ${place}`);
      return value;
    },
  };
}

export function list<T>(item: MessageCodec<T>): MessageCodec<readonly T[]> {
  return {
    size(items) {
      let size = 4;
      for (const one of items) size += item.size(one);
      return size;
    },
    write(items, out) {
      out.u32(items.length);
      for (const one of items) item.write(one, out);
    },
    read(from) {
      const count = from.u32();
      const items: T[] = [];
      // A malformed count ends at the frame's end, where the reader throws.
      for (let i = 0; i < count; i++) items.push(item.read(from));
      return items;
    },
  };
}

/** All fields, one behind the other. */
export function struct<T extends object>(fields: Fields<T>): MessageCodec<T> {
  return fieldsOf({}, fields);
}

/** @param what - what the messages are, for the error about one of an unknown type: "question of a round" */
export function variants<M extends { readonly type: string }>(what: string, types: Variants<M>): MessageCodec<M> {
  const names = Object.keys(types) as M['type'][];
  const codecs = names.map((type) => fieldsOf<M>({ type }, types[type] as unknown as Fields<M>));
  const places = new Map(names.map((type, place) => [type, place]));
  const placeOf = (message: M) => places.get(message.type)!;
  return {
    size: (message) => 1 + codecs[placeOf(message)]!.size(message),
    write(message, out) {
      const place = placeOf(message);
      out.u8(place + 1);
      codecs[place]!.write(message, out);
    },
    read(from) {
      const type = from.u8();
      const codec = codecs[type - 1];
      if (codec === undefined) throw new FrameError(`no ${what} has type ${type}`);
      return codec.read(from);
    },
  };
}

function fieldsOf<T extends object>(type: object, fields: Fields<T>): MessageCodec<T> {
  const names = Object.keys(fields) as (keyof Fields<T> & keyof T)[];
  const codecs: MessageCodec<unknown>[] = names.map((name) => fields[name] as MessageCodec<unknown>);
  return {
    size(value) {
      let size = 0;
      for (let i = 0; i < codecs.length; i++) size += codecs[i]!.size(value[names[i]!]);
      return size;
    },
    write(value, out) {
      for (let i = 0; i < codecs.length; i++) codecs[i]!.write(value[names[i]!], out);
    },
    read(from) {
      const value: Record<PropertyKey, unknown> = {};
      // Fields that are added to a spread copy cost ten times as much.
      Object.assign(value, type);
      for (let i = 0; i < codecs.length; i++) value[names[i]!] = codecs[i]!.read(from);
      return value as T;
    },
  };
}
