/**
 * PlanetScale's replies over HTTP, in the JSON form of its protocol buffers. Columns and rows are as in the replies
 * recorded under `golden/` in planetscale/database-js. Errors have Vitess's wording.
 */
import type { MySQLError, RawField, RawResult } from "./_mysql_connection.ts";

/** A column. As in all JSON protocol buffers, zero and empty fields are left out. */
export interface Field {
  name: string;
  type?: string;
  table?: string;
  orgTable?: string;
  database?: string;
  orgName?: string;
  columnLength?: number;
  charset?: number;
  decimals?: number;
  flags?: number;
}

/** The result of a statement. */
export interface QueryResult {
  fields?: Field[];
  /** For each row the length of each value in bytes (`"-1"` for NULL), and all its values concatenated, in base64. */
  rows?: { lengths: string[]; values?: string }[];
  rowsAffected?: string;
  insertId?: string;
}

/** Why a statement failed. */
export interface RPCError {
  code: string;
  message: string;
}

// The names of MySQL's type numbers. A string type with a binary collation has another name, and so do unsigned
// integers.
const TYPES: Record<number, string> = {
  0: "DECIMAL",
  1: "INT8",
  2: "INT16",
  3: "INT32",
  4: "FLOAT32",
  5: "FLOAT64",
  7: "TIMESTAMP",
  8: "INT64",
  9: "INT24",
  10: "DATE",
  11: "TIME",
  12: "DATETIME",
  13: "YEAR",
  15: "VARCHAR",
  16: "BIT",
  17: "TIMESTAMP",
  18: "DATETIME",
  19: "TIME",
  245: "JSON",
  246: "DECIMAL",
  247: "ENUM",
  248: "SET",
  249: "TEXT",
  250: "TEXT",
  251: "TEXT",
  252: "TEXT",
  253: "VARCHAR",
  254: "CHAR",
  255: "GEOMETRY",
};
const BINARY_NAMES: Record<string, string> = { TEXT: "BLOB", VARCHAR: "VARBINARY", CHAR: "BINARY" };
const BLOB_FLAG = 16;
const UNSIGNED_FLAG = 32;
const BINARY_FLAG = 128;
const ENUM_FLAG = 256;
const SET_FLAG = 2048;
const NUM_FLAG = 32768;
/** The character set of binary data. */
const BINARY_CHARSET = 63;
/** utf8mb4_0900_ai_ci, the label that PlanetScale gives all text. The driver treats every number except 63 as text. */
const TEXT_CHARSET = 255;

function typeName(number: number, flags: number): string | undefined {
  const name = TYPES[number];
  if (name === undefined) return undefined;
  if (/^INT/.test(name)) return flags & UNSIGNED_FLAG ? `U${name}` : name;
  if (flags & BINARY_FLAG) return BINARY_NAMES[name] ?? name;
  if (name === "CHAR" && flags & ENUM_FLAG) return "ENUM";
  if (name === "CHAR" && flags & SET_FLAG) return "SET";
  return name;
}

function fieldOf(raw: RawField): Field {
  let flags = Number(raw.flags);
  let type = typeName(raw.columnType ?? 6, flags);
  let charset = raw.characterSet === BINARY_CHARSET ? BINARY_CHARSET : TEXT_CHARSET;
  if (raw.extendedFormat === "json") {
    // MariaDB's JSON is text with a check.
    type = "JSON";
    charset = BINARY_CHARSET;
    flags = BINARY_FLAG | BLOB_FLAG;
  }
  // MySQL leaves this flag to its clients, and MariaDB sends it in some cases. NULL, which has no type, is numeric as
  // well.
  if (type === undefined || /INT|DECIMAL|FLOAT|YEAR/.test(type)) flags |= NUM_FLAG;
  else flags &= ~NUM_FLAG;
  return withoutZeros({
    name: raw.name,
    type,
    table: raw.table,
    orgTable: raw.orgTable,
    database: raw.schema,
    orgName: raw.orgName,
    columnLength: raw.columnLength,
    charset,
    decimals: raw.decimals,
    flags,
  });
}

function withoutZeros(field: Field): Field {
  const kept = Object.entries(field).filter(([name, value]) => name === "name" || Boolean(value));
  return { name: field.name, ...Object.fromEntries(kept) };
}

/** The reply for a server's result. */
export function resultOf(raw: RawResult): QueryResult {
  if (raw.fields === undefined) {
    const result: QueryResult = {};
    if (raw.affectedRows !== 0) result.rowsAffected = String(raw.affectedRows);
    if (raw.insertId !== "0") result.insertId = raw.insertId;
    return result;
  }
  const result: QueryResult = { fields: raw.fields.map(fieldOf) };
  if (raw.rows.length > 0) result.rows = raw.rows.map(rowOf);
  return result;
}

function rowOf(values: (Uint8Array | null)[]): { lengths: string[]; values?: string } {
  const lengths = values.map((value) => value === null ? "-1" : String(value.length));
  const size = values.reduce((sum, value) => sum + (value?.length ?? 0), 0);
  if (size === 0) return { lengths };
  const all = new Uint8Array(size);
  let offset = 0;
  for (const value of values) {
    if (value === null) continue;
    all.set(value, offset);
    offset += value.length;
  }
  return { lengths, values: all.toBase64() };
}

/** The kinds of errors in Vitess's messages, by MySQL's error number. */
const KINDS: Record<number, string> = {
  1040: "ResourceExhausted", // too many connections
  1044: "PermissionDenied", // access to the database denied
  1045: "PermissionDenied", // access denied
  1048: "InvalidArgument", // NULL where none is allowed
  1050: "AlreadyExists", // table exists
  1053: "Unavailable", // server shutdown
  1054: "NotFound", // unknown column
  1062: "AlreadyExists", // duplicate entry
  1064: "InvalidArgument", // syntax
  1065: "InvalidArgument", // empty query
  1142: "PermissionDenied", // a statement is denied on a table
  1143: "PermissionDenied", // and on a column
  1146: "NotFound", // no such table
  1153: "ResourceExhausted", // packet too large
  1193: "InvalidArgument", // unknown system variable
  1205: "DeadlineExceeded", // lock wait timeout
  1213: "Aborted", // deadlock
  1227: "PermissionDenied", // a privilege is missing
  1235: "Unimplemented", // not supported yet
  1264: "InvalidArgument", // out of range
  1292: "InvalidArgument", // truncated wrong value
  1298: "InvalidArgument", // unknown time zone
  1366: "InvalidArgument", // wrong value for the field
  1406: "InvalidArgument", // data too long
  2002: "Unavailable", // cannot connect
  2006: "Unavailable", // server gone
  2013: "Unavailable", // connection lost
};

/** Who gets an error, and in which form. */
export interface ErrorContext {
  /** The database, after which the keyspace is named. */
  keyspace: string;
  /** User that the statement ran as. */
  callerId: string;
  /** Whether `code` is the error's kind instead of `UNKNOWN`. */
  kindAsCode: boolean;
}

/**
 * The error in the wording of the tablet server: MySQL's text, which quotes values, then the statement and its
 * values.
 */
export function tabletError(error: MySQLError, sql: string, context: ErrorContext): RPCError {
  const denied = /^(\w+) command denied to user .* for table (?:`[^`]*`\.)?[`'](\w+)[`']/.exec(error.message);
  if (denied !== null) {
    // Vitess itself checks the roles of PlanetScale's passwords, and gives that error no number.
    const command = `${denied[1]?.[0]}${denied[1]?.slice(1).toLowerCase()}`;
    return wordedByTablet(
      "PermissionDenied",
      `${command} command denied to user '${context.callerId}' for table '${denied[2]}' (ACL check error)`,
      "",
      context,
    );
  }
  const { text, variables } = analyze(sql);
  const bound = variables.map(({ type, value }, index) =>
    `vtg${index + 1}: ${JSON.stringify(`type:${type} value:${JSON.stringify(value)}`)}`
  );
  return wordedByTablet(
    KINDS[error.errno] ?? "Unknown",
    `${error.message} (errno ${error.errno}) (sqlstate ${error.sqlState})`,
    `: Sql: ${JSON.stringify(text)}, BindVars: {${bound.join("")}}`,
    context,
  );
}

/** The error of a statement in a transaction that has ended. */
export function transactionError(description: string, context: ErrorContext): RPCError {
  return wordedByTablet("Aborted", `transaction ${description}`, "", context);
}

function wordedByTablet(kind: string, description: string, end: string, context: ErrorContext): RPCError {
  const { keyspace, callerId } = context;
  return rpcError(
    kind,
    `target: ${keyspace}.-.primary: vttablet: rpc error: code = ${kind} desc = ${description} (CallerID: ${callerId})${end}`,
    context,
  );
}

/**
 * An error with a code. The known replies of the real service have `UNKNOWN` even if the message has a kind. Vitess
 * itself would send the kind.
 */
export function rpcError(kind: string, message: string, context: Pick<ErrorContext, "kindAsCode">): RPCError {
  const code = kind.replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
  return { code: context.kindAsCode ? code : "UNKNOWN", message };
}

/** A statement, parsed as Vitess does before it passes it on. */
export interface Analysis {
  /** The statement with `:vtg1` and so on for its literals, without comments. */
  text: string;
  /** The same without quotes and without types in comments, for searching words. */
  bare: string;
  /** The literals. */
  variables: { type: string; value: string }[];
}

// Hexadecimal values, strings, quoted names, comments, numbers. After a name character a literal would be a part of
// the name.
const TOKENS =
  /(?<![\w`])(x'[0-9a-f]*'|0x[0-9a-f]+)|('(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*")|(`[^`]*`)|(\/\*.*?\*\/|(?:#|--\s)[^\n]*)|(?<![\w`])(\d+(?:\.\d+)?)/gis;

export function analyze(sql: string): Analysis {
  const variables: Analysis["variables"] = [];
  const names: string[] = [];
  const text = sql.replace(TOKENS, (token, hex, string, name, comment) => {
    if (name !== undefined) return token;
    if (comment !== undefined) return " ";
    if (hex !== undefined) variables.push({ type: "HEXVAL", value: hex });
    else if (string !== undefined) variables.push({ type: "VARCHAR", value: unquoted(string) });
    else variables.push({ type: token.includes(".") ? "DECIMAL" : "INT64", value: token });
    const variable = `:vtg${variables.length} /* ${variables.at(-1)?.type} */`;
    names.push(variable);
    return variable;
  });
  return { text, bare: text.replace(/\/\*.*?\*\/|`/gs, ""), variables };
}

function unquoted(literal: string): string {
  return literal.slice(1, -1).replace(/\\(.)/gs, "$1").replaceAll("''", "'");
}

/**
 * Why a sharded keyspace refuses a statement that sets the column by which rows are sharded.
 *
 * @returns The message, or `undefined` if it accepts the statement.
 */
export function vindexRefusal({ bare }: Analysis, column: string): string | undefined {
  const assigned = new RegExp(`(?:^|,)\\s*(?:\\w+\\.)?${column}\\s*=`, "i");
  const upsert = /\bon\s+duplicate\s+key\s+update\b(.*)$/is.exec(bare);
  if (upsert !== null && assigned.test(upsert[1] ?? "")) {
    return "VT12001: unsupported: DML cannot update vindex column";
  }
  const update = /^\s*update\b.*?\bset\b(.*?)(?:\bwhere\b|\border\s+by\b|\blimit\b|$)/is.exec(bare);
  if (update !== null && assigned.test(update[1] ?? "")) {
    return "VT12001: unsupported: you cannot UPDATE primary vindex columns; invalid update on vindex: xxhash";
  }
  return undefined;
}
