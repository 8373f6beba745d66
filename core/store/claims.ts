import { SessionConfigError } from "../errors.ts";
import type { SessionStore } from "../store.ts";

/** What a cookie is called over https and over http. */
type CookieNames = { readonly secure: string; readonly plain: string };

/** The cookie that each table is used with: by the object that holds the table, then by the table's name. */
const claims = new WeakMap<object, Map<string, CookieNames>>();

/**
 * Reserves a store's tables for the managers of one cookie. With two cookies on one table, each manager would accept the
 * tokens of the other. If one table is taken, none is reserved.
 *
 * @throws {SessionConfigError} A manager with another cookie uses one of the tables.
 */
export function claimTables(store: SessionStore, cookie: CookieNames): void {
  const places = placesOf(store);
  for (const { of, name } of places) {
    const other = claims.get(of)?.get(name) ?? cookie;
    // Without a name of its own, a cookie has one name over http, and over https one that depends on its path and domain.
    for (const scheme of ["plain", "secure"] as const) {
      if (other[scheme] !== cookie[scheme]) throw refusal(other[scheme], cookie[scheme]);
    }
  }
  for (const { of, name } of places) {
    const tables = claims.get(of) ?? new Map<string, CookieNames>();
    claims.set(of, tables.set(name, cookie));
  }
}

function placesOf(store: SessionStore): { of: object; name: string }[] {
  return [...(store.parts ?? []).flatMap(placesOf), store.place ?? { of: store, name: "" }];
}

function refusal(other: string, cookie: string): SessionConfigError {
  return new SessionConfigError([
    `"store" serves a manager with the cookie "${other}" already; ` +
    `give this one another table, such as table: "${
      cookie.replaceAll(/\W+/g, "_")
    }_sessions", or another store`,
  ]);
}
