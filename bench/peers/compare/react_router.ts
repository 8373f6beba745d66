/**
 * The app on the sessions of React Router, in resource routes.
 *
 * @module
 */

import fs from "node:fs";
import { createFileSessionStorage } from "@react-router/node";
import { type ActionFunctionArgs, createStaticHandler, type RouteObject } from "react-router";
import { type About, type App, type Controls, LAST_MODIFIED, LIST, run, serve } from "../../compare/_app.ts";
import { SECRET, versions } from "./_versions.ts";

type Values = { user: string; count: number; [LIST]: number[]; [key: string]: unknown };

const about: About = {
  name: "React Router",
  packages: versions("react-router", "@react-router/node"),
  store: "its files",
  pages: [
    {
      url: "https://reactrouter.com/explanation/sessions-and-cookies",
      says: "the cookie's options with `secrets`; login, logout and every write as there",
    },
    {
      url: "https://api.reactrouter.com/v8/functions/_react-router_node.createFileSessionStorage.html",
      says: "the store",
    },
  ],
  notes: [
    "Its page starts with `createCookieSessionStorage`, which keeps everything in the cookie as iron-session does.",
    "It has no call that renews a session's id, and its page's login keeps it.",
  ],
};

async function start(controls: Controls): Promise<App> {
  const dir = await Deno.makeTempDir({ prefix: "sessions_compare_" });
  watch(controls);
  const { getSession, commitSession, destroySession } = createFileSessionStorage<Values>({
    dir,
    cookie: {
      name: "__session",
      httpOnly: true,
      maxAge: 86_400,
      path: "/",
      sameSite: "lax",
      secrets: [SECRET],
    },
  });
  type Session = Awaited<ReturnType<typeof getSession>>;
  const sessionOf = (request: Request) => getSession(request.headers.get("Cookie"));
  const query = (request: Request, name: string) => new URL(request.url).searchParams.get(name);
  const committed = async (text: string, session: Session, headers: Record<string, string> = {}) =>
    new Response(text, { headers: { ...headers, "Set-Cookie": await commitSession(session) } });
  /** A form action, which changes the session and commits it. */
  const writing =
    (text: string, change: (session: Session, request: Request) => void) =>
    async ({ request }: ActionFunctionArgs) => {
      const session = await sessionOf(request);
      await controls.gate(query(request, "gate"));
      change(session, request);
      return await committed(text, session);
    };

  const routes: RouteObject[] = [
    { path: "/public", loader: () => new Response("hello") },
    {
      path: "/read",
      async loader({ request }) {
        const session = await sessionOf(request);
        await controls.gate(query(request, "gate"));
        return Response.json({ user: session.get("user"), values: session.data });
      },
    },
    {
      path: "/named",
      async loader({ request }) {
        const session = await sessionOf(request);
        return Response.json({ user: session.get("user") }, { headers: { "Last-Modified": LAST_MODIFIED } });
      },
    },
    {
      path: "/landing",
      async loader({ request }) {
        const session = await sessionOf(request);
        session.set("landed", "yes");
        return await committed("welcome", session, { "Cache-Control": "max-age=60" });
      },
    },
    {
      path: "/write",
      action: writing(
        "written",
        (session, request) => session.set(query(request, "key")!, query(request, "value")),
      ),
    },
    {
      path: "/count",
      action: writing("counted", (session) => session.set("count", (session.get("count") ?? 0) + 1)),
    },
    { path: "/list", action: writing("made", (session) => session.set(LIST, [1])) },
    { path: "/push", action: writing("pushed", (session) => void session.get(LIST)!.push(2)) },
    {
      path: "/login",
      action: writing("signed in", (session, request) => session.set("user", query(request, "user")!)),
    },
    {
      path: "/logout",
      async action({ request }) {
        const session = await sessionOf(request);
        return new Response("signed out", { headers: { "Set-Cookie": await destroySession(session) } });
      },
    },
    { path: "/sign-out-everywhere", action: () => new Response(null, { status: 501 }) },
  ];
  const { queryRoute } = createStaticHandler(routes);

  const files = () =>
    [...Deno.readDirSync(dir)].filter(({ isDirectory }) => isDirectory).flatMap((folder) =>
      [...Deno.readDirSync(`${dir}/${folder.name}`)].filter(({ isFile }) => isFile).map((file) =>
        [folder.name, file.name] as const
      )
    );
  return {
    port: serve(async (request) => {
      try {
        return await queryRoute(request) as Response;
      } catch (error) {
        if (error instanceof Response) return error;
        return new Response("an error", { status: 500 });
      }
    }),
    // A session's id is the name of its directory and its file.
    rows: () =>
      files().map((
        [folder, name],
      ) => [folder + name, name, Deno.readTextFileSync(`${dir}/${folder}/${name}`)]),
    spoil() {
      for (const [folder, name] of files()) Deno.writeTextFileSync(`${dir}/${folder}/${name}`, "{{{ no row");
    },
  };
}

/** Counts how often a file is read, written and deleted, and lets it fail like a file system. */
function watch(controls: Controls): void {
  const kinds = { readFile: "read", writeFile: "write", unlink: "write" } as const;
  const methods = fs.promises as unknown as Record<string, (...given: unknown[]) => Promise<unknown>>;
  for (const [name, kind] of Object.entries(kinds)) {
    const method = methods[name]!.bind(fs.promises);
    methods[name] = async (...given) => {
      // Deno's own part of a call, once the file is open.
      if (typeof given[0] !== "string") return await method(...given);
      try {
        controls.storeCall(kind, name);
      } catch (error) {
        throw Object.assign(error as Error, { code: "EIO" });
      }
      return await method(...given);
    };
  }
}

await run(about, start);
