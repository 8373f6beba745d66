import { SessionConfigError } from "../errors.ts";
import type { SessionStore } from "../store.ts";

/** The cookie name that each table is used with: by the object that holds the table, then by the table's name. */
const claims = new WeakMap<object, Map<string, string>>();

/**
 * Reserves a store's table for the managers of one cookie name. With two names on one table, each manager would accept the
 * tokens of the other.
 *
 * @throws {SessionConfigError} A manager with another cookie name uses the table.
 */
export function claimTable(store: SessionStore, cookie: string): void {
  for (const part of store.parts ?? []) claimTable(part, cookie);
  const { of, name } = store.place ?? { of: store, name: "" };
  const names = claims.get(of) ?? new Map<string, string>();
  claims.set(of, names);
  const other = names.get(name) ?? cookie;
  names.set(name, other);
  if (other === cookie) return;
  throw new SessionConfigError([
    `"store" serves a manager with the cookie "${other}" already, and each would take the tokens of the other; ` +
    `give this one a table of its own, such as table: "${
      cookie.replaceAll(/\W+/g, "_")
    }_sessions", or a store of its own`,
  ]);
}
