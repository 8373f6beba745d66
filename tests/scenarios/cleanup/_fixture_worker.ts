// The Worker of worker_test.ts: sessions in one of the databases, with a cron trigger that purges, as users have it.
import { createClient } from "@libsql/client/web";
import { Client } from "@planetscale/database";
import { Hono } from "hono";
import { honoSessions } from "../../../middleware/hono.ts";
import { scheduledPurge } from "../../../middleware/scheduled.ts";
import { sessions } from "../../../mod.ts";
import { fetchWithTimeout, LibSQLStore } from "../../../stores/libsql.ts";
import { PlanetScaleStore } from "../../../stores/planetscale.ts";

interface Env {
  DATABASE: "libsql" | "mysql";
  DATABASE_URL: string;
  TABLE: string;
  /** The manager's time, in milliseconds. */
  NOW: string;
  /** The result of `Math.random`, which cannot be set from outside. */
  RANDOM: string;
}

function managerOf({ DATABASE, DATABASE_URL: url, TABLE: table, NOW }: Env) {
  const fetch = fetchWithTimeout(5_000);
  const store = DATABASE === "mysql"
    ? new PlanetScaleStore(new Client({ url, fetch }), { table })
    : new LibSQLStore(createClient({ url, concurrency: Infinity, fetch }), { table });
  return sessions<{ name: string }>({
    store,
    now: () => Number(NOW),
    onEvent: (event) => console.log(JSON.stringify(event)),
  });
}

const app = new Hono<{ Bindings: Env }>()
  .use((c, next) => {
    Math.random = () => Number(c.env.RANDOM);
    return next();
  })
  .use(honoSessions((c) => managerOf(c.env as Env)))
  .post("/login", async (c) => {
    (await c.var.session()).put("name", "Zoë");
    return c.text("Saved");
  });

export default { fetch: app.fetch, scheduled: scheduledPurge(managerOf, { grace: "1s" }) };
