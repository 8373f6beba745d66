import { inspect } from "node:util";
import { assert } from "../assert.ts";

/** Every way in which a value may end up in a log. */
export function printed(value: unknown): string {
  const forms = [
    Deno.inspect(value, { depth: 10, showHidden: true, getters: true }),
    inspect(value, { depth: 10, showHidden: true, getters: true }),
    inspect(value, { depth: 10, showHidden: true, customInspect: false }),
    JSON.stringify(value),
    String(value),
  ];
  return [...forms, errorText(value)].join("\n");
}

/** The texts of an error and its causes, without those that only a debugger shows. */
export function errorText(error: unknown): string {
  const forms = [];
  for (; error instanceof Error; error = error.cause) {
    forms.push(error.message, error.stack ?? "", JSON.stringify(Object.entries(error)));
  }
  return forms.join("\n");
}

/** Fails if logging the value would show one of these texts. */
export function assertShowsNone(value: unknown, secrets: Iterable<string>): void {
  const text = printed(value);
  for (const secret of secrets) {
    assert(!text.includes(secret), `${JSON.stringify(secret)} is shown:\n${text}`);
  }
}
