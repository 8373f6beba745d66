/**
 * A shared cache that follows RFC 9111 exactly. It stores what it may, guesses a freshness from `Last-Modified`
 * without other information (section 4.2.2), obeys `Vary` (4.1), and passes on a stored `Set-Cookie` (7.3).
 * @module
 */

import type { Answer } from "./_peer.ts";

interface Stored {
  answer: Answer;
  freshUntil: number;
  vary: string[];
  requestHeaders: Record<string, string>;
}

/** A cache of GET requests, in front of one app. */
export class SharedCache {
  readonly #stored = new Map<string, Stored[]>();

  /** Answers from the cache, or from the app if it has nothing stored. */
  async get(
    path: string,
    requestHeaders: Record<string, string>,
    ask: () => Promise<Answer>,
  ): Promise<Answer & { hit: boolean }> {
    const found = this.#stored.get(path)?.find(({ freshUntil, vary, requestHeaders: stored }) =>
      freshUntil > Date.now() && vary.every((name) => stored[name] === requestHeaders[name])
    );
    if (found) return { ...found.answer, hit: true };
    const answer = await ask();
    const seconds = freshness(answer);
    const vary = (answer.headers.get("vary") ?? "").split(",").map((name) => name.trim().toLowerCase())
      .filter(Boolean);
    if (seconds > 0 && !vary.includes("*")) {
      const stored = { answer, freshUntil: Date.now() + seconds * 1_000, vary, requestHeaders };
      this.#stored.set(path, [stored, ...this.#stored.get(path) ?? []]);
    }
    return { ...answer, hit: false };
  }
}

/** How many seconds a shared cache may serve a response for. */
function freshness({ status, headers }: Answer): number {
  if (status !== 200) return 0;
  const directives = new Map(
    (headers.get("cache-control") ?? "").toLowerCase().split(",").map((text) => {
      const [name = "", value] = text.trim().split("=");
      return [name, value];
    }),
  );
  if (directives.has("no-store") || directives.has("private") || directives.has("no-cache")) return 0;
  const explicit = directives.get("s-maxage") ?? directives.get("max-age");
  if (explicit !== undefined) return Number(explicit);
  if (headers.has("expires")) return (Date.parse(headers.get("expires")!) - Date.now()) / 1_000 || 0;
  const changed = Date.parse(headers.get("last-modified") ?? "");
  return Number.isNaN(changed) ? 0 : (Date.now() - changed) / 10_000;
}
