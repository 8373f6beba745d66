import { SessionConfigError } from "../../../mod.ts";
import { assertEquals, assertThrows } from "../../assert.ts";

/** Every mistake that a construction is refused for, once its error was seen to say the same. */
export function problemsOf(make: () => unknown): readonly string[] {
  const error = assertThrows(make, SessionConfigError);
  assertEquals(error.code, "ERR_SESSION_CONFIG");
  assertEquals(error.message, `Cannot use these session options: ${error.problems.join("; ")}`);
  return error.problems;
}
