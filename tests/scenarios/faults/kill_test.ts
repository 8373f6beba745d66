/**
 * Kills the database's process in the middle of requests, and starts it again. Each row must be as before a write or
 * as after it, acknowledged writes must be there, and the service must be back when the database is.
 *
 * `KILLS` is how often, `KILL_STORE` a part of a store's name.
 * @module
 */

import { createClient } from "@libsql/client/web";
import { Client } from "@planetscale/database";
import {
  SessionConflictError,
  SessionGoneError,
  type SessionManager,
  sessions,
  type SessionStore,
  SessionStoreError,
} from "../../../mod.ts";
import { fetchWithTimeout, LibSQLStore } from "../../../stores/libsql.ts";
import { PlanetScaleStore } from "../../../stores/planetscale.ts";
import { hashToken } from "../../../core/bytes/token.ts";
import { assert, assertEquals } from "../../assert.ts";
import { assertShowsNone } from "../_secrets.ts";
import { startLibSQL } from "../../services/libsql.ts";
import { startMySQL } from "../../services/mysql.ts";
import { startGateway } from "../../services/planetscale_gateway.ts";
import { Stopwatch } from "./_stopwatch.ts";

interface Database extends AsyncDisposable {
  store: SessionStore;
  /** The same table with a long timeout, for when there is no fault. */
  direct: SessionStore & { createTable(): Promise<void> };
  /** Writes without the library, and fails if the database is down. */
  write(): Promise<unknown>;
  kill(): Promise<void>;
  start(): Promise<void>;
}

const OPTIONS = { cleanup: "off", timeout: 2_000 } as const;
const PATIENT = { cleanup: "off", timeout: 60_000 } as const;
/** Writes nothing, but waits for the same locks as a write. */
const WRITE = "UPDATE sessions SET expiry = expiry WHERE token = ''";

const databases: readonly { name: string; open(): Promise<Database> }[] = [
  {
    name: "LibSQLStore over HTTP",
    async open() {
      const server = await startLibSQL();
      const { url } = server;
      const open = (timeout: number) =>
        createClient({ url, concurrency: Infinity, fetch: fetchWithTimeout(timeout) });
      const plain = open(PATIENT.timeout);
      return {
        store: new LibSQLStore(open(1_000), OPTIONS),
        direct: new LibSQLStore(plain, PATIENT),
        write: () => plain.execute(WRITE),
        kill: () => server.kill(),
        start: () => server.start(),
        [Symbol.asyncDispose]: () => server.stop(),
      };
    },
  },
  {
    name: "PlanetScaleStore",
    async open() {
      const server = await startMySQL({ own: true });
      const gateway = await startGateway(server);
      const open = (timeout: number) => new Client({ ...gateway.config(), fetch: fetchWithTimeout(timeout) });
      const plain = open(PATIENT.timeout);
      return {
        store: new PlanetScaleStore(open(1_000), OPTIONS),
        direct: new PlanetScaleStore(plain, PATIENT),
        write: () => plain.execute(WRITE),
        kill: () => server.kill(),
        start: () => server.start(),
        async [Symbol.asyncDispose]() {
          await gateway.stop();
          await server.stop();
        },
      };
    },
  },
];

/** One commit writes both halves, which are too large for one page of a table. */
interface Data {
  count: number;
  first: string;
  second: string;
}

const WRITERS = 6;
/** This many of them write to one session. */
const SHARING = 3;

/** A second is time enough for this many other writes, unless the database itself is slow. */
const WRITES_MEANWHILE = 30;

/** What is known of a session. */
interface Known {
  token: string;
  acknowledged: number;
  /** Writes without a reply. */
  ambiguous: number;
}

async function write(manager: SessionManager<Data>, known: Known): Promise<boolean> {
  const text = crypto.randomUUID().repeat(150);
  try {
    const session = await manager.load(known.token);
    assert(session.token !== undefined, "an acknowledged session is gone");
    session.update("count", (count = 0) => count + 1);
    session.put("first", text);
    session.put("second", text);
    await session.commit();
    known.acknowledged++;
    return true;
  } catch (error) {
    assertShowsNone(error, [known.token, hashToken(known.token), text.slice(0, 36)]);
    assert(!(error instanceof SessionGoneError), "an acknowledged session is gone");
    if (error instanceof SessionConflictError) return false;
    if (!(error instanceof SessionStoreError)) throw error;
    if (error.ambiguous) known.ambiguous++;
    return false;
  }
}

async function open(manager: SessionManager<Data>): Promise<Known> {
  const session = await manager.load();
  session.put("count", 0);
  return { token: (await session.commit()).token, acknowledged: 0, ambiguous: 0 };
}

/** Starts the database again. Another process may hold its port for a moment. */
async function startAgain(database: Database): Promise<void> {
  for (let attempt = 1;; attempt++) {
    try {
      return await database.start();
    } catch (error) {
      if (attempt === 3) throw error;
      await pause(1_000);
    }
  }
}

/**
 * How long after the database's return something succeeds, in milliseconds. Excludes pauses of this process, and the
 * time that the database itself took for an independent client.
 */
async function delayOf(event: Promise<unknown>, database: Database): Promise<{ ms: number; writes: number }> {
  let over = false;
  event.then(() => over = true, () => over = true);
  let watch: Stopwatch | undefined;
  let writes = 0;
  while (!over) {
    const written = await database.write().then(() => true, () => false);
    if (written && watch === undefined) watch = new Stopwatch();
    else if (written) writes++;
    await pause(10);
  }
  const ms = watch?.stop() ?? 0;
  await event;
  return { ms, writes };
}

const kills = Number(Deno.env.get("KILLS") ?? 5);
const chosen = Deno.env.get("KILL_STORE")?.toLowerCase();

for (const { name, open: openDatabase } of databases) {
  Deno.test({
    name: `A database that is killed loses nothing acknowledged and mixes no row [${name}]`,
    ignore: chosen !== undefined && !name.toLowerCase().includes(chosen),
    async fn() {
      await using database = await openDatabase();
      await database.direct.createTable();
      const manager = sessions<Data>({ store: database.store });
      const direct = sessions<Data>({ store: database.direct });
      const known = await Promise.all(Array.from({ length: WRITERS - SHARING + 1 }, () => open(direct)));
      let written: (() => void) | undefined;
      let going = true;
      const writing = Promise.all(Array.from({ length: WRITERS }, async (_, number) => {
        while (going) {
          if (await write(manager, known[Math.max(0, number - SHARING + 1)]!)) written?.();
          // An unreachable server refuses at once, so it is not asked all the time.
          else await pause(5);
        }
      }));
      const nextWrite = () => Promise.race([writing, new Promise<void>((resolve) => written = resolve)]);
      const late: string[] = [];
      try {
        for (let kill = 0; kill < kills; kill++) {
          await nextWrite();
          await pause(50 + 100 * Math.random());
          await database.kill();
          await pause(20);
          await startAgain(database);
          const { ms, writes } = await delayOf(nextWrite(), database);
          if (ms > 1_000 && writes > WRITES_MEANWHILE) {
            late.push(`${Math.round(ms)} ms and ${writes} other writes`);
          }
        }
      } finally {
        going = false;
        await writing;
      }
      // A busy machine may occasionally need a second. A service that recovers slowly always does.
      assert(late.length <= kills / 5, `the service was back only ${late.join(", ")} after the database`);
      for (const { token, acknowledged, ambiguous } of known) {
        const session = await direct.load(token);
        const count = session.get("count") ?? -1;
        assert(
          count >= acknowledged && count <= acknowledged + ambiguous,
          `${count} where ${acknowledged} were acknowledged and ${ambiguous} are unknown`,
        );
        assertEquals(session.get("first"), session.get("second"));
      }
      const total = known.reduce((sum, { acknowledged }) => sum + acknowledged, 0);
      assert(total > kills, `only ${total} writes were acknowledged`);
    },
  });
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
