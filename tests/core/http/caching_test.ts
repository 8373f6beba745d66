import { isShareable } from "../../../core/http/caching.ts";
import { assertEquals } from "../../assert.ts";

const ROWS: [method: string, status: number, cacheControl: string | undefined, isShareable: boolean][] = [
  ["GET", 200, undefined, true],
  ["HEAD", 200, undefined, true],
  ["POST", 200, undefined, false],
  ["GET", 404, undefined, true],
  ["GET", 101, undefined, false],
  ["GET", 200, "public, max-age=60", true],
  ["GET", 200, "max-age=60, Private", false],
  ["GET", 200, "no-store", false],
  ["GET", 200, "no-cache,max-age=0", false],
  // With a header's name it is about that header alone.
  ["GET", 200, 'no-cache="Set-Cookie"', true],
  ["GET", 200, 'private="X-User"', true],
];

for (const [method, status, cacheControl, expected] of ROWS) {
  Deno.test(`A shared cache ${expected ? "may" : "must not"} keep ${status} of ${method}, Cache-Control: ${cacheControl}`, () => {
    const headers = new Headers(cacheControl === undefined ? {} : { "Cache-Control": cacheControl });
    // No runtime makes a response of 101 from a status.
    const response = { status, headers } as Response;
    assertEquals(isShareable(new Request("https://example.com/", { method }), response), expected);
  });
}
