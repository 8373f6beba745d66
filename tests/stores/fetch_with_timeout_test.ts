/** `planetscale_errors_test.ts` and `libsql_test.ts` have what a driver makes of it, and what a server sees. */
import { fetchWithTimeout } from "../../stores/libsql.ts";
import { assertEquals, assertThrows } from "../assert.ts";

async function withServer(handler: () => Response | Promise<Response>, use: (url: string) => Promise<void>) {
  await using server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, handler);
  await use(`http://127.0.0.1:${server.addr.port}/`);
}

Deno.test("fetchWithTimeout() refuses 0, negative numbers, NaN and what is no number", () => {
  for (const ms of [0, -1, NaN, "2s", undefined]) {
    assertThrows(
      () => fetchWithTimeout(ms as number),
      RangeError,
      `must be a number of milliseconds above 0: got ${ms}`,
    );
  }
});

Deno.test("fetchWithTimeout() gives the status, the headers and the body", async () => {
  const answer = () => new Response("sorry", { status: 503, headers: { "Retry-After": "7" } });
  await withServer(answer, async (url) => {
    const response = await fetchWithTimeout(10_000)(url);
    assertEquals([response.status, response.headers.get("Retry-After")], [503, "7"]);
    assertEquals(await response.text(), "sorry");
  });
});

Deno.test("fetchWithTimeout() gives a response without a body", async () => {
  await withServer(() => new Response(null, { status: 204 }), async (url) => {
    const response = await fetchWithTimeout(10_000)(url);
    assertEquals([response.status, response.body], [204, null]);
  });
});

for (const ms of [2 ** 31, Infinity]) {
  Deno.test(`fetchWithTimeout(${ms}) does not abort at once, as a timer of that time would`, async () => {
    const answer = async () => {
      await new Promise((resolve) => setTimeout(resolve, 50));
      return new Response("slow");
    };
    await withServer(answer, async (url) => {
      assertEquals(await (await fetchWithTimeout(ms)(url)).text(), "slow");
    });
  });
}

Deno.test("fetchWithTimeout() passes on what it is given, but no cache, which older Workers refuse", async () => {
  const given: RequestInit[] = [];
  const { fetch } = globalThis;
  globalThis.fetch = (_input, init) => {
    given.push(init ?? {});
    return Promise.resolve(new Response("ok"));
  };
  try {
    await fetchWithTimeout(10_000)("http://a.example/", { method: "POST", body: "b", cache: "no-store" });
  } finally {
    globalThis.fetch = fetch;
  }
  const [{ signal, ...rest }] = given as [RequestInit];
  assertEquals(rest, { method: "POST", body: "b" });
  assertEquals(signal?.aborted, false);
});
