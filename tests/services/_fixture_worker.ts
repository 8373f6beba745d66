// The Worker of workerd_test.ts. It does what typical Workers do, and fails on request.
import { createClient } from "@libsql/client/web";
import { Hono } from "hono";

interface Env {
  GREETING: string;
  LIBSQL_URL: string;
}

/** The part of the runtime's types that is used here. They cannot be loaded beside Deno's. */
interface ScheduledController {
  cron: string;
  scheduledTime: number;
  noRetry(): void;
}

const app = new Hono<{ Bindings: Env }>()
  .get("/greeting", (c) => c.text(c.env.GREETING))
  .get("/proxy", async (c) => {
    const response = await fetch(c.req.query("url") ?? "");
    return c.text(await response.text());
  })
  .get("/rows", async (c) => {
    const client = createClient({ url: c.env.LIBSQL_URL, concurrency: Infinity });
    return c.json((await client.execute("SELECT cron, scheduled_time FROM events")).rows);
  });

export default {
  fetch: app.fetch,
  async scheduled(
    controller: ScheduledController,
    env: Env,
    ctx: { waitUntil(work: Promise<unknown>): void },
  ) {
    switch (controller.cron) {
      case "throw":
        throw new TypeError("on purpose");
      case "give up":
        controller.noRetry();
        throw new Error("for good");
      case "later":
        ctx.waitUntil(Promise.reject(new RangeError("too late")));
        return;
    }
    console.log("Cron event", controller.cron);
    const client = createClient({ url: env.LIBSQL_URL, concurrency: Infinity });
    await client.execute({
      sql: "INSERT INTO events VALUES (?, ?)",
      args: [controller.cron, controller.scheduledTime],
    });
  },
};
