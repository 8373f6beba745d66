/**
 * The app on the sessions of Remix 3.
 *
 * @module
 */

import { createCookie } from "@remix-run/cookie";
import { createRouter } from "@remix-run/fetch-router";
import { Session, type SessionStorage } from "@remix-run/session";
import { session } from "@remix-run/session-middleware";
import { createFsSessionStorage } from "@remix-run/session/fs-storage";
import { type About, type App, type Controls, LAST_MODIFIED, LIST, run, serve } from "../../compare/_app.ts";
import { SECRET, versions } from "./_versions.ts";

const about: About = {
  name: "@remix-run/session",
  packages: versions("@remix-run/session", "@remix-run/session-middleware", "@remix-run/fetch-router"),
  store: "its files",
  pages: [
    {
      url: "https://github.com/remix-run/remix/tree/main/packages/session#readme",
      says: "the store, and `regenerateId(true)`, which deletes the old session",
    },
    {
      url: "https://github.com/remix-run/remix/tree/main/packages/session-middleware#readme",
      says: "the middleware, login and logout",
    },
  ],
  notes: ["These are the packages of Remix 3, from before its release."],
};

async function start(controls: Controls): Promise<App> {
  const directory = await Deno.makeTempDir({ prefix: "sessions_compare_" });
  const cookie = createCookie("__session", { secrets: [SECRET], httpOnly: true, sameSite: "Lax" });
  const router = createRouter({
    middleware: [session(cookie, watched(createFsSessionStorage(directory), controls))],
  });

  router.get("/public", () => new Response("hello"));
  router.get("/read", async ({ get, url }) => {
    const session = get(Session);
    await controls.gate(url.searchParams.get("gate"));
    return Response.json({ user: session.get("user"), values: session.data[0] });
  });
  router.get(
    "/named",
    ({ get }) =>
      Response.json({ user: get(Session).get("user") }, { headers: { "Last-Modified": LAST_MODIFIED } }),
  );
  router.get("/landing", ({ get }) => {
    get(Session).set("landed", "yes");
    return new Response("welcome", { headers: { "Cache-Control": "max-age=60" } });
  });
  router.post("/write", async ({ get, url }) => {
    const session = get(Session);
    await controls.gate(url.searchParams.get("gate"));
    session.set(url.searchParams.get("key")!, url.searchParams.get("value"));
    return new Response("written");
  });
  router.post("/count", async ({ get, url }) => {
    const session = get(Session);
    await controls.gate(url.searchParams.get("gate"));
    session.set("count", Number(session.get("count") ?? 0) + 1);
    return new Response("counted");
  });
  router.post("/list", ({ get }) => {
    get(Session).set(LIST, [1]);
    return new Response("made");
  });
  router.post("/push", ({ get }) => {
    (get(Session).get(LIST) as number[]).push(2);
    return new Response("pushed");
  });
  router.post("/login", async ({ get, url }) => {
    const session = get(Session);
    await controls.gate(url.searchParams.get("gate"));
    session.regenerateId(true);
    session.set("user", url.searchParams.get("user"));
    return new Response("signed in");
  });
  router.post("/logout", ({ get }) => {
    get(Session).destroy();
    return new Response("signed out");
  });
  router.post("/sign-out-everywhere", () => new Response(null, { status: 501 }));

  const files = () =>
    [...Deno.readDirSync(directory)].flatMap((folder) =>
      [...Deno.readDirSync(`${directory}/${folder.name}`)].map((file) => [folder.name, file.name] as const)
    );
  return {
    port: serve(async (request) => {
      try {
        return await router.fetch(request);
      } catch {
        return new Response("an error", { status: 500 });
      }
    }),
    rows: () =>
      files().map((
        [folder, name],
      ) => [folder + name, name, Deno.readTextFileSync(`${directory}/${folder}/${name}`)]),
    spoil() {
      for (const [folder, name] of files()) {
        Deno.writeTextFileSync(`${directory}/${folder}/${name}`, "{{{ no row");
      }
    },
  };
}

/** The storage, which counts each call that reaches a file. */
function watched(storage: SessionStorage, controls: Controls): SessionStorage {
  return {
    // deno-lint-ignore require-await -- a store that is down rejects
    async read(cookie) {
      if (cookie) controls.storeCall("read", "read");
      return storage.read(cookie);
    },
    // deno-lint-ignore require-await -- the same
    async save(session) {
      if (session.deleteId) controls.storeCall("write", "delete");
      if (session.destroyed || session.dirty) controls.storeCall("write", "save");
      return storage.save(session);
    },
  };
}

await run(about, start);
