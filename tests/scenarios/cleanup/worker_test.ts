// Clean-up in the real workerd, where no timer outlives a request: by a cron trigger, and lazily.
import { assertEquals, assertMatch, assertStringIncludes } from "../../assert.ts";
import { until } from "../../services/demo.ts";
import { startWorker, type WorkerdServer } from "../../services/workerd.ts";
import { isPurge, type Kind, NOW, onEachServer, serverKinds, type ServerTable } from "./_tables.ts";

const entry = new URL("./_fixture_worker.ts", import.meta.url);

function startWorkerOn(kind: Kind, table: ServerTable, random = 0.5): Promise<WorkerdServer> {
  return startWorker({
    entry,
    // Before 2024-11-11 workerd refuses a request with a `cache` option, which PlanetScale's driver sets.
    compatibilityDate: "2024-09-23",
    bindings: {
      DATABASE: kind.name === "PlanetScaleStore" ? "mysql" : "libsql",
      DATABASE_URL: table.url,
      TABLE: table.name,
      // The Worker's grace keeps rows that expired up to a second ago.
      NOW: String(NOW + 1_000),
      RANDOM: String(random),
    },
  });
}

onEachServer("A Worker's cron event purges the database until nothing is left", async (kind) => {
  await using table = await kind.open();
  await table.fill({ expired: 320, live: 7 });
  await using worker = await startWorkerOn(kind, table);
  assertEquals(await worker.scheduled({ cron: "*/10 * * * *" }), {
    ok: true,
    outcome: "ok",
    noRetry: false,
  });
  assertEquals(await table.count(), { expired: 0, live: 7 });
  assertStringIncludes(worker.logs(), '{"kind":"purged","deleted":320}');
  // The next event finds nothing to do, and reports nothing.
  assertEquals((await worker.scheduled()).ok, true);
  assertEquals(worker.logs().split("purged").length, 2);
});

onEachServer(
  "A Worker's cron event that fails reports it to the platform, whose retry succeeds",
  async (kind) => {
    await using table = await kind.open();
    await table.fill({ expired: 30 });
    await table.query(`ALTER TABLE ${table.name} RENAME TO ${table.name}_away`);
    await using worker = await startWorkerOn(kind, table);
    const { ok, outcome, noRetry, error } = await worker.scheduled();
    assertEquals({ ok, outcome, noRetry }, { ok: false, outcome: "exception", noRetry: false });
    assertMatch(error ?? "", /^Error: Session store failed .+ run createTable\(\)$/);
    await table.query(`ALTER TABLE ${table.name}_away RENAME TO ${table.name}`);
    assertEquals((await worker.scheduled()).ok, true);
    assertEquals(await table.count(), { expired: 0, live: 0 });
  },
);

Deno.test("A Worker's cron event that fails halfway keeps its deletions, and the retry continues", async () => {
  const kind = serverKinds[1]!;
  await using table = await kind.open();
  await table.fill({ expired: 250, live: 7 });
  await using worker = await startWorkerOn(kind, table);
  let statements = 0;
  table.intercept = async (sql, send) => {
    if (isPurge(sql) && ++statements === 2) throw new TypeError("the connection broke");
    return await send();
  };
  assertEquals((await worker.scheduled()).ok, false);
  assertEquals(await table.count(), { expired: 150, live: 7 });
  assertEquals((await worker.scheduled()).ok, true);
  assertEquals(await table.count(), { expired: 0, live: 7 });
});

Deno.test("A Worker's lazy purge continues after the response of its request", async () => {
  const kind = serverKinds[1]!;
  await using table = await kind.open();
  await table.fill({ expired: 30, live: 7 });
  await using worker = await startWorkerOn(kind, table, 0);
  const answered = Promise.withResolvers<void>();
  const purged = Promise.withResolvers<void>();
  table.intercept = async (sql, send) => {
    if (!isPurge(sql)) return await send();
    await answered.promise;
    const answer = await send();
    purged.resolve();
    return answer;
  };
  const response = await worker.fetch("/login", { method: "POST" });
  assertEquals([response.status, await response.text()], [200, "Saved"]);
  // The purge is still running.
  assertEquals(await table.count(), { expired: 30, live: 8 });
  answered.resolve();
  const deadline = setTimeout(() => purged.reject(new Error("The purge died with its request")), 20_000);
  await purged.promise.finally(() => clearTimeout(deadline));
  assertEquals(await table.count(), { expired: 0, live: 8 });
  // Work after the response needs waitUntil too.
  const event = '{"kind":"purged","deleted":30}';
  await until(20_000, () => worker.logs().includes(event));
});
