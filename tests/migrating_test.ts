/**
 * Does what docs/migrating.md says.
 * @module
 */

import { SessionManager } from "../core/manager.ts";
import { Session } from "../core/session.ts";
import { codeIn, fencesIn, readRepoFile, sectionIn, tableIn } from "./_markdown.ts";
import { assert, assertEquals, assertMatch } from "./assert.ts";
import { startNode } from "./services/node.ts";
import { installPacked } from "./services/packed.ts";

const PAGE = readRepoFile("docs/migrating.md");

Deno.test("Every method that docs/migrating.md gives for one of another library exists", () => {
  const cells = ["express-session", "hono-sessions", "iron-session"].flatMap((name) =>
    tableIn(PAGE, name, "here")
  );
  const methods = cells.flatMap(([, here]) => codeIn(here!)).flatMap((code) =>
    [...code.matchAll(/\b(current|manager)\.(\w+)/g)].map(([, object, method]) => ({
      object,
      method: method!,
    }))
  );
  assert(methods.length > 15);
  for (const { object, method } of methods) {
    assert(method in (object === "manager" ? SessionManager : Session).prototype, `${object}.${method}`);
  }
});

Deno.test("The middleware of docs/migrating.md takes over a session of express-session, once", async () => {
  const [snippet] = fencesIn(sectionIn(PAGE, "Without signing anyone out"));
  await using app = await installPacked({
    dependencies: [["express", "5.3.0"], ["express-session", "1.19.0"]],
  });
  await Deno.writeTextFile(
    `${app.dir}/server.js`,
    snippet!.text + `
app.post("/old-login", (req, res) => {
  req.session.userId = 42;
  res.end();
});
app.get("/", async (req, res) => {
  res.json({ old: req.session?.userId, userId: (await session.of(req)).get("userId") });
});
app.use(session.handleError);
const server = app.listen(0, () => console.log(\`listening on \${server.address().port}\`));
`,
  );
  await using server = await startNode(20, `${app.dir}/server.js`, {
    cwd: app.dir,
    env: { SECRET: "a secret" },
  });
  const url = `http://localhost:${server.port}`;
  const visit = async (path: string, init: RequestInit) => {
    const response = await fetch(url + path, init);
    return { body: await response.text(), cookies: response.headers.getSetCookie() };
  };

  const login = await visit("/old-login", { method: "POST" });
  const old = login.cookies.map((cookie) => cookie.split(";")[0]!);
  const first = await visit("/", { headers: { Cookie: old.join("; ") } });
  assertEquals(first.body, `{"userId":42}`);
  assertEquals(first.cookies.length, 1);
  assertMatch(first.cookies[0]!, /^session=/);

  const both = [...old, first.cookies[0]!.split(";")[0]!];
  assertEquals(await visit("/", { headers: { Cookie: both.join("; ") } }), {
    body: `{"userId":42}`,
    cookies: [],
  });
  // The old session has ended, so its cookie alone signs nobody in.
  assertEquals((await visit("/", { headers: { Cookie: old.join("; ") } })).body, "{}");
});
