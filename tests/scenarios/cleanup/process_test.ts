// Clean-up and the life of a process: the timer does not keep it alive, and Deno's scheduler runs the purge.
import { scheduledPurge } from "../../../middleware/scheduled.ts";
import { type SessionManager, sessions } from "../../../mod.ts";
import { assert, assertEquals, assertStringIncludes } from "../../assert.ts";
import { type GuardedProcess, spawnGuarded } from "../../services/_process.ts";
import { NOW, onEachKind, serverKinds } from "./_tables.ts";

const CONFIG = pathOf("../../../deno.json");

/** How long a process may take. Far more than a busy machine needs, but less than the timer's minute. */
const LIMIT = 30_000;

function pathOf(relative: string): string {
  return decodeURIComponent(new URL(relative, import.meta.url).pathname);
}

async function until(condition: () => boolean, process: GuardedProcess): Promise<void> {
  const deadline = performance.now() + LIMIT;
  while (!condition()) {
    if (performance.now() > deadline) {
      await process.kill();
      throw new Error(`It did not happen within ${LIMIT} ms:\n${process.output()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

Deno.test("A Deno process ends by itself while the timer is pending", async () => {
  const args = ["run", "--quiet", "--no-check", "--config", CONFIG, pathOf("./_fixture_process.ts")];
  const child = spawnGuarded(Deno.execPath(), args);
  await until(() => child.exitCode() !== undefined, child);
  assertEquals([child.exitCode(), child.output()], [0, "Zoë\n"]);
});

Deno.test("A Node process ends by itself while the timer is pending", async () => {
  const file = await Deno.makeTempFile({ suffix: ".mjs" });
  const bundle = ["bundle", "--quiet", "--config", CONFIG, "--platform=browser", "--output", file];
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...bundle, pathOf("./_fixture_process.ts")],
  }).output();
  assertEquals([success, new TextDecoder().decode(stderr)], [true, ""]);
  const child = spawnGuarded("node", [file]);
  await until(() => child.exitCode() !== undefined, child);
  assertEquals([child.exitCode(), child.output()], [0, "Zoë\n"]);
  await Deno.remove(file);
});

Deno.test("Deno.cron runs scheduledPurge(), and tries again after a failure", async () => {
  await using table = await serverKinds[0]!.open();
  await table.fill({ expired: 120, live: 3 });
  await table.query(`ALTER TABLE ${table.name} RENAME TO ${table.name}_away`);
  const args = ["run", "--quiet", "--no-check", "--config", CONFIG, "--unstable-cron"];
  const child = spawnGuarded(Deno.execPath(), [
    ...args,
    "--allow-net",
    "--allow-env",
    pathOf("./_fixture_cron.ts"),
  ], {
    env: {
      LIBSQL_URL: table.url,
      LIBSQL_TABLE: table.name,
      NOW: String(NOW),
      NO_COLOR: "1",
      // Deno's own tests use it: whatever the schedule, the job is due in this many milliseconds.
      DENO_CRON_TEST_SCHEDULE_OFFSET: "100",
    },
  });
  try {
    await until(() => child.output().includes("Exception in cron handler purge sessions"), child);
    assertStringIncludes(child.output(), "run createTable()");
    await table.query(`ALTER TABLE ${table.name}_away RENAME TO ${table.name}`);
    await until(() => child.output().includes('{"kind":"purged","deleted":120}'), child);
  } finally {
    await child.kill();
  }
  assertEquals(await table.count(), { expired: 0, live: 3 });
});

onEachKind(
  "scheduledPurge() needs no arguments, as under Deno.cron, and returns its result",
  async (kind) => {
    await using table = await kind.open();
    await table.fill({ expired: 120, live: 3 });
    const purge = scheduledPurge(sessions({ store: table.store, now: () => NOW }));
    const { batches, elapsedMs, ...result } = await purge();
    assertEquals(result, { deleted: 120, done: true });
    assert(batches >= 2 && elapsedMs >= 0, `${batches} batches in ${elapsedMs} ms`);
  },
);

Deno.test("scheduledPurge() makes the manager from env once, and passes on its options", async () => {
  await using table = await serverKinds[0]!.open();
  await table.fill({ expired: 10 });
  const made: unknown[] = [];
  const purge = scheduledPurge((env: { name: string }): SessionManager => {
    made.push(env);
    return sessions({ store: table.store, now: () => NOW });
  }, { grace: "5s" });
  const env = { name: "production" };
  assertEquals((await purge({ cron: "* * * * *" }, env)).deleted, 5);
  assertEquals((await purge({ cron: "* * * * *" }, env, { waitUntil() {} })).deleted, 0);
  assertEquals(made, [env]);
});

/** A short form of what `@cloudflare/workers-types` declares. */
interface ExportedHandler<Environment> {
  scheduled?: (controller: { cron: string }, env: Environment, context: object) => void | Promise<void>;
}

Deno.test("scheduledPurge() fits the types of platforms, and returns its result to a direct caller", async () => {
  const handler = scheduledPurge((_env: { name: string }) => sessions());
  const worker = { scheduled: handler } satisfies ExportedHandler<{ name: string }>;
  const job: () => Promise<void> | void = scheduledPurge(sessions());
  await job();
  const { done }: { done: boolean } = await worker.scheduled({}, { name: "production" });
  assertEquals(done, true);
});
