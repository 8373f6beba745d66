/** Listings of many sessions. */
import { sessions } from "../../mod.ts";
import { assert } from "../assert.ts";

for (const what of ["iterate", "sessionsOf"] as const) {
  Deno.test(`${what}() on a store in this process lets other work run in between`, async () => {
    const manager = sessions<{ n: number }>();
    for (let n = 0; n < 10_000; n++) {
      const session = await manager.load();
      session.put("n", n);
      session.subject = "mallory";
      await session.commit();
    }
    let ticks = 0;
    const timer = setInterval(() => ticks++, 0);
    await new Promise((resolve) => setTimeout(resolve, 5));
    ticks = 0;
    if (what === "sessionsOf") await manager.sessionsOf("mallory");
    else for await (const _ of manager.iterate());
    clearInterval(timer);
    assert(ticks > 0, "no timer has fired");
  });
}
