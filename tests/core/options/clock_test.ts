/** `now`, the option for a clock. */
import { SessionConfigError, sessions } from "../../../mod.ts";
import { assertRejects, assertStringIncludes } from "../../assert.ts";

for (const time of [NaN, Infinity, "1700000000000", new Date(), undefined]) {
  Deno.test(`A clock that gives ${Deno.inspect(time)} is refused by the first call that needs the time`, async () => {
    const manager = sessions({ now: () => time as number });
    const error = await assertRejects(() => manager.load(), SessionConfigError);
    assertStringIncludes(error.message, '"now" must give milliseconds since the epoch: got');
  });
}
