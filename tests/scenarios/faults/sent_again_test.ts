/**
 * Deno's `fetch` sends a POST again over a new connection if its kept-alive connection breaks. The result of the
 * second delivery says nothing about the first.
 * @module
 */

import { createClient } from "@libsql/client/web";
import { sessions, SessionStoreError } from "../../../mod.ts";
import { fetchWithTimeout, LibSQLStore } from "../../../stores/libsql.ts";
import { assertEquals, assertRejects } from "../../assert.ts";
import { freshTable, sharedLibSQL } from "../../backends.ts";
import { startFaultProxy } from "../../services/fault_proxy.ts";

/** No test waits for this timeout, in milliseconds. The machine may be slow. */
const PATIENCE = 60_000;

Deno.test("A write whose connection breaks, and whose second delivery is refused, is not reported as failed", async () => {
  const { url } = await sharedLibSQL();
  const table = freshTable();
  const patient = fetchWithTimeout(PATIENCE) as typeof fetch;
  const open = (fetch: typeof globalThis.fetch) =>
    new LibSQLStore(createClient({ url, fetch }), { table, cleanup: "off", timeout: 2 * PATIENCE });
  const direct = open(patient);
  await direct.createTable();
  await using proxy = startFaultProxy(url, { keepAlive: true });
  const store = open(proxy.through(patient) as typeof fetch);

  const created = await sessions<{ n: number }>({ store: direct }).load();
  created.put("n", 1);
  const { token } = await created.commit();
  const session = await sessions<{ n: number }>({ store }).load(token);
  session.put("n", 2);
  proxy.faults = () => "vanish";
  const error = await assertRejects(() => session.commit(), SessionStoreError);
  assertEquals([error.reason, error.ambiguous], ["unreachable", true]);
  assertEquals((await sessions<{ n: number }>({ store: direct }).load(token)).get("n"), 2);
});
