import { html } from "hono/html";

/** A time in UTC. The page's script converts it to the reader's time zone, which the server does not know. */
export function time(ms: number | undefined, show: "date" | "clock" = "date") {
  if (ms === undefined) return "unknown";
  const iso = new Date(ms).toISOString();
  const text = show === "clock" ? iso.slice(11, 19) : `${iso.slice(0, 10)} ${iso.slice(11, 16)} UTC`;
  return html`<time datetime="${iso}" data-show="${show}">${text}</time>`;
}
