/** A table serves the managers of one cookie. */
import { type CookieOptions, MemoryStore, SessionConfigError, sessions } from "../../../mod.ts";
import { ShardedStore } from "../../../stores/sharded.ts";
import { assertThrows } from "../../assert.ts";

for (const cookie of [{ path: "/admin" }, { domain: "example.com" }] satisfies CookieOptions[]) {
  Deno.test(`One store under two default names is refused: "/" and ${JSON.stringify(cookie)}`, () => {
    const store = new MemoryStore();
    sessions({ store, cookie: { secure: true } });
    assertThrows(
      () => sessions({ store, cookie: { secure: true, ...cookie } }),
      SessionConfigError,
      '"store" serves a manager with the cookie "__Host-session" already',
    );
    // The same cookie, and the same names with other attributes, are served.
    sessions({ store, cookie: { secure: true } });
    sessions({ store, cookie: { sameSite: "Strict" } });
  });
}

Deno.test("A manager that is refused keeps none of the stores of a ShardedStore", () => {
  const [free, taken] = [new MemoryStore(), new MemoryStore()];
  sessions({ store: taken });
  const store = new ShardedStore([free, taken]);
  assertThrows(() => sessions({ store, cookie: { name: "x" } }), SessionConfigError);
  sessions({ store: free });
  sessions({ store });
});
