import type { SessionManager } from "../../mod.ts";
import { assert, assertEquals } from "../assert.ts";

/** Texts that try to break out of quotes in one database or another. A few are not well-formed UTF-16. */
export const ATTACKS: readonly string[] = [
  "'",
  '"',
  "''",
  "\\",
  "\\'",
  '\\"',
  "\\\\'",
  "`",
  "; DROP TABLE users; --",
  "'; DROP TABLE users; -- ",
  "\\'; DROP TABLE users; -- ",
  "' OR '1'='1",
  "') ON DUPLICATE KEY UPDATE data = ''; #",
  "/*! DROP TABLE users */",
  "\0",
  "a\0'b",
  "\x1a\b\n\r\t",
  "?",
  ":a",
  "%_",
  "\ud800",
  "'\udfff'",
  "\u00bf\u0027",
  "\u0bf5\u5c27",
  "🍪'",
  "__proto__",
];

/** Throws unless each attack is stored unchanged as a key, a value and a subject, and loads nothing as a token. */
export async function assertKeepsAttacks(manager: SessionManager): Promise<void> {
  const session = await manager.load();
  for (const attack of ATTACKS) session.put(`key ${attack}`, { [attack]: attack });
  const { token } = await session.commit();
  for (const attack of ATTACKS.filter((attack) => attack.isWellFormed())) {
    const read = await manager.load(token);
    read.subject = attack;
    read.put("last", attack);
    await read.commit();
    assertEquals((await manager.sessionsOf(attack)).map((entry) => entry.get("last")), [attack]);
  }
  const read = await manager.load(token);
  for (const attack of ATTACKS) assertEquals(read.get(`key ${attack}`), { [attack]: attack });
  for (const attack of ATTACKS) await manager.destroyAll(`${attack.toWellFormed()}!`);
  for (const attack of ATTACKS) assertEquals((await manager.load(attack.padEnd(43, "-"))).token, undefined);
  assert((await manager.load(token)).exists("last"));
  await read.destroy();
}
