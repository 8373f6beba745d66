import { equalPlain } from "../../../core/bytes/equal.ts";
import { assertEquals } from "../../assert.ts";

Deno.test("equalPlain() compares plain objects and arrays at any depth", () => {
  const value = () => ({ list: [1, "a", null, { deep: [true] }], "": undefined });
  assertEquals(equalPlain(value(), value()), true);
  const changes: ((changed: ReturnType<typeof value>) => unknown)[] = [
    (changed) => changed.list.push(2),
    (changed) => changed.list.pop(),
    (changed) => changed.list[0] = "1",
    (changed) => (changed.list[3] as { deep: unknown[] }).deep[0] = false,
    (changed) => delete (changed as Record<string, unknown>)[""],
    (changed) => Object.assign(changed, { more: 1 }),
    (changed) => Object.assign(changed.list, { named: 1 }),
    (changed) => Object.assign(changed, { [Symbol()]: 1 }),
    (changed) => Object.setPrototypeOf(changed, null),
    (changed) => delete changed.list[1],
  ];
  for (const change of changes) {
    const changed = value();
    change(changed);
    assertEquals(equalPlain(changed, value()), false, String(change));
    assertEquals(equalPlain(value(), changed), false, String(change));
  }
});

Deno.test("equalPlain() distinguishes 0 from -0, an array from an object, and an own key from an inherited one", () => {
  assertEquals(equalPlain([0], [-0]), false);
  assertEquals(equalPlain([NaN], [NaN]), true);
  assertEquals(equalPlain([], {}), false);
  assertEquals(equalPlain({ toString: undefined }, { other: undefined }), false);
  assertEquals(equalPlain({}, null), false);
});

Deno.test("equalPlain() leaves values that are not plain to the codec", () => {
  for (const make of [() => new Date(0), () => new Map(), () => new Set(), () => new Uint8Array(1)]) {
    assertEquals(equalPlain({ value: make() }, { value: make() }), false);
  }
});

Deno.test("equalPlain() terminates if a value contains itself", () => {
  const circle: unknown[] = [];
  circle.push(circle);
  assertEquals(equalPlain(circle, [[[]]]), false);
});
