/**
 * The application that every runtime serves in the matrix. It gets the library by its public names.
 *
 * A URL says how the session is mounted, how it is used and what the handler returns. `/fetch/written/text?id=1` is
 * `withSessions()`, a written value and a plain text. `/bare/...` is the same handler without sessions.
 * @module
 */

import { type Context, Hono } from "hono";
import { type Session, sessions } from "@x/sessions";
import { withSessions } from "@x/sessions/middleware/fetch";
import { honoSessions } from "@x/sessions/middleware/hono";
import { type AccidentName, ACCIDENTS } from "./_accidents.ts";
import { HONO_RESPONSES, type HonoResponseName } from "./_hono_responses.ts";
import type { Platform, Server, Visit } from "./_platform.ts";
import { type ResponseName, RESPONSES } from "./_responses.ts";
import { frameworkResponse, responseIn, THROWN, type ThrownName } from "./_throws.ts";

/** The values of a session. */
export interface Data {
  n: number;
}

/** Ways in which a handler uses its session. */
export const USES = {
  /** Never asked for. */
  never: () => {},
  /** A value is read, with a cookie or without one. */
  read: async (session) => void (await session()).get("n"),
  /** A value is written: with a cookie to the session, without one to a new session. */
  written: async (session) => (await session()).put("n", 7),
  /** Renewed, as a login does. */
  renewed: async (session) => {
    const current = await session();
    current.renewToken();
    current.put("n", 7);
  },
  /** Ended, as a logout does. */
  destroyed: async (session) => await (await session()).destroy(),
} satisfies Record<string, (session: () => Promise<Session<Data>>) => unknown>;

/** The name of a use. */
export type UseName = keyof typeof USES;

/** Ways of mounting the sessions, and the same handlers without sessions. */
export type Mount = "fetch" | "hono" | "begin" | "bare" | "bare-hono" | "bare-begin";

type Accessor = () => Promise<Session<Data>>;

/** Makes the application for one runtime. */
export function createApp(platform: Platform): Server {
  const manager = sessions<Data>();
  const shared = new Map<string, Response>();

  function visitOf(request: Request, env: unknown): Visit {
    const url = new URL(request.url);
    const id = url.searchParams.get("id") ?? "";
    const cell = url.searchParams.get("cell") ?? "";
    return {
      request,
      id,
      platform,
      env,
      shared(make) {
        let response = shared.get(cell);
        if (response === undefined) shared.set(cell, response = make());
        return response;
      },
    };
  }

  /** The common handler: it uses the session, if there is one, and returns a response or throws. */
  async function handle(request: Request, env: unknown, session?: Accessor, c?: Context): Promise<Response> {
    const { use, what, kind } = partsOf(request);
    if (session !== undefined) await USES[use](session);
    const visit = visitOf(request, env);
    if (kind === "throw") throw THROWN[what as ThrownName]();
    // The response of a thrown value, returned instead of thrown, for comparison.
    if (kind === "give") return responseIn(THROWN[what as ThrownName]())!;
    if (kind === "helper") return await HONO_RESPONSES[what as HonoResponseName](c!, visit);
    return await RESPONSES[what as ResponseName](visit);
  }

  const withFetch = withSessions(
    manager,
    (request: Request, session, env: unknown) => handle(request, env, session),
  );

  /** A middleware on `begin()`, as a user may write one. */
  async function withBegin(request: Request, env: unknown): Promise<Response> {
    const current = manager.begin(request);
    let response: Response;
    try {
      response = await handle(request, env, () => current.session());
    } catch (error) {
      if (responseIn(error) !== undefined) return await current.finish(undefined, error);
      // The framework's adapter knows that this is no failure.
      const known = frameworkResponse(error);
      if (known !== undefined) return await current.finish(known);
      return await current.finish(failed(), error ?? new Error("The handler threw nothing"));
    }
    return await current.finish(response);
  }

  async function bareBegin(request: Request, env: unknown): Promise<Response> {
    try {
      return await handle(request, env);
    } catch (error) {
      return responseIn(error) ?? frameworkResponse(error) ?? failed();
    }
  }

  const hono = new Hono()
    .use("/hono/*", honoSessions(manager))
    .all("/hono/*", (c) => handle(c.req.raw, c.env, c.var.session, c))
    .all("/bare-hono/*", (c) => handle(c.req.raw, c.env, undefined, c));

  const mounts: Record<Mount, Server> = {
    fetch: withFetch,
    hono: (request, env, context) => hono.fetch(request, env as object, context as never),
    begin: withBegin,
    bare: (request, env) => handle(request, env),
    "bare-hono": (request, env, context) => hono.fetch(request, env as object, context as never),
    "bare-begin": bareBegin,
  };

  return async function serve(request, env, context) {
    const { mount, what } = partsOf(request);
    if (mount === "health") return new Response("alive");
    if (mount === "sign-in") return Response.json(await signIn(Number(what)));
    if (mount === "sessions") return Response.json(await look(await request.json() as string[]));
    if (mount === "accident") return await ACCIDENTS[what as AccidentName](platform);
    try {
      return await mounts[mount](request, env, context);
    } catch (error) {
      const response = frameworkResponse(error);
      if (response === undefined) throw error;
      return response;
    }
  };

  /** Creates the sessions for the cells that need one. */
  async function signIn(count: number): Promise<string[]> {
    return await Promise.all(Array.from({ length: count }, async () => {
      const session = await manager.load();
      session.put("n", 1);
      return (await session.commit()).token;
    }));
  }

  /** The value in each session, `null` if the session is gone. */
  async function look(tokens: string[]): Promise<(number | null)[]> {
    return await Promise.all(tokens.map(async (token) => (await manager.load(token)).get("n") ?? null));
  }
}

/** The response of a middleware to an error. */
function failed(): Response {
  return new Response("failed", { status: 500 });
}

function partsOf(request: Request) {
  const [, mount, use, kind, what] = new URL(request.url).pathname.split("/");
  return {
    mount: mount as Mount | "health" | "sign-in" | "sessions" | "accident",
    use: use as UseName,
    kind,
    what,
  };
}
