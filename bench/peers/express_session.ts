import { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
// @ts-types="npm:@types/express@5.0.6"
import express from "npm:express@5.3.0";
// @ts-types="npm:@types/express-session@1.19.0"
import session from "npm:express-session@1.19.0";
import {
  cookieHeader,
  LIFETIME_SECONDS,
  ROUTES,
  SECRET,
  seen,
  type Subject,
  VALUES,
  type Values,
} from "../subjects/subject.ts";

type Application = ReturnType<typeof express>;

/** Express without sessions: the base of express-session. */
function bareExpress(): Subject {
  const app = express();
  app.get(ROUTES.untouched, (_request, response) => void response.end("nothing"));
  app.get(ROUTES.read, (_request, response) => void response.end("read"));
  app.get(ROUTES.object, (_request, response) => void response.end("object"));
  app.get(ROUTES.write, (_request, response) => void response.end("write"));
  return expressSubject("bare Express", "base", app);
}

/** Its own in-memory store, which stores JSON. It is read on every request with a cookie, and touched afterwards. */
function expressSessionPeer(): Subject {
  const app = express();
  app.use(session({
    secret: SECRET,
    resave: false,
    saveUninitialized: false,
    cookie: { maxAge: LIFETIME_SECONDS * 1_000 },
  }));
  // Its types let an application extend a global interface. A cast affects no other file.
  const valuesOf = (request: express.Request) => request.session as unknown as Partial<Values>;
  app.get(ROUTES.untouched, (_request, response) => void response.end("nothing"));
  app.get(ROUTES.read, (request, response) => {
    seen.value = valuesOf(request).name;
    response.end("read");
  });
  app.get(ROUTES.object, (request, response) => {
    seen.value = valuesOf(request).cart;
    response.end("object");
  });
  app.get(ROUTES.write, (request, response) => {
    const values = valuesOf(request);
    if (values.name === undefined) Object.assign(values, VALUES);
    values.count = (values.count ?? 0) + 1;
    seen.value = values.count;
    response.end("write");
  });
  return expressSubject("express-session", "store", app);
}

function expressSubject(name: string, kind: Subject["kind"], app: Application): Subject {
  return {
    name,
    kind,
    base: "express",
    send: (path, cookie) => send(app, path, cookie),
    signIn: async () => cookieHeader(await send(app, ROUTES.write, undefined)),
  };
}

/**
 * Sends a request through an Express application like `http.createServer(app)`: with `IncomingMessage` and
 * `ServerResponse` of `node:http`, whose output goes to a stream that discards it. Only the socket and the parser are
 * missing, for both applications alike. Returns the `Set-Cookie` headers of the response.
 */
function send(app: Application, path: string, cookie: string | undefined): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const nowhere = new Nowhere() as unknown as Socket;
    const request = new IncomingMessage(nowhere);
    request.method = "GET";
    request.url = path;
    request.headers = cookie === undefined ? { host: "example.com" } : { host: "example.com", cookie };
    const response = new ServerResponse(request);
    // Express replaces the prototype, so a subclass would lose its method. The application calls this after
    // express-session's own part, which first waits for its store.
    response.end = function (this: ServerResponse, ...given: unknown[]) {
      ServerResponse.prototype.end.apply(this, given as Parameters<ServerResponse["end"]>);
      resolve([this.getHeader("set-cookie") ?? []].flat().map(String));
      return this;
    };
    response.assignSocket(nowhere);
    app(request as express.Request, response as express.Response, reject);
  });
}

/** A connection that discards what is written to it. */
class Nowhere extends Duplex {
  /** A property of `https` connections, because a cookie may be limited to them. */
  readonly encrypted = true;

  override _read(): void {}

  override _write(_chunk: unknown, _encoding: string, done: () => void): void {
    done();
  }

  setTimeout(): this {
    return this;
  }
}

export const subjects: readonly Subject[] = [bareExpress(), expressSessionPeer()];
