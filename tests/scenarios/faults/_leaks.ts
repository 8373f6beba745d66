/** What of the marked token, value and password an operation has shown. */
import { hashToken } from "../../../core/bytes/token.ts";
import { printed } from "../_secrets.ts";
import { CANARY } from "./_bed.ts";
import type { Outcome } from "./_cells.ts";

/** A text in the forms in which drivers send it. */
function formsOf(text: string): string[] {
  const bytes = new TextEncoder().encode(text);
  // In base64 the first and last characters depend on what stands beside it.
  const base64 = [0, 1, 2].map((offset) => bytes.subarray(offset).toBase64().slice(0, -4));
  return [text, bytes.toHex(), ...base64];
}

const SECRETS = [...formsOf(CANARY.value), ...formsOf(CANARY.password)];

/** Each secret that errors, events or answers of an operation show, and the text that does. */
export function leaksOf({ shown, tokens }: Outcome): string[] {
  const secrets = [...SECRETS, ...tokens, ...tokens.map(hashToken)];
  return shown.flatMap((thing) => {
    const text = printed(thing);
    return secrets.filter((secret) => text.includes(secret)).map((secret) => `${secret}: ${text}`);
  });
}
