import { isSameCookie } from "../../../core/http/set_cookie.ts";
import { assertEquals } from "../../assert.ts";

const ONE = "s=1; Path=/; Domain=example.com; HttpOnly; Secure; Partitioned";

const OTHERS: [other: string, isSame: boolean][] = [
  ["s=; Max-Age=0; Path=/; Domain=example.com; Partitioned", true],
  ["t=1; Path=/; Domain=example.com; Partitioned", false],
  ["s=1; Path=/shop; Domain=example.com; Partitioned", false],
  ["s=1; Path=/; Domain=shop.example.com; Partitioned", false],
  ["s=1; Path=/; Partitioned", false],
  ["s=1; Path=/; Domain=example.com", false],
];

for (const [other, isSame] of OTHERS) {
  Deno.test(`isSameCookie() takes "${other}" for ${isSame ? "the same" : "another"} cookie`, () => {
    assertEquals([isSameCookie(ONE, other), isSameCookie(other, ONE)], [isSame, isSame]);
  });
}
