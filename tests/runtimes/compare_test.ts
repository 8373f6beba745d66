/** The comparer and the client notice what they must. Otherwise the matrix would pass without testing anything. */

import { assertEquals, assertNotEquals } from "../assert.ts";
import { compare, type Expected } from "./_compare.ts";
import { type Exchange, RawConnection } from "./_raw_client.ts";

const TOKEN = "a".repeat(43);
const SET = `session=${TOKEN}; Path=/; Expires=${
  new Date(Date.now() + 60_000).toUTCString()
}; HttpOnly; SameSite=Lax`;
const DELETE = "session=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; SameSite=Lax";

function exchange(headers: [string, string][] = [], change: Partial<Exchange> = {}): Exchange {
  return {
    statusLine: "HTTP/1.1 200 OK",
    status: 200,
    headers: [["Content-Type", "text/plain"], ["Date", "now"], ...headers],
    framing: "length",
    body: new Uint8Array([1, 2]),
    chunks: [],
    trailers: [],
    end: "whole",
    ...change,
  };
}

const bare = exchange();
const MARKS: [string, string][] = [["Vary", "Cookie"], ["Cache-Control", "private"]];
const UNTOUCHED: Expected = { marked: false, cookie: "none" };
const READ: Expected = { marked: true, cookie: "none" };
const CREATED: Expected = { marked: true, cookie: "token" };
const DESTROYED: Expected = { marked: true, cookie: "deletion" };

Deno.test("compare() allows what a session adds", () => {
  assertEquals(
    compare(bare, exchange([], { headers: [["content-type", "text/plain"], ["date", "later"]] }), UNTOUCHED),
    [],
  );
  assertEquals(compare(bare, exchange(MARKS), READ), []);
  assertEquals(compare(bare, exchange([...MARKS, ["Set-Cookie", SET]]), CREATED), []);
  assertEquals(compare(bare, exchange([...MARKS, ["Set-Cookie", DELETE]]), DESTROYED), []);
});

Deno.test("compare() notices a difference in each part of a response", () => {
  const changes: Partial<Exchange>[] = [
    { statusLine: "HTTP/1.1 200 Fine" },
    { framing: "chunked" },
    { body: new Uint8Array([1, 3]) },
    { body: new Uint8Array([1, 2, 0]) },
    { trailers: [["X-Sum", "1"]] },
    { end: "cut off" },
    { headers: [["Content-Type", "application/octet-stream"], ["Date", "now"]] },
    { headers: [["Content-Type", "text/plain"]] },
    { headers: [...bare.headers, ["X-New", "1"]] },
  ];
  for (const change of changes) {
    assertEquals(compare(bare, exchange([], change), UNTOUCHED).length, 1, JSON.stringify(change));
    const marked = { ...change, headers: [...(change.headers ?? bare.headers), ...MARKS] };
    assertEquals(compare(bare, exchange([], marked), READ).length, 1, JSON.stringify(change));
  }
});

Deno.test("compare() allows a type that a runtime omitted, and no other new type", () => {
  const typeless = exchange([], { headers: [["Date", "now"]] });
  const typed = (type: string, change: Partial<Exchange> = {}) =>
    compare(
      typeless,
      exchange([], { headers: [["Content-Type", type], ["Date", "now"]], ...change }),
      UNTOUCHED,
    );
  assertEquals(typed("text/plain;charset=UTF-8"), []);
  assertEquals(typed("application/octet-stream").length, 1);
  const head: Exchange = { ...typeless, framing: "none" };
  const svg = exchange([], {
    framing: "none",
    headers: [["Content-Type", "image/svg+xml"], ["Date", "now"]],
  });
  assertEquals(compare(head, svg, UNTOUCHED), []);
  assertEquals(compare({ ...head, status: 204 }, { ...svg, status: 204 }, UNTOUCHED).length, 1);
});

Deno.test("compare() notices session headers that are missing, wrong or unexpected", () => {
  const cases: [headers: [string, string][], expected: Expected, own?: [string, string][]][] = [
    [MARKS, UNTOUCHED],
    [[], READ],
    [MARKS.slice(0, 1), READ],
    [MARKS.slice(1), READ],
    [[["Vary", "Cookie, Cookie"], ["Cache-Control", "private"]], READ],
    [[["Vary", "Cookie"], ["Cache-Control", "private"]], READ, [["Cache-Control", "public"]]],
    [[["Vary", "Cookie"], ["Cache-Control", "private"]], READ, [["Vary", "Origin"]]],
    [[...MARKS, ["Set-Cookie", SET]], READ],
    [MARKS, CREATED],
    [[...MARKS, ["Set-Cookie", SET], ["Set-Cookie", SET]], CREATED],
    [[...MARKS, ["Set-Cookie", DELETE]], CREATED],
    [[...MARKS, ["Set-Cookie", SET.replace("; HttpOnly", "")]], CREATED],
    [[...MARKS, ["Set-Cookie", SET]], DESTROYED],
    [[...MARKS, ["Set-Cookie", SET]], CREATED, [["Set-Cookie", "a=1"]]],
    [[["Vary", "Cookie"], ["Cache-Control", "public"], ["Set-Cookie", SET]], CREATED],
    [[["Vary", "Cookie"], ["Cache-Control", "private"], ["Set-Cookie", SET]], CREATED, [[
      "Cache-Control",
      "max-age=5",
    ]]],
  ];
  for (const [headers, expected, own] of cases) {
    assertNotEquals(
      compare(exchange(own), exchange(headers), expected),
      [],
      JSON.stringify([headers, expected, own]),
    );
  }
});

Deno.test("compare() does not require the session's headers if the runtime makes the head, but refuses wrong ones", () => {
  const expected: Expected = { ...CREATED, ownHead: true };
  assertEquals(compare(bare, exchange(), expected), []);
  assertEquals(compare(bare, exchange([...MARKS, ["Set-Cookie", SET]]), expected), []);
  assertNotEquals(compare(bare, exchange([["Set-Cookie", SET]]), expected), []);
  assertNotEquals(compare(bare, exchange([["Set-Cookie", DELETE]]), expected), []);
});

Deno.test("RawConnection reads what was sent, byte by byte", async (t) => {
  const cases: [name: string, sent: string, seen: Partial<Exchange>, method?: string][] = [
    ["a length", "HTTP/1.1 200 Fine\r\nX-a: 1 \r\nContent-Length: 2\r\n\r\n\xff\0", {
      statusLine: "HTTP/1.1 200 Fine",
      headers: [["X-a", "1"], ["Content-Length", "2"]],
      framing: "length",
      body: new Uint8Array([255, 0]),
      end: "whole",
    }],
    [
      "chunks and trailers",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\nA\r\n0123456789\r\n0\r\nSum: 1\r\n\r\n",
      {
        framing: "chunked",
        chunks: [2, 10],
        trailers: [["Sum", "1"]],
        body: new TextEncoder().encode("ab0123456789"),
        end: "whole",
      },
    ],
    ["a body until the end", "HTTP/1.1 200 OK\r\n\r\nabc", {
      framing: "until close",
      body: new TextEncoder().encode("abc"),
      end: "whole",
    }],
    ["a HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", { framing: "none", end: "whole" }, "HEAD"],
    ["a body that breaks off", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", { end: "cut off" }],
    ["more than was announced", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nabc", { end: "overrun" }],
    ["no HTTP", "hello\r\n\r\n", { end: "garbled" }],
    ["nothing", "", { end: "cut off" }],
  ];
  for (const [name, sent, seen, method] of cases) {
    await t.step(name, async () => {
      using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      const served = (async () => {
        using connection = await listener.accept();
        await connection.read(new Uint8Array(1_000));
        await connection.write(Uint8Array.from(sent, (character) => character.charCodeAt(0)));
      })();
      using connection = await RawConnection.open((listener.addr as Deno.NetAddr).port);
      const exchange = await connection.exchange({ path: "/", ...(method ? { method } : {}) });
      await served;
      for (const key of Object.keys(seen) as (keyof Exchange)[]) assertEquals(exchange[key], seen[key], key);
    });
  }
});
