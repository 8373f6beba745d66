/**
 * What is special about Workers, in Cloudflare's own runtime.
 */

import config from "../../deno.json" with { type: "json" };
import { assertEquals, assertNotEquals } from "../assert.ts";
import { setCookies } from "../scenarios/_visits.ts";
import { type Handshake, handshake } from "../middleware/_handshake.ts";
import { Visitor } from "../middleware/_visitor.ts";
import { until } from "../services/demo.ts";
import { startWorker, type WorkerdServer } from "../services/workerd.ts";

let worker: WorkerdServer;
Deno.test.beforeAll(async () => {
  worker = await startWorker({ entry: new URL("./_worker.ts", import.meta.url) });
});
Deno.test.afterAll(() => worker?.stop());

function newVisitor(): Visitor {
  return new Visitor((path, init) => worker.fetch(path, init));
}

async function upgrade(path: string, cookie = ""): Promise<Handshake> {
  return await handshake(Number(new URL(worker.url).port), path, cookie === "" ? {} : { Cookie: cookie });
}

/** The runtime tells of an error a little after the response. */
async function logged(text: string): Promise<void> {
  await until(30_000, () => worker.logs().includes(text));
}

function tokenIn({ headers }: Handshake): string | undefined {
  return /^session=([^;]*)/.exec(headers.get("Set-Cookie") ?? "")?.[1];
}

Deno.test("Every export can be bundled for a Worker, and does nothing there that is forbidden at module scope", async () => {
  const directory = await Deno.makeTempDir({ prefix: "sessions_test_" });
  const names = Object.keys(config.exports);
  const entry = `${directory}/worker.ts`;
  await Deno.writeTextFile(
    entry,
    [
      ...names.map((name, i) =>
        `import * as module${i} from ${JSON.stringify("@x/sessions" + name.slice(1))};`
      ),
      `const modules = [${names.map((_, i) => `module${i}`).join(", ")}];`,
      "export default { fetch: () => Response.json(modules.map((module) => Object.keys(module).length > 0)) };",
    ].join("\n"),
  );
  try {
    await using everything = await startWorker({ entry });
    assertEquals(await (await everything.fetch("/")).json(), names.map(() => true));
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("A WebSocket's upgrade on Workers", async (t) => {
  await t.step("sends the cookie of a new session with the 101", async () => {
    using connection = await upgrade("/socket/create");
    assertEquals(connection.status, 101);
    const visitor = newVisitor();
    visitor.cookies.set("session", tokenIn(connection)!);
    assertEquals(await visitor.text("/page"), "7");
  });
  await t.step("sends the cookie of a renewed session with the 101", async () => {
    const visitor = newVisitor();
    await visitor.text("/page/create");
    const before = visitor.token;
    using connection = await upgrade("/socket/renew", visitor.cookie);
    assertEquals(connection.status, 101);
    assertNotEquals(tokenIn(connection), before);
    visitor.cookies.set("session", tokenIn(connection)!);
    assertEquals(await visitor.text("/page"), "7");
  });
  await t.step(
    "leaves the session writable for messages, loaded anew, and sends no other cookie",
    async () => {
      const visitor = newVisitor();
      await visitor.text("/page/create");
      using connection = await upgrade("/socket/read", visitor.cookie);
      assertEquals([connection.status, tokenIn(connection)], [101, undefined]);
      await connection.send("hello");
      assertEquals(await connection.message(), "user 8");
      assertEquals(await visitor.text("/page"), "8");
    },
  );
  await t.step("is answered by an error where the commit fails", async () => {
    using connection = await upgrade("/socket/too-large");
    assertEquals([connection.status, tokenIn(connection)], [500, undefined]);
    await logged("closed with 1011");
  });
});

Deno.test("An error of a handler on Workers", async (t) => {
  await t.step("goes to the platform where the session was left alone", async () => {
    const response = await worker.fetch("/throw/read");
    assertEquals([response.status, setCookies(response)], [500, []]);
    await response.body?.cancel();
    await logged("Uncaught RangeError: on purpose after read");
  });
  await t.step("goes to the platform without a cookie where the session was changed", async () => {
    const response = await worker.fetch("/throw/create");
    assertEquals([response.status, setCookies(response)], [500, []]);
    await response.body?.cancel();
    await logged("Uncaught RangeError: on purpose after create");
  });
  for (const [how, userId] of [["commit", "7"], ["destroy", "undefined"]] as const) {
    await t.step(
      `goes to the platform all the same after ${how}(), whose cookie goes to the browser`,
      async () => {
        const visitor = newVisitor();
        await visitor.text("/page/create");
        const response = await visitor.visit(`/throw/${how}`);
        assertEquals([response.status, await response.text()], [500, "Internal Server Error\n"]);
        assertEquals(setCookies(response).length, 1);
        assertEquals(await visitor.text("/page"), userId);
        await logged(`Uncaught RangeError: on purpose after ${how}`);
      },
    );
  }
});
