/**
 * A connection over MySQL's own protocol that leaves nothing behind. The tests run with Deno's leak sanitizers, and
 * the driver's `end()` resolves before its socket is closed.
 */
import type { Buffer } from "node:buffer";
import { createConnection as createSocket } from "node:net";
import mysql, { type FieldPacket, type ResultSetHeader, type RowDataPacket } from "mysql2/promise";

/** The address and the account to connect with. */
export interface MySQLAddress {
  host: string;
  port: number;
  user: string;
  password: string;
  /** The database to use; none by default. */
  database?: string;
}

/** A column of a result as the server describes it. */
export type RawField = FieldPacket & {
  /** MariaDB's hint for a column that has a type of its own in MySQL, such as `"json"`. */
  extendedFormat?: string;
};

/** The result of a statement, with values as the bytes that the server sent. */
export interface RawResult {
  /** Columns, or `undefined` for a statement without a result set. */
  fields?: RawField[];
  rows: (Uint8Array | null)[][];
  affectedRows: number;
  insertId: string;
}

/** An error of the server or of the connection to it. */
export interface MySQLError extends Error {
  /** The server's error number. Those of the client start at 2000. */
  errno: number;
  sqlState: string;
  /** Whether the connection is gone. */
  lost: boolean;
}

/** One connection. */
export interface MySQLConnection {
  /** Whether statements can be sent; `false` after the connection was lost. */
  readonly open: boolean;
  /** Runs a statement and returns rows as objects. Dates are text and binary values `Uint8Array`. */
  rows(sql: string): Promise<Record<string, unknown>[]>;
  /**
   * Runs a statement and returns the bytes of its result.
   *
   * @throws {MySQLError}
   */
  raw(sql: string): Promise<RawResult>;
  /** Closes the connection at once. An open transaction is rolled back. */
  close(): Promise<void>;
}

/**
 * Opens a connection.
 *
 * @throws {MySQLError}
 */
export async function connect(address: MySQLAddress): Promise<MySQLConnection> {
  // Its own socket, whose "close" event is the only sign that the connection is really closed.
  const socket = createSocket({ host: address.host, port: address.port, noDelay: true });
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  let open = true;
  socket.once("close", () => open = false);

  const connection = await mysql.createConnection({
    ...address,
    stream: socket,
    charset: "utf8mb4",
    dateStrings: true,
    supportBigNumbers: true,
    // PlanetScale sets FOUND_ROWS: an UPDATE that matches but changes nothing counts. IGNORE_SPACE, which this driver
    // sets by default, would change how SQL is parsed.
    flags: ["FOUND_ROWS", "-IGNORE_SPACE"],
  }).catch(async (error) => {
    socket.destroy();
    await closed;
    throw described(error, true);
  });
  // Without a listener the loss of an idle connection would end the test process.
  connection.on("error", () => open = false);
  // The driver never settles a statement if its connection is destroyed meanwhile.
  const lost = closed.then(() => {
    throw new Error("Lost connection to MySQL server during query");
  });
  lost.catch(() => {});

  return {
    get open() {
      return open;
    },
    async rows(sql) {
      const [result] = await Promise.race([connection.query<RowDataPacket[] | ResultSetHeader>(sql), lost]);
      return Array.isArray(result) ? result.map(plain) : [];
    },
    async raw(sql) {
      try {
        const query = connection.query<RowDataPacket[] | ResultSetHeader>({
          sql,
          rowsAsArray: true,
          typeCast: (field) => copy(field.buffer()),
        });
        const [result, fields] = await Promise.race([query, lost]);
        if (!Array.isArray(result)) {
          return { rows: [], affectedRows: result.affectedRows, insertId: String(result.insertId) };
        }
        return { fields, rows: result as unknown as RawResult["rows"], affectedRows: 0, insertId: "0" };
      } catch (error) {
        throw described(error, !open);
      }
    },
    async close() {
      open = false;
      connection.destroy();
      socket.destroy();
      await closed;
    },
  };
}

/** A row without the driver's classes, so that it compares equal to a literal. */
function plain(row: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(row).map((
      [name, value],
    ) => [name, value instanceof Uint8Array ? Uint8Array.from(value) : value]),
  );
}

/** The driver's buffer is a view of a packet that it reuses. */
function copy(buffer: Buffer | null): Uint8Array | null {
  return buffer === null ? null : Uint8Array.from(buffer);
}

function described(error: unknown, lost: boolean): MySQLError {
  const { errno, sqlState, sqlMessage, message } = error as Partial<
    MySQLError & { sqlMessage: string; message: string }
  >;
  // An error without a state is not from the server but from the socket, with a number of the operating system.
  const fromServer = sqlState !== undefined && typeof errno === "number";
  return Object.assign(new Error(sqlMessage ?? message ?? String(error), { cause: error }), {
    errno: fromServer ? errno : 2013,
    sqlState: fromServer ? sqlState : "HY000",
    lost: lost || !fromServer,
  });
}
