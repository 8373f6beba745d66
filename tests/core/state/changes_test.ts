import { ChangeLog } from "../../../core/state/changes.ts";
import type { SessionRecord } from "../../../core/state/record.ts";
import { assertEquals } from "../../assert.ts";

/** The values that another request left behind. */
function fresh(values: Record<string, unknown> = {}): SessionRecord {
  return { deadline: 1_000, subject: "zoe", values: { ...values }, createdAt: undefined, nonces: "n" };
}

function replay(log: ChangeLog, values: Record<string, unknown> = {}): Record<string, unknown> {
  const record = fresh(values);
  log.replay(record);
  return record.values;
}

const increment = (value: unknown) => (value as number ?? 0) + 1;
const double = (value: unknown) => (value as number ?? 0) * 2;

/** Does to a log what a session does. `before` is the value that this request knows. */
function update(log: ChangeLog, fn: (value: unknown) => unknown, before?: unknown): void {
  log.update("n", fn, fn(before));
}

Deno.test("ChangeLog.replay() does nothing for an empty log", () => {
  const record = fresh({ n: 1 });
  new ChangeLog().replay(record);
  assertEquals(record, fresh({ n: 1 }));
});

Deno.test("ChangeLog.replay() puts and removes by key, and leaves the other keys of the other request", () => {
  const log = new ChangeLog();
  log.put("mine", 1);
  log.remove("gone");
  log.remove("never there");
  assertEquals(replay(log, { mine: 0, gone: 0, theirs: 2 }), { mine: 1, theirs: 2 });
});

Deno.test("ChangeLog.replay() also clears what the other request added, and then applies the later changes", () => {
  const log = new ChangeLog();
  log.put("before", 1);
  log.clear();
  log.put("after", 2);
  assertEquals(replay(log, { before: 0, theirs: 3 }), { after: 2 });
});

Deno.test("ChangeLog.replay() runs the functions of update() in order on the fresh value", () => {
  const log = new ChangeLog();
  update(log, increment, 0);
  update(log, double, 1);
  assertEquals(replay(log, { n: 10 }), { n: 22 });
  assertEquals(replay(log, {}), { n: 2 });
});

Deno.test("ChangeLog.replay() removes a key whose function gives undefined, and passes undefined to the next function", () => {
  const log = new ChangeLog();
  const seen: unknown[] = [];
  log.update("n", () => undefined, undefined);
  log.update("n", (value) => void seen.push(value), undefined);
  assertEquals(replay(log, { n: 1 }), {});
  assertEquals(seen, [undefined]);
});

Deno.test("ChangeLog.replay() may run repeatedly, each time on the current values", () => {
  const log = new ChangeLog();
  update(log, increment, 0);
  assertEquals(replay(log, { n: 1 }), { n: 2 });
  assertEquals(replay(log, { n: 5 }), { n: 6 });
});

for (
  const [what, start, expected] of [
    ["put()", (log: ChangeLog) => log.put("n", 5), { n: 6 }],
    ["remove()", (log: ChangeLog) => log.remove("n"), { n: 1 }],
    ["clear()", (log: ChangeLog) => log.clear(), { n: 1 }],
  ] as const
) {
  Deno.test(`ChangeLog.update() after ${what} builds on this request's own value, whatever others wrote`, () => {
    const log = new ChangeLog();
    start(log);
    update(log, increment, what === "put()" ? 5 : undefined);
    assertEquals(replay(log, { n: 100 }), expected);
  });

  Deno.test(`ChangeLog.update() to undefined after ${what} removes the key`, () => {
    const log = new ChangeLog();
    start(log);
    log.update("n", () => undefined, undefined);
    assertEquals(replay(log, { n: 100 }), {});
  });
}

Deno.test("ChangeLog.put() and remove() discard the updates before them", () => {
  const log = new ChangeLog();
  update(log, increment);
  log.put("n", 7);
  assertEquals(replay(log, { n: 100 }), { n: 7 });
  update(log, increment, 7);
  log.remove("n");
  assertEquals(replay(log, { n: 100 }), {});
});

Deno.test("ChangeLog keeps one entry for each key however often it is written", () => {
  const log = new ChangeLog();
  for (let i = 0; i < 1_000; i++) log.put("n", i);
  assertEquals(log.keysPut(), ["n"]);
  assertEquals(replay(log), { n: 999 });
});

Deno.test("ChangeLog.replay() sets the deadline and the subject only if they were set", () => {
  const log = new ChangeLog();
  log.deadline = 5_000;
  log.subject = "ann";
  const record = fresh();
  log.replay(record);
  assertEquals([record.deadline, record.subject], [5_000, "ann"]);
});

Deno.test("ChangeLog.replay() clears the subject if it was set to null", () => {
  const log = new ChangeLog();
  log.subject = null;
  const record = fresh();
  log.replay(record);
  assertEquals([record.deadline, record.subject], [1_000, undefined]);
});

/** The changes `first`, and the changes `second` that were made while the commit of `first` was failing. */
function appended(
  first: (log: ChangeLog) => void,
  second: (log: ChangeLog) => void,
  values: Record<string, unknown> = {},
): ChangeLog {
  const [log, later] = [new ChangeLog(), new ChangeLog()];
  first(log);
  second(later);
  log.append(later, values);
  return log;
}

Deno.test("ChangeLog.append() lets the later put() and remove() win, and keeps the rest", () => {
  const log = appended(
    (first) => ["a", "b", "c"].forEach((key) => first.put(key, 1)),
    (second) => (second.put("a", 2), second.remove("b")),
  );
  assertEquals(replay(log, { b: 0, d: 0 }), { a: 2, c: 1, d: 0 });
});

Deno.test("ChangeLog.append() with a later clear() drops the earlier changes", () => {
  const log = appended((first) => first.put("a", 1), (second) => (second.clear(), second.put("b", 2)));
  assertEquals(replay(log, { c: 0 }), { b: 2 });
});

Deno.test("ChangeLog.append() puts later updates after earlier ones", () => {
  const log = appended((first) => update(first, increment), (second) => update(second, double, 1), { n: 2 });
  assertEquals(replay(log, { n: 10 }), { n: 22 });
});

Deno.test("ChangeLog.append() takes the results of updates on this request's own value, and runs none again", () => {
  let runs = 0;
  const later = new ChangeLog();
  later.update("cart", (cart) => (runs++, [...cart as string[], "pear"]), ["apple", "pear"]);
  const log = new ChangeLog();
  log.put("cart", ["apple"]);
  log.append(later, { cart: ["apple", "pear"] });
  assertEquals(replay(log, { cart: ["theirs"] }), { cart: ["apple", "pear"] });
  assertEquals(runs, 0);
});

Deno.test("ChangeLog.append() removes what later updates removed from this request's own value", () => {
  const log = appended(
    (first) => first.put("n", 1),
    (second) => second.update("n", () => undefined, undefined),
  );
  assertEquals(replay(log, { n: 100 }), {});
});

const row = (token: string) => ({ token, data: new Uint8Array(), expiry: 0 });

Deno.test("ChangeLog.append() keeps deadline, subject, renewal, cookie and merged sessions, and the later ones win", () => {
  const set =
    (deadline: number | undefined, subject: string | null | undefined, token: string) => (log: ChangeLog) => {
      log.deadline = deadline;
      log.subject = subject;
      log.addMerged([row(token)]);
    };
  const both = appended(set(1, "ann", "x"), set(2, null, "y"));
  assertEquals([both.deadline, both.subject, both.merged.map(({ token }) => token)], [2, null, ["x", "y"]]);
  const first = appended((log) => {
    set(1, "ann", "x")(log);
    log.renew = log.setsCookie = true;
  }, set(undefined, undefined, "x"));
  assertEquals([first.deadline, first.subject, first.merged.map(({ token }) => token)], [1, "ann", ["x"]]);
  assertEquals([first.renew, first.setsCookie], [true, true]);
  const second = appended(() => {}, (log) => log.renew = log.setsCookie = true);
  assertEquals([second.renew, second.setsCookie], [true, true]);
});
