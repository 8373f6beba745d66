import { asAmbiguous, isBusyFailure, toSessionError } from "../../../core/store/failure.ts";
import { SessionGoneError, SessionStoreError } from "../../../mod.ts";
import { assertEquals, assertInstanceOf, assertStrictEquals } from "../../assert.ts";

Deno.test("asAmbiguous() marks an error of a store, and keeps why it failed", () => {
  const error = new SessionStoreError("update", { reason: "busy", retryable: true });
  const marked = asAmbiguous(error);
  assertInstanceOf(marked, SessionStoreError);
  assertEquals([marked.operation, marked.reason, marked.retryable, marked.ambiguous], [
    "update",
    "busy",
    true,
    true,
  ]);
  assertStrictEquals(marked.cause, error);
});

Deno.test("asAmbiguous() gives back an error that is ambiguous already, and one of another kind", () => {
  const ambiguous = new SessionStoreError("update", { reason: "timeout", retryable: true, ambiguous: true });
  for (const error of [ambiguous, new SessionGoneError(), new RangeError("full"), undefined]) {
    assertStrictEquals(asAmbiguous(error), error);
  }
});

Deno.test("toSessionError() gives back an error of this package", () => {
  const error = new SessionGoneError();
  assertStrictEquals(toSessionError("find", error, false), error);
});

Deno.test("toSessionError() makes an unknown error ambiguous only for a write", () => {
  for (const writes of [true, false]) {
    const made = toSessionError("update", new Error("secret"), writes) as SessionStoreError;
    assertEquals([made.reason, made.retryable, made.ambiguous], ["unknown", true, writes]);
  }
});

Deno.test("toSessionError() takes the limit of a platform for a busy store, wherever its text is", () => {
  const texts = [
    new Error("Too many subrequests"),
    new Error("it failed", { cause: new Error("too many API requests") }),
  ];
  for (const error of texts) assertEquals(isBusyFailure(toSessionError("find", error, true)), true);
  for (const error of [null, undefined, "text"]) {
    assertEquals(isBusyFailure(toSessionError("find", error, true)), false);
  }
});
