/**
 * Deno's `fetch` sends a POST a second time, over a new connection, when the one that it was kept alive on breaks. What
 * becomes of the second time says nothing of the first.
 * @module
 */

import { createClient } from "@libsql/client/web";
import { sessions, SessionStoreError } from "../../../mod.ts";
import { fetchWithTimeout, LibSQLStore } from "../../../stores/libsql.ts";
import { assertEquals, assertRejects } from "../../assert.ts";
import { freshTable, sharedLibSQL } from "../../backends.ts";
import { startFaultProxy } from "../../services/fault_proxy.ts";

/** Nothing here waits for a time to run out, and the machine may be slow, in milliseconds. */
const PATIENCE = 60_000;

Deno.test("A write whose connection breaks, and whose second delivery is refused, is not said to have failed", async () => {
  const { url } = await sharedLibSQL();
  const table = freshTable();
  const patient = fetchWithTimeout(PATIENCE) as typeof fetch;
  const open = (fetch: typeof globalThis.fetch) =>
    new LibSQLStore(createClient({ url, fetch }), { table, cleanup: "off", timeout: 2 * PATIENCE });
  const truth = open(patient);
  await truth.createTable();
  await using proxy = startFaultProxy(url, { keepAlive: true });
  const store = open(proxy.through(patient) as typeof fetch);

  const created = await sessions<{ n: number }>({ store: truth }).load();
  created.put("n", 1);
  const { token } = await created.commit();
  const session = await sessions<{ n: number }>({ store }).load(token);
  session.put("n", 2);
  proxy.faults = () => "vanish";
  const error = await assertRejects(() => session.commit(), SessionStoreError);
  assertEquals([error.reason, error.ambiguous], ["unreachable", true]);
  assertEquals((await sessions<{ n: number }>({ store: truth }).load(token)).get("n"), 2);
});
