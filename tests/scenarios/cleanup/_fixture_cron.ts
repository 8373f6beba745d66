/// <reference lib="deno.unstable" />
// A service with a cron job; see process_test.ts.
import { createClient } from "@libsql/client/web";
import { scheduledPurge } from "../../../middleware/scheduled.ts";
import { sessions } from "../../../mod.ts";
import { fetchWithTimeout, LibSQLStore } from "../../../stores/libsql.ts";

const client = createClient({
  url: Deno.env.get("LIBSQL_URL")!,
  concurrency: Infinity,
  fetch: fetchWithTimeout(5_000),
});
const manager = sessions({
  store: new LibSQLStore(client, { table: Deno.env.get("LIBSQL_TABLE")!, cleanup: "off" }),
  now: () => Number(Deno.env.get("NOW")),
  onEvent: (event) => console.log(JSON.stringify(event)),
});

Deno.cron("purge sessions", "0 3 * * *", { backoffSchedule: [10] }, scheduledPurge(manager));
