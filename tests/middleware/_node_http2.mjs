/** Handlers of `node:http2` with a session that is new. Prints what a client got. */
import { once } from "node:events";
import { connect, createServer } from "node:http2";
import process from "node:process";
import { MemoryStore, sessions } from "@x/sessions";
import { nodeSessions } from "@x/sessions/middleware/node";

/** A store that takes its time, so that a response is held while its handler goes on. */
class SlowStore extends MemoryStore {
  timeout = 5_000;
  async create(...given) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    return await super.create(...given);
  }
}

const logged = [];
console.error = (error) => logged.push(error?.code ?? error?.message);
for (const event of ["warning", "unhandledRejection", "uncaughtException"]) {
  process.on(event, (error) => logged.push(`${event}: ${error.message}`));
}

const HANDLERS = {
  "late-calls": (res) => {
    res.end("first");
    try {
      res.setHeader("x-late", "1");
    } catch (error) {
      logged.push(error.code);
    }
    res.statusCode = 500;
  },
  "write-head-list": (res) => res.writeHead(201, [["set-cookie", "a=1"], ["set-cookie", "b=2"]]).end("list"),
  "drain": async (res) => {
    const hasRoom = res.write("x".repeat(100_000));
    if (!hasRoom) await once(res, "drain");
    res.end(`, room: ${hasRoom}`);
  },
  "throws": () => {
    throw new Error("on purpose");
  },
  "throws-response": () => {
    throw new Response("teapot", { status: 418, headers: { "Connection": "close", "Keep-Alive": "1" } });
  },
};

const session = nodeSessions(sessions({ store: new SlowStore() }));
const server = createServer((req, res) =>
  session(req, res, async () => {
    (await session.of(req)).put("n", 1);
    return HANDLERS[req.url.slice(1)](res);
  })
);
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const client = connect(`http://127.0.0.1:${server.address().port}`);

const seen = {};
for (const name of Object.keys(HANDLERS)) {
  const stream = client.request({ ":path": `/${name}` });
  let head = {};
  stream.on("response", (headers) => head = headers);
  let text = "";
  try {
    for await (const chunk of stream) text += chunk;
  } catch (error) {
    text = error.code;
  }
  seen[name] = [head[":status"], text.slice(-30), head["set-cookie"]?.length ?? 0, ...logged.splice(0)];
}
console.log(JSON.stringify(seen));
client.close();
server.close();
