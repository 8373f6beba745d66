import { HTTPException } from "hono/http-exception";
import { responseOf } from "../../../core/http/thrown.ts";
import { SessionGoneError } from "../../../mod.ts";
import { assertEquals, assertStrictEquals } from "../../assert.ts";

/** The values that SvelteKit's `redirect()` and `error()` throw. */
class Redirect {
  constructor(readonly status: number, readonly location: string) {}
}
class HttpError {
  constructor(readonly status: number, readonly body: { message: string }) {}
}

/** The values that Next's `redirect()` and `notFound()` throw. */
const next = (digest: string) => Object.assign(new Error(digest), { digest });

const RESPONSES: [name: string, thrown: unknown, status: number, location: string | null][] = [
  ["Hono's HTTPException", new HTTPException(401, { message: "sign in" }), 401, null],
  ["an error of this package", new SessionGoneError(), 409, null],
  ["SvelteKit's redirect()", new Redirect(303, "/welcome"), 303, "/welcome"],
  ["SvelteKit's error()", new HttpError(422, { message: "no" }), 422, null],
  ["Next's redirect()", next("NEXT_REDIRECT;replace;/welcome;307;"), 307, "/welcome"],
  ["Next's redirect() to a semicolon", next("NEXT_REDIRECT;push;/a;b=c;308;"), 308, "/a;b=c"],
  ["Next's notFound()", next("NEXT_HTTP_ERROR_FALLBACK;404"), 404, null],
  ["notFound() of an older Next", next("NEXT_NOT_FOUND"), 404, null],
];

for (const [name, thrown, status, location] of RESPONSES) {
  Deno.test(`responseOf() turns ${name} into a ${status}`, () => {
    const response = responseOf(thrown)!;
    assertEquals([response.status, response.headers.get("Location")], [status, location]);
  });
}

Deno.test("responseOf() returns a thrown Response unchanged, also one of another implementation", () => {
  const response = new Response("thrown");
  assertStrictEquals(responseOf(response), response);
  const other = {
    status: 200,
    headers: new Headers(),
    arrayBuffer: () => Promise.resolve(new ArrayBuffer(0)),
  };
  assertStrictEquals(responseOf(other) as unknown, other);
});

Deno.test("responseOf() returns undefined for values that stand for no response", () => {
  const errors = [
    new Error("boom"),
    next("DYNAMIC_SERVER_USAGE"),
    Object.assign(new Error(), { status: 303 }),
  ];
  const others = [undefined, null, "text", 404, {}, [], { status: 404 }, { status: "303", location: "/" }];
  const made = ["text", null, {}, Promise.resolve(new Response()), Promise.reject(new Error("late"))];
  const makers = made.map((value) => ({ getResponse: () => value }));
  for (const thrown of [...errors, ...others, ...makers]) assertEquals(responseOf(thrown), undefined);
  assertEquals(responseOf(new Redirect(200, "/")), undefined);
  assertEquals(responseOf(new HttpError(200, { message: "fine" })), undefined);
});

Deno.test("responseOf() returns null for a value that cannot give its response any more", () => {
  const getResponse = () => {
    throw new TypeError("the body was read");
  };
  assertEquals(responseOf(Object.assign(new Error(), { getResponse })), null);
});
