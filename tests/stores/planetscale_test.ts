/** Mistakes that only `PlanetScaleStore` can make: in what it sends, and in how a server understands it. */
import { Client, format } from "@planetscale/database";
import { type SessionEvent, type SessionManager, sessions, SessionStoreError } from "../../mod.ts";
import { fetchWithTimeout, type PlanetScaleClient, PlanetScaleStore } from "../../stores/planetscale.ts";
import { storeContract } from "../../testing/mod.ts";
import { assert, assertEquals, assertRejects, assertStringIncludes } from "../assert.ts";
import { assertKeepsAttacks } from "./_attacks.ts";
import { openPlanetScale, type PlanetScaleBench } from "./_planetscale.ts";
import { SCS_MYSQL_TABLE } from "./_scs_tables.ts";

const NOW = Date.UTC(2026, 2, 4, 5, 6, 7, 890);
const HOUR = 3_600_000;
const now = { now: NOW };
const DATA = new TextEncoder().encode('{"deadline":1,"values":{}}');
const OTHER = new TextEncoder().encode("other");
const MARK = { data: OTHER, expiry: NOW + 60_000 };
const tokenOf = (start: string) => start.padEnd(43, "-");
const [A, B] = [tokenOf("a"), tokenOf("b")];

/** Each operation on a table with one row under {@linkcode A}, and how many requests it takes. */
const OPERATIONS: [name: string, requests: number, call: (store: PlanetScaleStore) => Promise<unknown>][] = [
  ["find()", 1, (store) => store.find(A, now)],
  ["find() of none", 1, (store) => store.find(B, now)],
  ["find() of the primary", 1, (store) => store.find(A, { ...now, primary: true })],
  ["commit()", 1, (store) => store.commit(B, DATA, NOW + HOUR, now)],
  ["commit() in place", 1, (store) => store.commit(A, OTHER, NOW + HOUR, now)],
  ["commit() that changes nothing", 1, (store) => store.commit(A, DATA, NOW + HOUR, now)],
  ["create()", 1, (store) => store.create(B, DATA, NOW + HOUR, { ...now, subject: "zoe" })],
  ["create() refused", 1, (store) => store.create(A, DATA, NOW + HOUR, now)],
  ["update()", 1, (store) => store.update(A, DATA, { token: A, data: OTHER, expiry: NOW + HOUR }, now)],
  ["update() that changes nothing", 1, (store) => store.update(A, DATA, rowOf(A), now)],
  ["update() refused", 1, (store) => store.update(A, OTHER, rowOf(A), now)],
  ["renewal", 1, (store) => store.update(A, DATA, rowOf(B), now)],
  ["renewal that leaves a mark", 2, (store) => store.update(A, DATA, { ...rowOf(B), mark: MARK }, now)],
  [
    "renewal that is refused its mark",
    1,
    (store) => store.update(A, OTHER, { ...rowOf(B), mark: MARK }, now),
  ],
  ["renewal refused", 1, (store) => store.update(B, DATA, rowOf(tokenOf("c")), now)],
  ["touch()", 1, (store) => store.touch(A, NOW + 2 * HOUR, now)],
  ["touch() that is not due", 1, (store) => store.touch(A, NOW, now)],
  ["delete()", 1, (store) => store.delete(A)],
  ["all()", 1, (store) => Array.fromAsync(store.all(now))],
  ["deleteExpired()", 1, (store) => store.deleteExpired({ now: NOW + HOUR })],
  ["findBySubject()", 1, (store) => Array.fromAsync(store.findBySubject("max", now))],
  ["deleteBySubject()", 2, (store) => store.deleteBySubject("max")],
  ["delete() of none", 1, (store) => store.delete(B)],
  ["deleteBySubject() of none", 2, (store) => store.deleteBySubject("zoe")],
  ["deleteExpired() of none", 1, (store) => store.deleteExpired(now)],
];

function rowOf(token: string) {
  return { token, data: DATA, expiry: NOW + HOUR };
}

async function withOneRow(bench: PlanetScaleBench): Promise<PlanetScaleStore> {
  await bench.query("DELETE FROM sessions");
  const store = bench.another();
  await store.commit(A, DATA, NOW + HOUR, { ...now, subject: "max" });
  // A store looks once at the time zone of its expiries.
  await store.find(A, now);
  bench.gateway.reset();
  return store;
}

for (const [name, expected, call] of OPERATIONS) {
  Deno.test(`PlanetScaleStore sends ${expected} request${expected > 1 ? "s" : ""} for ${name}`, async () => {
    await using bench = await openPlanetScale();
    await call(await withOneRow(bench));
    assertEquals(bench.gateway.requests(), expected, bench.gateway.statements().join("\n"));
  });
}

Deno.test("PlanetScaleStore sends as many requests for a listing as it has pages", async () => {
  await using bench = await openPlanetScale();
  const rows = Array.from(
    { length: 450 },
    (_, index) => `('${tokenOf(String(index))}', 'x', '2026-03-05', 'zoe')`,
  );
  await bench.query(`INSERT INTO sessions (token, data, expiry, subject) VALUES ${rows.join()}`);
  assertEquals((await Array.fromAsync(bench.store.all(now))).length, 450);
  assertEquals(bench.gateway.requests(), 3);
  assertEquals((await Array.fromAsync(bench.store.findBySubject("zoe", now))).length, 450);
  assertEquals(bench.gateway.requests(), 6);
});

Deno.test("A manager on PlanetScaleStore sends 1 request to read, 2 to write and to sign out, 3 to sign in", async () => {
  await using bench = await openPlanetScale();
  const manager = sessions({ store: bench.store });
  const counted = async <T>(work: () => Promise<T>): Promise<[number, T]> => {
    const before = bench.gateway.requests();
    const result = await work();
    return [bench.gateway.requests() - before, result];
  };
  const change = async (token: string | undefined, change: (session: Session) => void) => {
    const session = await manager.load(token);
    change(session);
    return (await session.commit()).token;
  };
  type Session = Awaited<ReturnType<SessionManager["load"]>>;

  const [created, first] = await counted(() => change(undefined, (session) => session.put("a", 1)));
  const [read] = await counted(() => manager.load(first));
  const [written] = await counted(() => change(first, (session) => session.put("a", 2)));
  const [renewed, second] = await counted(() => change(first, (session) => session.renewToken()));
  const [ended] = await counted(async () => await (await manager.load(second)).destroy());
  assertEquals({ created, read, written, renewed, ended }, {
    created: 1,
    read: 1,
    written: 2,
    // The third one leaves the mark.
    renewed: 3,
    ended: 2,
  });
});

/** A store whose driver records every argument and every statement. */
function listening(
  bench: PlanetScaleBench,
): { store: PlanetScaleStore; args: unknown[]; statements: Set<string> } {
  const [args, statements] = [[] as unknown[], new Set<string>()];
  const client: PlanetScaleClient = {
    execute(query, given, options) {
      assertEquals(given.length, query.split("?").length - 1, query);
      args.push(...given);
      statements.add(query);
      return bench.client.execute(query, given, options);
    },
  };
  return { store: new PlanetScaleStore(client, { cleanup: "off" }), args, statements };
}

Deno.test("PlanetScaleStore passes only text to the driver, and its statements depend on no value", async () => {
  await using bench = await openPlanetScale();
  const seen: Set<string>[] = [];
  for (
    const [first, second, subject] of [[A, B, "zoe"], [tokenOf("' OR 1=1 -- "), tokenOf("\\'\""), "';\\\0"]]
  ) {
    const { store, args, statements } = listening(bench);
    const data = Uint8Array.from({ length: 256 }, (_, index) => index);
    await store.create(first!, data, NOW + HOUR, { ...now, subject });
    await store.commit(first!, data, NOW + HOUR, { ...now, subject });
    await store.commit(first!, data.subarray(1), NOW + HOUR, now);
    await store.find(first!, { ...now, primary: true });
    await store.touch(first!, NOW + 2 * HOUR, now);
    for (const change of [{}, { subject }, { subject: null }]) {
      await store.update(first!, data, { token: second!, data, expiry: NOW + HOUR, ...change }, now);
      await store.update(second!, data, { token: first!, data, expiry: NOW + HOUR, ...change }, now);
    }
    await Array.fromAsync(store.all(now));
    await Array.fromAsync(store.findBySubject(subject!, now));
    await store.deleteBySubject(subject!, { except: second });
    await store.delete(first!);
    await store.deleteExpired({ ...now, limit: 10, grace: 5, onEvent() {} });
    // A client's own `format`, such as that of sqlstring, takes a Uint8Array for an object.
    for (const arg of args) assertEquals(typeof arg, "string");
    seen.push(statements);
  }
  assertEquals(seen[1], seen[0]);
});

for (const sqlMode of [undefined, "NO_BACKSLASH_ESCAPES", "NO_BACKSLASH_ESCAPES,ANSI_QUOTES"]) {
  Deno.test(`PlanetScaleStore keeps hostile keys, values and subjects as they are, with sql_mode ${sqlMode}`, async () => {
    await using bench = await openPlanetScale({ gateway: { sqlMode } });
    await bench.query("CREATE TABLE users (name TEXT)");
    await bench.query("INSERT INTO users VALUES ('zoe')");
    for (const hashTokenInStore of [true, false]) {
      await assertKeepsAttacks(sessions({ store: bench.store, hashTokenInStore }));
    }
    assertEquals(await bench.query("SELECT name FROM users"), [{ name: "zoe" }]);
    assertEquals(await bench.query("SELECT COUNT(*) AS n FROM sessions"), [{ n: 0 }]);
  });
}

const TOKEN = "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_aBcDe";
const LOOKALIKES = [TOKEN.toLowerCase(), TOKEN.toUpperCase(), `${TOKEN} `, TOKEN.replace("E", "É")];

for (const lookalike of LOOKALIKES) {
  Deno.test(`PlanetScaleStore on a table of SCS's does not confuse a token with ${lookalike}`, async () => {
    await using bench = await openPlanetScale({ table: SCS_MYSQL_TABLE });
    const { store } = bench;
    await store.create(TOKEN, DATA, NOW + HOUR, now);
    // The server takes the two for equal. Only MySQL 8 distinguishes trailing blanks.
    const [row] = await bench.query(`SELECT COUNT(*) AS n FROM sessions WHERE token = '${lookalike}'`);
    assert(row!.n === 1 || lookalike.endsWith(" "));

    assertEquals(await store.find(lookalike, now), undefined);
    assertEquals(await store.update(lookalike, DATA, rowOf(lookalike), now), false);
    assertEquals(await store.update(lookalike, DATA, rowOf(B), now), false);
    await store.touch(lookalike, NOW + 2 * HOUR, now);
    assertEquals(await store.delete(lookalike), false);
    assertEquals(await store.create(lookalike, OTHER, NOW + HOUR, now).catch(() => false), false);
    await store.commit(lookalike, OTHER, NOW + 2 * HOUR, now).catch(() => {});
    assertEquals(await store.find(TOKEN, now), { data: DATA, expiry: NOW + HOUR });
  });
}

/** The cases that fill a table. What is varied here has nothing to do with the number of rows. */
const MANY_ROWS = /\b(?:450|1010|1200) sessions\b/;

/** Runs the contract, with a new gateway for each case. planetscale_contract_test.ts has the cases of many rows. */
function contract(name: string, open: () => Promise<PlanetScaleBench>, ignore = false): void {
  const benches = new WeakMap<PlanetScaleStore, PlanetScaleBench>();
  const cases = storeContract({
    name,
    async open() {
      const bench = await open();
      benches.set(bench.store, bench);
      return bench.store;
    },
    close: (store) => benches.get(store)![Symbol.asyncDispose](),
  });
  const few = cases.filter(({ name }) => !MANY_ROWS.test(name));
  assertEquals(cases.length - few.length, 3);
  for (const { name, run } of few) Deno.test({ name, ignore, fn: run });
}

contract(
  "PlanetScaleStore with no rights but SELECT, INSERT, UPDATE and DELETE",
  () => openPlanetScale({ gateway: { grants: ["SELECT, INSERT, UPDATE, DELETE ON sessions"] } }),
);

Deno.test("PlanetScaleStore.createTable() fails with unauthorized without the right to make tables", async () => {
  await using bench = await openPlanetScale({
    table: [],
    gateway: { grants: ["SELECT, INSERT, UPDATE, DELETE"] },
  });
  const error = await assertRejects(() => bench.store.createTable(), SessionStoreError);
  assertEquals([error.operation, error.reason, error.retryable], ["createTable", "unauthorized", false]);
});

for (const timeZone of ["-12:00", "+13:00", "Europe/Berlin"]) {
  contract(
    `PlanetScaleStore with the server's time_zone at ${timeZone}`,
    () => openPlanetScale({ gateway: { timeZone } }),
  );
}

for (const clock of [Date.UTC(1999, 0, 1), Date.UTC(2038, 0, 19, 3, 14, 7), Date.UTC(2040, 0, 1)]) {
  const year = new Date(clock).getUTCFullYear();
  const known = await isKnown(clock);
  contract(
    `PlanetScaleStore with the server's clock in ${year}${known ? "" : " (skipped: unknown to this server)"}`,
    () => openPlanetScale({ gateway: { clock } }),
    !known,
  );
}

/** Whether the server's clock can be set to this time. In MySQL, and in MariaDB before 11.5, it ends in January 2038. */
async function isKnown(clock: number): Promise<boolean> {
  try {
    await using bench = await openPlanetScale({ gateway: { clock } });
    await bench.client.execute("SELECT 1");
    return true;
  } catch (error) {
    if (/set the server's clock|'timestamp' can't be set/.test(String(error))) return false;
    throw error;
  }
}

Deno.test("PlanetScaleStore makes, keeps and ends sessions when the manager's clock says 2040", async () => {
  await using bench = await openPlanetScale({ gateway: { timeZone: "Europe/Berlin" } });
  // In this night Berlin's clocks are set back, and an hour comes twice.
  let time = Date.UTC(2040, 9, 28, 0, 30);
  const manager = sessions({
    store: bench.store,
    now: () => time,
    lifetime: "4h",
    idleTimeout: "1h",
    touchInterval: 0,
  });
  const session = await manager.load();
  session.put("a", 1);
  const { token } = await session.commit();
  for (let step = 0; step < 4; step++) {
    time += HOUR - 1;
    const read = await manager.load(token);
    assertEquals(read.get("a"), 1, new Date(time).toISOString());
    await read.commit();
  }
  time = Date.UTC(2040, 9, 28, 4, 30) - 1;
  assertEquals((await manager.load(token)).get("a"), 1);
  assertEquals((await manager.purge()).deleted, 0);
  time += 1;
  assertEquals((await manager.load(token)).get("a"), undefined);
  assertEquals((await manager.purge()).deleted, 1);
});

Deno.test("PlanetScaleStore takes an expiry before or after every time of its column for the nearest one", async () => {
  const end = 8.64e15;
  for (const [table, expiries] of [[undefined, [-end, 0, end]], [SCS_MYSQL_TABLE, [-end, 0]]] as const) {
    await using bench = await openPlanetScale({ table });
    const { store } = bench;
    for (const expiry of expiries) {
      await store.commit(A, DATA, expiry, now);
      const live = expiry > NOW;
      assertEquals((await store.find(A, now))?.data, live ? DATA : undefined);
      assertEquals(await store.deleteExpired(now), live ? 0 : 1);
    }
  }
});

Deno.test("PlanetScaleStore on a TIMESTAMP column refuses an expiry that does not fit, and names the statement to run", async () => {
  await using bench = await openPlanetScale({ table: SCS_MYSQL_TABLE });
  // A TIMESTAMP ends in 2038, and from MariaDB 11.5 on in 2106.
  const expiry = Date.UTC(2107, 0, 1);
  const { store } = bench;
  await store.create(A, DATA, NOW + HOUR, now);
  const writes: (() => Promise<unknown>)[] = [
    () => store.create(B, DATA, expiry, now),
    () => store.commit(A, OTHER, expiry, now),
    () => store.update(A, DATA, { token: A, data: OTHER, expiry }, now),
    () => store.update(A, DATA, { token: B, data: OTHER, expiry }, now),
    () => store.touch(A, expiry, now),
  ];
  for (const write of writes) {
    const error = await assertRejects(write, SessionStoreError);
    assertEquals([error.reason, error.retryable, error.ambiguous], ["schema", false, false]);
    assertStringIncludes(error.message, "a TIMESTAMP ends in January 2038");
    assertEquals(await store.find(A, now), { data: DATA, expiry: NOW + HOUR });
  }
  const error = await assertRejects(() => store.touch(A, expiry, now), SessionStoreError);
  await bench.query(/run (ALTER TABLE .+)$/.exec(error.message)![1]!);
  for (const write of writes) await write();
  assertEquals((await Array.fromAsync(store.all(now))).map((row) => row.expiry), [expiry, expiry]);
});

for (const timeZone of ["-12:00", "+13:00", "Europe/Berlin"]) {
  Deno.test(`PlanetScaleStore on a TIMESTAMP column refuses the time zone ${timeZone}, and deletes nothing`, async () => {
    const summer = Date.UTC(2026, 6, 4, 5, 6, 7, 890);
    await using bench = await openPlanetScale({ table: SCS_MYSQL_TABLE, gateway: { timeZone } });
    const put = async (token: string, expiry: number) => {
      const text = new Date(expiry).toISOString().slice(0, -1).replace("T", " ");
      await bench.query(`INSERT INTO sessions VALUES ('${token}', 'x', '${text}')`);
    };
    // In the wrong zone the first one looks expired or not. The second one is live in any zone.
    await put(A, summer + 60_000);
    for (const late of [false, true]) {
      if (late) await put(B, summer + 30 * 24 * HOUR);
      const calls: ((store: PlanetScaleStore) => Promise<unknown>)[] = [
        (store) => store.find(A, { now: summer }),
        (store) => store.find(B, { now: summer }),
        (store) => Array.fromAsync(store.all({ now: summer })),
        (store) => store.deleteExpired({ now: summer }),
        (store) => store.deleteExpired({ now: summer, onEvent() {} }),
      ];
      for (const call of calls) {
        const error = await assertRejects(() => call(bench.another()), SessionStoreError);
        assertEquals([error.reason, error.retryable], ["schema", false]);
        assertStringIncludes(error.message, "the session's time_zone is not UTC");
      }
    }
    assertEquals(await bench.query("SELECT COUNT(*) AS n FROM sessions"), [{ n: 2 }]);
  });
}

Deno.test("PlanetScaleStore on a TIMESTAMP column refuses a zone that equals UTC for half of the year", async () => {
  await using bench = await openPlanetScale({ table: SCS_MYSQL_TABLE });
  // As London's zone does. The servers of these tests do not know it.
  const client: PlanetScaleClient = {
    execute: (query, args, options) =>
      bench.client.execute(query.replace("('2026-07-01')", "('2026-07-01') - 3600"), args, options),
  };
  const store = new PlanetScaleStore(client, { cleanup: "off" });
  const error = await assertRejects(() => store.find(A, now), SessionStoreError);
  assertStringIncludes(error.message, "the session's time_zone is not UTC");
});

Deno.test("PlanetScaleStore on a TIMESTAMP column in UTC looks at the zone once", async () => {
  await using bench = await openPlanetScale({ table: SCS_MYSQL_TABLE });
  await bench.store.find(A, now);
  assertEquals(bench.gateway.requests(), 2);
  await bench.store.find(A, now);
  await Array.fromAsync(bench.store.all(now));
  assertEquals(bench.gateway.requests(), 4);
});

Deno.test("PlanetScaleStore.deleteExpired() of a new instance looks at the time zone once, if nothing has expired", async () => {
  await using bench = await openPlanetScale();
  const purge = async (store: PlanetScaleStore) => {
    bench.gateway.reset();
    const deleted = await store.deleteExpired(now);
    return [deleted, bench.gateway.requests()];
  };
  await bench.query(`INSERT INTO sessions (token, data, expiry) VALUES ('${A}', 'x', '2026-03-04')`);
  assertEquals(await purge(bench.store), [1, 1]);
  assertEquals(await purge(bench.store), [0, 2]);
  assertEquals(await purge(bench.store), [0, 1]);
});

Deno.test("A manager's first purge on PlanetScaleStore looks for the index only if there is an onEvent", async () => {
  await using bench = await openPlanetScale();
  for (const [onEvent, expected] of [[undefined, 1], [() => {}, 2]] as const) {
    await bench.query(`INSERT INTO sessions (token, data, expiry) VALUES ('${A}', 'x', '2026-03-04')`);
    const manager = sessions({ store: bench.another(), now: () => NOW, onEvent });
    bench.gateway.reset();
    assertEquals((await manager.purge()).deleted, 1);
    assertEquals(bench.gateway.requests(), expected);
  }
});

Deno.test("PlanetScaleStore.deleteExpired() of a new instance deletes in any zone on a DATETIME column", async () => {
  await using bench = await openPlanetScale({ gateway: { timeZone: "-12:00" } });
  await bench.query(`INSERT INTO sessions (token, data, expiry) VALUES ('${A}', 'x', '2026-03-04')`);
  for (const expected of [1, 0]) assertEquals(await bench.store.deleteExpired(now), expected);
});

Deno.test("PlanetScaleStore checks a deletion whose answer does not say how long it took", async () => {
  await using bench = await openPlanetScale();
  const client: PlanetScaleClient = {
    execute: async (...args) => ({ ...await bench.client.execute(...args), time: 0 }),
  };
  const store = new PlanetScaleStore(client, { cleanup: "off" });
  await store.find(A, now);
  const calls: [call: () => Promise<unknown>, requests: number][] = [
    [() => store.delete(B), 2],
    [() => store.deleteBySubject("zoe"), 3],
    [() => store.deleteExpired(now), 2],
  ];
  for (const [call, requests] of calls) {
    bench.gateway.reset();
    assert(!await call());
    assertEquals(bench.gateway.requests(), requests);
  }
});

Deno.test("PlanetScaleStore reads rows with microseconds as SCS writes them, and writes times as SCS reads them", async () => {
  await using bench = await openPlanetScale({ table: SCS_MYSQL_TABLE });
  await bench.query(`INSERT INTO sessions VALUES ('${A}', x'00ff', '2026-03-04 05:06:08.123456')`);
  const expiry = Date.UTC(2026, 2, 4, 5, 6, 8, 123);
  assertEquals(await bench.store.find(A, now), { data: Uint8Array.of(0, 255), expiry });
  await bench.store.commit(B, OTHER, expiry, now);
  const [row] = await bench.query(`SELECT data, expiry FROM sessions WHERE token = '${B}'`);
  assertEquals(row, { data: OTHER, expiry: "2026-03-04 05:06:08.123000" });
});

Deno.test("PlanetScaleStore.deleteBySubject() under READ COMMITTED finds a session that is renewed behind its back", async () => {
  await using bench = await openPlanetScale({ gateway: { isolation: "READ COMMITTED" } });
  const { client, query, store } = bench;
  const tokens = [tokenOf("b"), tokenOf("c"), tokenOf("d")];
  for (const token of tokens) await store.create(token, DATA, NOW + HOUR, { ...now, subject: "zoe" });
  await store.create(A, DATA, NOW + HOUR, { ...now, subject: "max" });
  let deleting: Promise<number> | undefined;
  await client.transaction(async (transaction) => {
    await transaction.execute(`SELECT token FROM sessions WHERE token = '${tokens[1]}' FOR UPDATE`);
    deleting = store.deleteBySubject("zoe");
    // It has deleted the first row, and waits for the second one. InnoDB refreshes this table only if nobody has read it
    // for 100 ms.
    const waiting = "SELECT 1 FROM information_schema.innodb_trx JOIN information_schema.processlist " +
      "ON id = trx_mysql_thread_id WHERE trx_state = 'LOCK WAIT' AND db = DATABASE()";
    while ((await query(waiting)).length === 0) await new Promise((resolve) => setTimeout(resolve, 150));
    const next = { token: tokenOf("a0"), data: DATA };
    assertEquals(await store.update(tokens[2]!, DATA, next, now), true);
  });
  assertEquals(await deleting, 3);
  assertEquals((await query("SELECT token FROM sessions")).map(({ token }) => token), [A]);
});

Deno.test("PlanetScaleStore takes a Client and a Connection, whatever cast and format the client was given", async () => {
  await using bench = await openPlanetScale();
  const config = {
    ...bench.gateway.config(),
    fetch: fetchWithTimeout(10_000),
    cast: () => "nonsense",
    // Like sqlstring, which makes assignments of an object and takes bytes for one.
    format: (query: string, values: unknown) =>
      format(query, (values as unknown[]).map((value) => value instanceof Uint8Array ? "`0` = 1" : value)),
  };
  for (const client of [new Client(config), new Client(config).connection()]) {
    const store = new PlanetScaleStore(client, { cleanup: "off" });
    await store.commit(A, DATA, NOW + HOUR, { ...now, subject: "zoe" });
    assertEquals(await store.find(A, now), { data: DATA, expiry: NOW + HOUR });
    assertEquals(await store.delete(A), true);
  }
});

Deno.test("PlanetScaleStore matches a subject exactly in a column of text, whose collation ignores case", async () => {
  for (const type of ["VARCHAR(255) CHARACTER SET utf8mb4", "TEXT CHARACTER SET latin1"]) {
    const column = `ALTER TABLE sessions ADD COLUMN subject ${type}, ADD INDEX (subject(9))`;
    await using bench = await openPlanetScale({ table: [...SCS_MYSQL_TABLE, column] });
    const subjects = ["zoe", "Zoe", "zoë", "zoe "];
    for (const [index, subject] of subjects.entries()) {
      await bench.store.create(tokenOf(`${index}`), DATA, NOW + HOUR, { ...now, subject });
    }
    for (const [index, subject] of subjects.entries()) {
      const found = await Array.fromAsync(bench.store.findBySubject(subject, now));
      assertEquals(found.map(({ token }) => token), [tokenOf(`${index}`)]);
      assertEquals(await bench.store.deleteBySubject(subject), 1);
    }
  }
});

Deno.test("PlanetScaleStore takes a table name of 63 characters, for its indexes too", async () => {
  await using bench = await openPlanetScale();
  const table = "t".repeat(63);
  const store = bench.another({ table });
  await store.createTable();
  assertEquals(await store.create(A, DATA, NOW + HOUR, { now: NOW, subject: "zoe" }), true);
  const indexes = await bench.query(`SHOW INDEX FROM ${table}`);
  assertEquals(indexes.map(({ Column_name }) => Column_name), ["token", "expiry", "subject"]);
  await bench.query(`ALTER TABLE ${table} DROP INDEX ${indexes[1]!.Key_name}`);
  const events: SessionEvent[] = [];
  await bench.another({ table }).deleteExpired({ now: NOW, onEvent: (event) => void events.push(event) });
  const [missing] = events.filter((event) => event.kind === "missing-index");
  await bench.query(missing!.statement);
  assertEquals((await bench.query(`SHOW INDEX FROM ${table}`)).length, 3);
});

Deno.test("PlanetScaleStore with the option table uses only that table", async () => {
  await using bench = await openPlanetScale();
  const store = bench.another({ table: "Other_2" });
  await store.createTable();
  await store.createTable();
  await store.create(A, DATA, NOW + HOUR, { ...now, subject: "zoe" });
  assertEquals(await bench.store.find(A, now), undefined);
  await bench.store.deleteBySubject("zoe");
  await bench.store.deleteExpired({ now: NOW + 2 * HOUR });
  assertEquals(await store.find(A, now), { data: DATA, expiry: NOW + HOUR });
});
