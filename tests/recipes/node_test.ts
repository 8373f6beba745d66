/**
 * `nodeSessions()` on Node itself: what is sent with a session is what the same handler sends without one, and what the
 * session must add.
 */
import { assertEquals, assertMatch } from "../assert.ts";
import { compare, COOKIE, type Expected, tokenIn } from "../runtimes/_compare.ts";
import { latin1, RawClient } from "../runtimes/_raw_client.ts";
import { nodeBinary, type NodeVersion, startNode } from "../services/node.ts";
import { openWorkshop } from "./_apps.ts";

const SCRIPT = await Deno.readTextFile(new URL("_node_server.mjs", import.meta.url));
const RESPONSES = [
  ...SCRIPT.slice(SCRIPT.indexOf("HANDLERS ="), SCRIPT.indexOf("FAILURES =")).matchAll(
    /^ {2}"([\w-]+)":/gm,
  ),
].map(([, name]) => name!);

const USES: Record<string, { expected: Expected; holds: string }> = {
  never: { expected: { marked: false, cookie: "none" }, holds: "1" },
  read: { expected: { marked: true, cookie: "none" }, holds: "1" },
  written: { expected: { marked: true, cookie: "none" }, holds: "7" },
  renewed: { expected: { marked: true, cookie: "token" }, holds: "undefined" },
  destroyed: { expected: { marked: true, cookie: "deletion" }, holds: "undefined" },
};

class Client implements Disposable {
  readonly #raw: RawClient;
  constructor(port: number) {
    this.#raw = new RawClient(port);
  }
  async text(path: string): Promise<string> {
    return latin1((await this.#raw.exchange({ path })).body);
  }
  exchange(path: string, token?: string, method = "GET") {
    const headers: Record<string, string> = token === undefined ? {} : { Cookie: `${COOKIE}=${token}` };
    return this.#raw.exchange({ path, method, headers: { ...headers, Connection: "close" } });
  }
  [Symbol.dispose](): void {
    this.#raw[Symbol.dispose]();
  }
}

/** Sends what no client of HTTP would. */
async function exchangeRaw(port: number, lines: string[]): Promise<string> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  await connection.write(new TextEncoder().encode(`${lines.join("\r\n")}\r\n\r\n`));
  return await new Response(connection.readable).text();
}

for (const version of [20, 26] as NodeVersion[]) {
  Deno.test(`nodeSessions() on Node ${version}`, async (t) => {
    await using workshop = await openWorkshop("fast");
    const dir = await workshop.make("node", { "server.mjs": SCRIPT });
    await using server = await startNode(version, `${dir}/server.mjs`, { cwd: dir });
    using client = new Client(server.port);

    for (const name of RESPONSES) {
      await t.step(`${name} is sent as without a session`, async () => {
        for (const method of name === "text" || name === "chunks" ? ["GET", "HEAD"] : ["GET"]) {
          const bare = await client.exchange(`/bare/none/${name}`, undefined, method);
          for (const [use, { expected, holds }] of Object.entries(USES)) {
            const token = await client.text("/session");
            const seen = await client.exchange(`/with/${use}/${name}`, token, method);
            assertEquals(compare(bare, seen, expected), [], `${method} ${use}`);
            if (name === "chunks" || name === "flush") {
              assertEquals(seen.chunks, bare.chunks, `${method} ${use}: chunks`);
            }
            assertEquals(await client.text(`/value/${token}`), holds, use);
            const renewed = tokenIn(seen);
            if (expected.cookie === "token") assertEquals(await client.text(`/value/${renewed}`), "7", use);
          }
        }
        await new Promise((resolve) => setTimeout(resolve, 50));
        const logged: string[] = JSON.parse(await client.text("/logged"));
        assertEquals([...new Set(logged)], name === "callbacks" ? ["end,finish,write"] : []);
      });
    }

    const failures: Record<string, { status: number; body: RegExp; holds: string; logged: RegExp }> = {
      "throws": { status: 500, body: /^Internal Server Error\n$/, holds: "1", logged: /on purpose/ },
      "rejects": { status: 500, body: /^Internal Server Error\n$/, holds: "1", logged: /on purpose/ },
      "throws-response": { status: 418, body: /^short and stout$/, holds: "7", logged: /^\[\]$/ },
      // Node says it at once, before anything is saved.
      "head-refused": {
        status: 500,
        body: /^Internal Server Error\n$/,
        holds: "1",
        logged: /ERR_INVALID_CHAR|Invalid character/,
      },
      // Node says it when the session is saved.
      "chunk-refused": { status: 500, body: /^Internal Server Error\n$/, holds: "7", logged: /chunk/ },
      "status-refused": { status: 500, body: /^Internal Server Error\n$/, holds: "7", logged: /9999/ },
      "throws-after-end": { status: 200, body: /^whole$/, holds: "7", logged: /on purpose/ },
      "store-fails": { status: 503, body: /^x+$/, holds: "1", logged: /ERR_SESSION_STORE/ },
      "update-throws": { status: 500, body: /^Internal Server Error\n$/, holds: "1", logged: /toFixed/ },
    };
    for (const [name, expected] of Object.entries(failures)) {
      await t.step(`${name} is answered with ${expected.status}`, async () => {
        const token = await client.text("/session");
        const seen = await client.exchange(`/fails/written/${name}`, token);
        assertEquals([seen.status, seen.end], [expected.status, "whole"]);
        assertMatch(latin1(seen.body), expected.body);
        await new Promise((resolve) => setTimeout(resolve, 150));
        assertEquals(await client.text(`/value/${token}`), expected.holds);
        assertMatch(await client.text("/logged"), expected.logged);
        assertEquals(seen.headers.filter(([header]) => header === "X-Own"), []);
      });
    }

    await t.step("a response that Node refuses still tells of the new token", async () => {
      const seen = await client.exchange("/fails/renewed/chunk-refused", await client.text("/session"));
      assertEquals(seen.status, 500);
      assertEquals(await client.text(`/value/${tokenIn(seen)}`), "7");
      await client.text("/logged");
    });

    await t.step("a stream that fails in the middle is cut off", async () => {
      const token = await client.text("/session");
      const seen = await client.exchange("/fails/written/throws-in-the-middle", token);
      assertEquals([seen.status, latin1(seen.body), seen.end], [200, "half", "cut off"]);
      assertMatch(await client.text("/logged"), /on purpose/);
    });

    await t.step("a name and a password in the header Host bring down nothing", async () => {
      for (const [host, path] of [["me:secret@host", "/"], ["me@host", "/"], ["", "/me:secret@host/"]]) {
        const lines = [
          `GET ${path} HTTP/1.1`,
          `Host: ${host}`,
          "X-Test: /with/written/text",
          "Connection: close",
        ];
        assertMatch(await exchangeRaw(server.port, lines), /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\ntext$/);
      }
    });

    await t.step(
      "a session that is first asked for after the head is an error, unless no cache may store that",
      async () => {
        const token = await client.text("/session");
        assertEquals(
          latin1((await client.exchange("/late/none/none", token)).body),
          "head ERR_SESSION_CLOSED",
        );
        assertEquals(latin1((await client.exchange("/late/private/none", token)).body), "head 1");
      },
    );
    assertEquals(server.process.exitCode(), undefined, server.process.output());
  });
}

Deno.test("nodeSessions() serves HTTP/2 as well", async () => {
  await using workshop = await openWorkshop("fast");
  const dir = await workshop.make("http2", {
    "server.mjs": `
      import { connect, createServer } from "node:http2";
      import { sessions } from "@x/sessions";
      import { nodeSessions } from "@x/sessions/middleware/node";

      const session = nodeSessions(sessions());
      const server = createServer((req, res) =>
        session(req, res, async () => {
          const current = await session.of(req);
          current.update("n", (n = 0) => n + 1);
          res.writeHead(201, { "x-own": "1" });
          res.write("Visit ");
          res.end(String(current.get("n")));
        })
      );
      await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
      const client = connect("http://127.0.0.1:" + server.address().port);
      async function visit(headers) {
        const stream = client.request({ ":path": "/", ...headers });
        const head = await new Promise((resolve) => stream.on("response", resolve));
        let text = "";
        for await (const chunk of stream) text += chunk;
        return { head, text };
      }
      const first = await visit({});
      const second = await visit({ cookie: first.head["set-cookie"][0].split(";")[0] });
      console.log(JSON.stringify({
        statuses: [first.head[":status"], second.head[":status"]],
        own: first.head["x-own"],
        marked: [first.head.vary, first.head["cache-control"], second.head["set-cookie"] ?? null],
        texts: [first.text, second.text],
      }));
      client.close();
      server.close();`,
  });
  const command = new Deno.Command(nodeBinary(26), { args: ["server.mjs"], cwd: dir });
  const { stdout, stderr } = await command.output();
  assertEquals(new TextDecoder().decode(stderr), "");
  assertEquals(JSON.parse(new TextDecoder().decode(stdout)), {
    statuses: [201, 201],
    own: "1",
    marked: ["Cookie", 'private, no-cache="Set-Cookie"', null],
    texts: ["Visit 1", "Visit 2"],
  });
});
