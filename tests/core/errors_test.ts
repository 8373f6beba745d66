import { ReducedError } from "../../core/errors.ts";
import * as library from "../../mod.ts";
import {
  SessionClosedError,
  SessionConfigError,
  SessionConflictError,
  SessionEncodeError,
  SessionError,
  SessionGoneError,
  SessionStoreError,
  SessionTooLargeError,
  type StoreFailure,
  type StoreOperation,
} from "../../mod.ts";
import { toSessionError } from "../../core/store/failure.ts";
import { GaveUp } from "../../core/wait.ts";
import { assert, assertEquals, assertInstanceOf, assertStrictEquals } from "../assert.ts";
import { sourceOf } from "./options/_documented_defaults.ts";

/** The members of a union of texts, read from the source. */
function unionOf(name: string): string[] {
  const [, body] = new RegExp(`export type ${name} =([^;]*);`).exec(sourceOf("core/errors.ts"))!;
  return Array.from(body!.matchAll(/"(\w+)"/g), ([, member]) => member!);
}

const cause = new Error("why");

interface Row {
  error: SessionError;
  name: string;
  code: string;
  status: number;
  message: string;
}

const ROWS: Row[] = [
  {
    error: new SessionConfigError(["a is wrong", "b is wrong"], { cause }),
    name: "SessionConfigError",
    code: "ERR_SESSION_CONFIG",
    status: 500,
    message: "Cannot use these session options: a is wrong; b is wrong",
  },
  {
    error: new SessionStoreError("update", { reason: "timeout", retryable: true, ambiguous: true, cause }),
    name: "SessionStoreError",
    code: "ERR_SESSION_STORE",
    status: 503,
    message: "Session store failed in update() (timeout)",
  },
  {
    error: new SessionConflictError(7, { cause }),
    name: "SessionConflictError",
    code: "ERR_SESSION_CONFLICT",
    status: 503,
    message: "Cannot commit session: other requests won 7 times",
  },
  {
    error: new SessionGoneError({ cause }),
    name: "SessionGoneError",
    code: "ERR_SESSION_GONE",
    status: 409,
    message: "Cannot commit session: it ended while this request was changing it",
  },
  {
    error: new SessionTooLargeError(40_000, 32_768, "cart", { cause }),
    name: "SessionTooLargeError",
    code: "ERR_SESSION_TOO_LARGE",
    status: 500,
    message: 'Cannot commit session: it has 40000 bytes, most of them in "cart", and the limit is 32768',
  },
  {
    error: new SessionEncodeError("cart", "it holds a function", { cause }),
    name: "SessionEncodeError",
    code: "ERR_SESSION_ENCODE",
    status: 500,
    message: 'Cannot store session value "cart": it holds a function',
  },
  {
    error: new SessionClosedError(undefined, { cause }),
    name: "SessionClosedError",
    code: "ERR_SESSION_CLOSED",
    status: 500,
    message:
      "Cannot change session: the response has started; load it again with manager.load(token) and commit() it",
  },
];

for (const { error, name, code, status, message } of ROWS) {
  Deno.test(`${name} has its code, status, text and cause`, () => {
    assertInstanceOf(error, SessionError);
    assertInstanceOf(error, Error);
    assertEquals([error.name, error.code, error.status, error.message], [name, code, status, message]);
    assertStrictEquals(error.cause, cause);
    assertEquals(`${error}`, `${name}: ${message}`);
    assert(error.stack!.startsWith(`${name}: `) || error.stack!.startsWith("Error: "));
  });

  Deno.test(`${name} answers with ${status} and says nothing of the cause`, async () => {
    const response = error.getResponse();
    assertEquals(response.status, status);
    assertEquals(Object.fromEntries(response.headers), {
      "cache-control": "no-store",
      "content-type": "text/plain; charset=utf-8",
    });
    const phrase = { 409: "Conflict", 500: "Internal Server Error", 503: "Service Unavailable" }[status];
    assertEquals(await response.text(), `${phrase}\n`);
    // A new response each time, because a body can be read only once.
    await error.getResponse().text();
  });
}

Deno.test("Each SessionErrorCode has one class, and each class of mod.ts a code", () => {
  const codes = unionOf("SessionErrorCode");
  assertEquals(ROWS.map(({ code }) => code).sort(), codes.sort());
  const classes = Object.entries(library).filter(([, value]) => {
    return typeof value === "function" && value.prototype instanceof SessionError;
  });
  assertEquals(classes.map(([name]) => name).sort(), ROWS.map(({ name }) => name).sort());
});

Deno.test("SessionConfigError.problems lists every mistake", () => {
  assertEquals(new SessionConfigError(["a", "b"]).problems, ["a", "b"]);
});

Deno.test("SessionConflictError.attempts says how often the request tried", () => {
  assertEquals(new SessionConflictError(3).attempts, 3);
});

Deno.test("SessionTooLargeError and SessionEncodeError quote the key as JSON, if they know it", () => {
  assertEquals(
    new SessionTooLargeError(2, 1).message,
    "Cannot commit session: it has 2 bytes, and the limit is 1",
  );
  assertEquals(new SessionTooLargeError(2, 1).key, undefined);
  assertEquals(new SessionTooLargeError(2, 1, "a\n").key, "a\n");
  assert(new SessionTooLargeError(2, 1, "a\n").message.includes('"a\\n"'));
  assertEquals(new SessionEncodeError("a\n", "no").message, 'Cannot store session value "a\\n": no');
  assertEquals(new SessionEncodeError("a\n", "no").key, "a\n");
});

Deno.test("SessionStoreError names each operation of the store", () => {
  const operations = unionOf("StoreOperation") as StoreOperation[];
  const messages = operations.map((operation) => {
    const error = new SessionStoreError(operation, { reason: "busy", retryable: true });
    assertEquals(error.operation, operation);
    return error.message;
  });
  assertEquals(messages, [
    "Session store failed in find() (busy)",
    "Session store failed in commit() (busy)",
    "Session store failed in create() (busy)",
    "Session store failed in update() (busy)",
    "Session store failed in touch() (busy)",
    "Session store failed in delete() (busy)",
    "Session store failed in all() (busy)",
    "Session store failed in deleteExpired() (busy)",
    "Session store failed in findBySubject() (busy)",
    "Session store failed in deleteBySubject() (busy)",
    "Session store failed in createTable() (busy)",
  ]);
});

Deno.test("SessionStoreError keeps the reason, the advice and whether the write may have happened", () => {
  for (const reason of unionOf("StoreFailure") as StoreFailure[]) {
    const advice = "run createTable() once";
    const error = new SessionStoreError("find", { reason, retryable: false, advice });
    assertEquals(error.message, `Session store failed in find() (${reason}): ${advice}`);
    assertEquals([error.reason, error.retryable, error.ambiguous], [reason, false, false]);
  }
});

const TOKEN = "U".repeat(43);
const SECRETS = [
  "INSERT INTO sessions VALUES ('hunter2')",
  "hunter2",
  TOKEN,
  `https://user:hunter2@example.com`,
];

Deno.test("ReducedError drops the message, the stack and the causes of the original error", () => {
  for (const secret of SECRETS) {
    const inner = Object.assign(new Error(secret), {
      name: secret,
      code: secret,
      sql: secret,
      status: secret,
    });
    const outer = Object.assign(new TypeError(secret, { cause: inner }), { query: secret, [secret]: secret });
    for (const error of [outer, inner, secret, { message: secret, toString: () => secret }, [secret]]) {
      const reduced = new ReducedError(error);
      const shown = [
        reduced.message,
        reduced.stack,
        `${reduced}`,
        Deno.inspect(reduced),
        JSON.stringify(reduced),
      ];
      // A short word may be a name. This is the only place where a secret could pass for one.
      if (secret === "hunter2" && error === inner) continue;
      assertEquals(shown.join("\n").includes(secret), false, Deno.inspect(reduced));
      assertEquals(reduced.cause, undefined);
    }
  }
});

for (
  const [what, error, message] of [
    ["an error", new Error("x"), "Error"],
    ["a TypeError", new TypeError("x"), "TypeError"],
    ["a text of digits for a code", Object.assign(new Error("x"), { code: "4111111111111111" }), "Error"],
    [
      "a name and a code",
      Object.assign(new Error("x"), { name: "LibsqlError", code: "SQLITE_BUSY" }),
      "LibsqlError SQLITE_BUSY",
    ],
    ["a number as code", Object.assign(new Error("x"), { code: 1205 }), "Error 1205"],
    ["a DOMException", new DOMException("x", "TimeoutError"), "TimeoutError 23"],
    ["a status", Object.assign(new Error("x"), { status: 429 }), "Error 429"],
    ["a status on the cause", new Error("x", { cause: { status: 502 } }), "Error 502"],
    [
      "the error of Node's fetch",
      new TypeError("fetch failed", { cause: Object.assign(new Error("x"), { code: "ECONNREFUSED" }) }),
      "TypeError ECONNREFUSED",
    ],
    ["a code on the cause that is no constant", new Error("x", { cause: { code: "hunter2" } }), "Error"],
    ["a cause that is text", new Error("x", { cause: "y" }), "Error"],
    ["a name with a space", Object.assign(new Error("x"), { name: "a b" }), "Error"],
    ["a code with a space", Object.assign(new Error("x"), { code: "a b" }), "Error"],
    ["an empty code", Object.assign(new Error("x"), { code: "" }), "Error"],
    ["text", "x", "Error"],
    ["undefined", undefined, "Error"],
    ["null", null, "Error"],
    ["an object", {}, "Error"],
  ] as const
) {
  Deno.test(`ReducedError reduces ${what} to "${message}"`, () => {
    assertEquals(new ReducedError(error).message, message);
  });
}

Deno.test("toSessionError() returns an error of this package unchanged", () => {
  const error = new SessionGoneError();
  assertStrictEquals(toSessionError("update", error, true), error);
});

Deno.test("toSessionError() turns any other error into a SessionStoreError, ambiguous for a write", () => {
  for (const writes of [true, false]) {
    const cases: [unknown, StoreFailure][] = [
      [new GaveUp("timeout"), "timeout"],
      [new GaveUp("aborted"), "aborted"],
      [new Error("hunter2"), "unknown"],
      ["hunter2", "unknown"],
    ];
    for (const [thrown, reason] of cases) {
      const error = toSessionError("update", thrown, writes);
      assertInstanceOf(error, SessionStoreError);
      assertEquals([error.operation, error.reason], ["update", reason]);
      assertEquals([error.retryable, error.ambiguous], [true, writes]);
      assertEquals(Deno.inspect(error).includes("hunter2"), false);
    }
  }
});
