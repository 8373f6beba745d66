/**
 * The last session events, as a list and as a stream of server-sent events.
 * @module
 */

import { html } from "hono/html";
import type { SessionEvent } from "@x/sessions";
import { time } from "./time.ts";

/** An event and its time. */
interface Entry {
  number: number;
  at: number;
  /** `"account"` or `"race"`. */
  place: string;
  event: SessionEvent;
}

type Listener = ReadableStreamDefaultController<string>;

/** How many events are kept. */
const MOST_ENTRIES = 50;

/** Keeps the last events, and sends new ones to the open streams. */
export class EventLog {
  readonly #entries: Entry[] = [];
  readonly #listeners = new Set<Listener>();
  #count = 0;

  /** Adds an event. Events hold no token, so they may be shown. */
  add(place: string, event: SessionEvent): void {
    const entry = { number: ++this.#count, at: Date.now(), place, event };
    this.#entries.unshift(entry);
    this.#entries.splice(MOST_ENTRIES);
    for (const listener of this.#listeners) listener.enqueue(message(entry));
  }

  /** The last events, the newest first. */
  list(length = 12) {
    return html`
      <ol id="log" class="log" role="log" tabindex="0" aria-labelledby="log-title" data-last="${this.#count}">
        ${this.#entries.slice(0, length).map(item)}
      </ol>
    `;
  }

  /** Streams the events after that number. Needs no session, so it costs no store call. */
  stream(after: number): Response {
    let listener: Listener;
    const events = new ReadableStream<string>({
      start: (controller) => {
        listener = controller;
        this.#listeners.add(listener);
        // A comment, so that the browser knows at once that the stream is open.
        listener.enqueue(":\n\n");
        const missed = this.#entries.filter(({ number }) => number > after).reverse();
        for (const entry of missed) listener.enqueue(message(entry));
      },
      cancel: () => void this.#listeners.delete(listener),
    });
    return new Response(events.pipeThrough(new TextEncoderStream()), {
      headers: { "Content-Type": "text/event-stream", "Cache-Control": "no-store" },
    });
  }

  /** Ends every stream. A server that shuts down would wait for them. */
  close(): void {
    for (const listener of this.#listeners) listener.close();
    this.#listeners.clear();
  }
}

function message(entry: Entry): string {
  return `id: ${entry.number}\ndata: ${String(item(entry)).replaceAll(/\s+/g, " ").trim()}\n\n`;
}

function item({ at, place, event: { kind, ...details } }: Entry) {
  const text = Object.entries(details)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name} ${shortId(name, value)}`)
    .join(", ");
  return html`
    <li>
      ${time(at, "clock")} <b class="kind ${kind}">${kind}</b> <span>${text}</span> <i>${place}</i>
    </li>
  `;
}

/** The first characters of an id. It is no secret. */
function shortId(name: string, value: unknown): string {
  return name === "id" || name === "previousId" ? `${String(value).slice(0, 6)}…` : String(value);
}
