import { SessionConfigError } from "../../../mod.ts";
import { assertEquals, assertThrows } from "../../assert.ts";

/** The mistakes for which a construction throws. Also checks that the message lists them. */
export function problemsOf(make: () => unknown): readonly string[] {
  const error = assertThrows(make, SessionConfigError);
  assertEquals(error.code, "ERR_SESSION_CONFIG");
  assertEquals(error.message, `Cannot use these session options: ${error.problems.join("; ")}`);
  return error.problems;
}
