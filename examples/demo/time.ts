import { html } from "hono/html";

/** A time in UTC. The script puts it into the zone of the reader: a server does not know which one that is. */
export function time(ms: number | undefined, show: "date" | "clock" = "date") {
  if (ms === undefined) return "unknown";
  const iso = new Date(ms).toISOString();
  const text = show === "clock" ? iso.slice(11, 19) : `${iso.slice(0, 10)} ${iso.slice(11, 16)} UTC`;
  return html`<time datetime="${iso}" data-show="${show}">${text}</time>`;
}
