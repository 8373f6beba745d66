/**
 * The database's process is killed in the middle of requests and started again: each row is as it was before a write or
 * as it is after it, what was acknowledged is there, and the service is back when the database is.
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
} from "../../mod.ts";
import { fetchWithTimeout, LibSQLStore } from "../../stores/libsql.ts";
import { PlanetScaleStore } from "../../stores/planetscale.ts";
import { hashToken } from "../../core/token.ts";
import { assert, assertEquals } from "../assert.ts";
import { assertShowsNone } from "../manager/_secrets.ts";
import { startLibSQL } from "../services/libsql.ts";
import { startMySQL } from "../services/mysql.ts";
import { startGateway } from "../services/planetscale_gateway.ts";

interface Database extends AsyncDisposable {
  store: SessionStore & { createTable(): Promise<void> };
  kill(): Promise<void>;
  start(): Promise<void>;
}

const OPTIONS = { cleanup: "off", timeout: 2_000 } as const;

const databases: readonly { name: string; open(): Promise<Database> }[] = [
  {
    name: "LibSQLStore over HTTP",
    async open() {
      const server = await startLibSQL();
      const { url } = server;
      const client = createClient({ url, concurrency: Infinity, fetch: fetchWithTimeout(1_000) });
      return {
        store: new LibSQLStore(client, OPTIONS),
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
      const client = new Client({ ...gateway.config(), fetch: fetchWithTimeout(1_000) });
      return {
        store: new PlanetScaleStore(client, OPTIONS),
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

/** Both halves are written by one commit, too large for one page of a table. */
interface Data {
  count: number;
  first: string;
  second: string;
}

const WRITERS = 6;
/** Of those, so many write to one session. */
const SHARING = 3;

/** What is known of a session. */
interface Known {
  token: string;
  acknowledged: number;
  /** Writes of which nobody knows. */
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

const kills = Number(Deno.env.get("KILLS") ?? 5);
const chosen = Deno.env.get("KILL_STORE")?.toLowerCase();

for (const { name, open: openDatabase } of databases) {
  Deno.test({
    name: `A database that is killed loses nothing acknowledged and mixes no row [${name}]`,
    ignore: chosen !== undefined && !name.toLowerCase().includes(chosen),
    async fn() {
      await using database = await openDatabase();
      await database.store.createTable();
      const manager = sessions<Data>({ store: database.store });
      const known = await Promise.all(Array.from({ length: WRITERS - SHARING + 1 }, () => open(manager)));
      let written: (() => void) | undefined;
      let going = true;
      const writing = Promise.all(Array.from({ length: WRITERS }, async (_, number) => {
        while (going) {
          if (await write(manager, known[Math.max(0, number - SHARING + 1)]!)) written?.();
          // An unreachable server refuses at once; nobody should ask it all the time.
          else await pause(5);
        }
      }));
      const late: number[] = [];
      try {
        for (let kill = 0; kill < kills; kill++) {
          await pause(50 + 100 * Math.random());
          await database.kill();
          await pause(20);
          await database.start();
          const started = performance.now();
          await Promise.race([writing, new Promise<void>((resolve) => written = resolve)]);
          const back = performance.now() - started;
          if (back > 1_000) late.push(Math.round(back));
        }
      } finally {
        going = false;
        await writing;
      }
      // A busy machine may need a second for anything now and then; a service that is slow to notice always does.
      assert(late.length <= kills / 5, `the service was back only ${late} ms after the database`);
      for (const { token, acknowledged, ambiguous } of known) {
        const session = await manager.load(token);
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
