/** Finds the marked token, value and password in the output of an operation. */
import { hashToken } from "../../../core/bytes/token.ts";
import { printed } from "../_secrets.ts";
import { CANARY } from "./_bed.ts";
import type { Outcome } from "./_cells.ts";

/** The forms in which drivers send a text. */
function formsOf(text: string): string[] {
  const bytes = new TextEncoder().encode(text);
  // In base64 the first and last characters depend on the neighbouring bytes.
  const base64 = [0, 1, 2].map((offset) => bytes.subarray(offset).toBase64().slice(0, -4));
  return [text, bytes.toHex(), ...base64];
}

const SECRETS = [...formsOf(CANARY.value), ...formsOf(CANARY.password)];

/** Each secret that errors, events or responses of an operation show, with the text that shows it. */
export function leaksOf({ shown, tokens }: Outcome): string[] {
  const secrets = [...SECRETS, ...tokens, ...tokens.map(hashToken)];
  return shown.flatMap((thing) => {
    const text = printed(thing);
    return secrets.filter((secret) => text.includes(secret)).map((secret) => `${secret}: ${text}`);
  });
}
