import type { DecodedSession } from "../core/bytes/json_codec.ts";
import { isObject } from "../core/bytes/values.ts";

/** No session is nested deeper than this, and reading one that is would exhaust the stack. */
const MAX_DEPTH = 200;
/**
 * How many fields Go may have left out. One byte can stand for a whole struct without fields, so without a limit a short
 * stream would take any amount of memory. No session comes near this.
 */
const MAX_ZERO_FIELDS = 100_000;
/** Lower ids are those of Go's own types. */
const FIRST_DEFINED_ID = 64;
/** Go's zero time, in milliseconds. */
const YEAR_1 = -62_135_596_800_000;

/** The types that need no definition, by their ids. No type has the id 0. */
const BASIC_KINDS = ["", "bool", "int", "uint", "float", "bytes", "string", "complex", "interface"] as const;
/** What a definition can define, by the numbers of the fields of Go's `wireType`. */
const DEFINED_KINDS = ["array", "slice", "struct", "map", "gob", "binary", "text"] as const;
const STRING_ID = 6;

interface Field {
  name: string;
  id: number;
}

type GobType =
  | { kind: Exclude<typeof BASIC_KINDS[number], ""> }
  | { kind: "array" | "slice"; elem: number }
  | { kind: "struct"; fields: Field[] }
  | { kind: "map"; key: number; elem: number }
  | { kind: "gob" | "binary" | "text"; name: string };

/** Reads the session in a gob stream. Throws a `TypeError` that shows no part of it. */
export function readSession(bytes: Uint8Array): DecodedSession {
  const { Deadline, Values } = new GobReader(bytes).readStruct();
  if (!(Deadline instanceof Date) || !isPlainObject(Values)) fail();
  return { deadline: Deadline.getTime(), values: Values };
}

/** One gob stream with one value. https://pkg.go.dev/encoding/gob describes the format. */
class GobReader {
  readonly #bytes: Uint8Array;
  readonly #types = new Map<number, GobType>();
  #position = 0;
  #depth = 0;
  /** How many fields were left out so far. */
  #zeroFields = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** The struct that the stream holds. */
  readStruct(): Record<string, unknown> {
    this.#readLength();
    const type = this.#typeOf(this.#readTypeId());
    if (type.kind !== "struct") fail();
    const value = this.#readFields(type.fields);
    if (this.#position < this.#bytes.length) fail();
    return value;
  }

  /** @param registeredName The name under which Go sent the value, where it was in an interface. */
  #readValue(type: GobType, registeredName?: string): unknown {
    if (++this.#depth > MAX_DEPTH) fail(`a value is nested more than ${MAX_DEPTH} levels deep`);
    const value = this.#readKind(type, registeredName);
    this.#depth--;
    return value;
  }

  #readKind(type: GobType, registeredName?: string): unknown {
    switch (type.kind) {
      case "bool":
        return this.#readUint() !== 0n;
      case "int":
        return toNumber(this.#readInt());
      case "uint":
        return toNumber(this.#readUint());
      case "float":
        return this.#readFloat();
      case "bytes":
        return new Uint8Array(this.#readBytes());
      case "string":
        return this.#readString();
      case "complex":
        return fail("a value is a complex number, which JavaScript lacks");
      case "interface":
        return this.#readInterface();
      case "array":
      case "slice":
        return this.#readItems(type.elem);
      case "struct":
        return this.#readFields(type.fields);
      case "map":
        return this.#readMap(type.key, type.elem);
      default:
        if (type.kind === "gob" && type.name === "Time") return this.#readTime();
        return fail(`only Go can read ${describe(registeredName, type.name)}, which encodes itself`);
    }
  }

  #readInterface(): unknown {
    const name = this.#readString();
    if (name === "") return null;
    const type = this.#typeOf(this.#readTypeId());
    // The length of the value. It is of no use: where the value holds definitions, it ends at the first of them.
    this.#readLength();
    if (type.kind !== "struct" && this.#readByte() !== 0) fail();
    return this.#readValue(type, name);
  }

  /** The id of the type of the value that follows. */
  #readTypeId(): number {
    while (true) {
      const id = Number(this.#readInt());
      if (id >= 0) return id;
      this.#readDefinition(-id);
      // A definition ends its message, even in the middle of a value. The next message starts here.
      this.#readLength();
    }
  }

  #readDefinition(id: number): void {
    if (id < FIRST_DEFINED_ID || this.#types.has(id)) fail();
    for (const field of this.#readFieldNumbers(DEFINED_KINDS.length)) {
      this.#types.set(id, this.#readDefinitionOf(DEFINED_KINDS[field]!));
    }
  }

  #readDefinitionOf(kind: typeof DEFINED_KINDS[number]): GobType {
    let name = "";
    let fields: Field[] = [];
    const ids = [0, 0];
    for (const field of this.#readFieldNumbers(3)) {
      if (field === 0) name = this.#readNameAndId().name;
      else if (kind === "struct") {
        fields = this.#readList(() => this.#readNameAndId());
      } else ids[field - 1] = Number(this.#readInt());
    }
    const [first, second] = ids as [number, number];
    if (kind === "struct") return { kind, fields };
    if (kind === "map") return { kind, key: first, elem: second };
    if (kind === "array" || kind === "slice") return { kind, elem: first };
    return { kind, name };
  }

  /** Go's `CommonType` and `fieldType`, which look alike. */
  #readNameAndId(): Field {
    const result = { name: "", id: 0 };
    for (const field of this.#readFieldNumbers(2)) {
      if (field === 0) result.name = this.#readString();
      else result.id = Number(this.#readInt());
    }
    return result;
  }

  #typeOf(id: number): GobType {
    const kind = BASIC_KINDS[id];
    return this.#types.get(id) ?? (kind ? { kind } : fail());
  }

  #readItems(elem: number): unknown[] {
    const type = this.#typeOf(elem);
    return this.#readList(() => this.#readValue(type));
  }

  /** Takes memory for each item when it comes, since a list may claim more items than the stream holds. */
  #readList<Item>(readItem: () => Item): Item[] {
    const items: Item[] = [];
    for (let left = this.#readLength(); left > 0; left--) items.push(readItem());
    return items;
  }

  #readMap(key: number, elem: number): Record<string, unknown> | Map<unknown, unknown> {
    const keyType = this.#typeOf(key);
    const elemType = this.#typeOf(elem);
    const entries = this.#readList((): [unknown, unknown] => [
      this.#readValue(keyType),
      this.#readValue(elemType),
    ]);
    return key === STRING_ID ? Object.fromEntries(entries) : new Map(entries);
  }

  #readFields(fields: readonly Field[]): Record<string, unknown> {
    const entries: [string, unknown][] = [];
    const fillUpTo = (end: number) => {
      for (const { name, id } of fields.slice(entries.length, end)) entries.push([name, this.#zeroOf(id)]);
    };
    for (const index of this.#readFieldNumbers(fields.length)) {
      fillUpTo(index);
      const { name, id } = fields[index]!;
      entries.push([name, this.#readValue(this.#typeOf(id))]);
    }
    fillUpTo(fields.length);
    return Object.fromEntries(entries);
  }

  /** The numbers of the fields that were sent. Each comes as the distance from the one before, and 0 ends them. */
  *#readFieldNumbers(count: number): Generator<number> {
    for (let field = -1;;) {
      const distance = Number(this.#readUint());
      if (distance === 0) return;
      field += distance;
      if (field >= count) fail();
      yield field;
    }
  }

  /** The value of a field that Go left out. Go always sends structs and arrays, so there it was a nil pointer. */
  #zeroOf(id: number): unknown {
    if (++this.#zeroFields > MAX_ZERO_FIELDS) fail();
    const type = this.#typeOf(id);
    switch (type.kind) {
      case "bool":
        return false;
      case "int":
      case "uint":
      case "float":
        return 0;
      case "bytes":
        return new Uint8Array();
      case "string":
        return "";
      case "slice":
        return [];
      case "map":
        return type.key === STRING_ID ? {} : new Map();
      case "gob":
        return type.name === "Time" ? new Date(YEAR_1) : null;
      default:
        return null;
    }
  }

  /** Reads what Go's `Time.MarshalBinary` writes. Version 2 is for time zones whose offset has seconds. */
  #readTime(): Date {
    const bytes = this.#readBytes();
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const expectedLength = { 1: 15, 2: 16 }[bytes[0] ?? 0];
    if (bytes.length !== expectedLength) fail();
    const milliseconds = Number(view.getBigInt64(1)) * 1000 + YEAR_1;
    const nanoseconds = view.getInt32(9);
    const date = new Date(milliseconds + Math.floor(nanoseconds / 1e6));
    if (nanoseconds < 0 || nanoseconds >= 1e9 || Number.isNaN(date.getTime())) fail("a time is out of range");
    return date;
  }

  #readString(): string {
    try {
      return decoder.decode(this.#readBytes());
    } catch {
      return fail("a string is not UTF-8");
    }
  }

  #readBytes(): Uint8Array {
    return this.#take(this.#readLength());
  }

  /** The bytes of a float come reversed: many floats end in zeros, and those get short. */
  #readFloat(): number {
    const view = new DataView(new ArrayBuffer(8));
    view.setBigUint64(0, this.#readUint(), true);
    return view.getFloat64(0);
  }

  /** The lowest bit is the sign. If it is set the others are inverted. */
  #readInt(): bigint {
    const value = this.#readUint();
    return value & 1n ? ~(value >> 1n) : value >> 1n;
  }

  /** A count of bytes, items or fields. Each takes at least one byte, so a count cannot exceed the bytes that are left. */
  #readLength(): number {
    const length = this.#readUint();
    if (length > this.#bytes.length - this.#position) fail();
    return Number(length);
  }

  /** A number up to 127 is one byte. A larger one is the negated count of its bytes, and then the bytes, highest first. */
  #readUint(): bigint {
    const first = this.#readByte();
    if (first < 0x80) return BigInt(first);
    if (first < 0x100 - 8) fail();
    return this.#take(0x100 - first).reduce((value, byte) => value << 8n | BigInt(byte), 0n);
  }

  #readByte(): number {
    return this.#bytes[this.#position++] ?? fail();
  }

  /** At the end of the stream it gives fewer bytes. Then the byte that ends the session is missing as well. */
  #take(count: number): Uint8Array {
    const start = this.#position;
    this.#position += count;
    return this.#bytes.subarray(start, this.#position);
  }
}

function toNumber(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return isObject(value) && Object.getPrototypeOf(value) === Object.prototype;
}

/** The first name that may be shown in a message. In damaged bytes a value may stand in place of a name. */
function describe(...names: (string | undefined)[]): string {
  return names.find((name) => name !== undefined && GO_NAME.test(name)) ?? "a value";
}
const GO_NAME = /^\*?([\w.~-]+\/)*([\w-]+\.)?[A-Z_a-z]\w{0,39}$/;

function fail(problem = "the bytes are damaged, or no session of gob"): never {
  throw new TypeError(`Cannot decode session: ${problem}`);
}

// By default a decoder drops a byte order mark and makes U+FFFD of invalid UTF-8.
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
