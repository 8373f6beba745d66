/**
 * Shows at the foot of each page what the page and the form before it cost.
 * @module
 */

import { html } from "hono/html";
import type { MiddlewareHandler } from "hono";
import { type StoreCall, traced } from "./trace.ts";

/** The cost of one request. */
interface Cost {
  request: string;
  status: number;
  calls: StoreCall[];
  headers: [name: string, value: string][];
}

/** The place in a page for its cost. User text cannot contain it, because `<` is escaped. */
export const COST_PLACE = "<!-- cost -->";

/** How many costs of forms are kept for the page after them. */
const MOST_COSTS = 100;
/** The headers that a session can change. */
const HEADERS: Record<string, string> = {
  "set-cookie": "Set-Cookie",
  "vary": "Vary",
  "cache-control": "Cache-Control",
};

/** Records the cost of each request. The cost is known only after the session was saved, so it is inserted afterwards. */
export function showCosts(): MiddlewareHandler {
  const forms = new Map<string, Cost>();
  return async function costs(c, next) {
    const calls: StoreCall[] = [];
    await traced({ by: "", calls }, next);
    const headers = [...c.res.headers]
      .filter(([name]) => Object.hasOwn(HEADERS, name))
      .map(([name, value]): [string, string] => [HEADERS[name]!, hideToken(name, value)]);
    const cost = { request: `${c.req.method} ${c.req.path}`, status: c.res.status, calls, headers };

    if (c.res.status === 303) {
      const number = crypto.randomUUID().slice(0, 8);
      forms.set(number, cost);
      if (forms.size > MOST_COSTS) forms.delete(forms.keys().next().value!);
      c.header("Location", `${c.res.headers.get("Location")}?after=${number}`);
    } else if (c.res.headers.get("Content-Type")?.startsWith("text/html")) {
      const form = forms.get(c.req.query("after") ?? "");
      const list = String(costList(form === undefined ? [cost] : [form, cost]));
      const page = await c.res.text();
      c.res = new Response(page.replace(COST_PLACE, () => list), c.res);
    }
  };
}

/** Shows only the first characters of a token. The cookie is hidden from scripts, so the page must not show it. */
function hideToken(name: string, value: string): string {
  return name !== "set-cookie" ? value : value.replace(/^([^=;]+=[^;]{4})[^;]+/, "$1…");
}

function costList(costs: Cost[]) {
  return html`
    <ol class="costs">
      ${costs.map(costItem)}
    </ol>
  `;
}

function costItem({ request, status, calls, headers }: Cost) {
  const [read, changed] = [sum(calls, "rowsRead"), sum(calls, "rowsChanged")];
  return html`
    <li>
      <h3><code>${request}</code> <span class="status">${status}</span></h3>
      <p class="sum">
        <b>${calls.length}</b> store ${calls.length === 1 ? "call" : "calls"},
        <b>${read}</b> ${read === 1 ? "row" : "rows"} read, <b>${changed}</b> changed
      </p>
      <ul>
        ${calls.map(({ method, result }) => html`<li><code>${method}</code> ${result}</li>`)}
        ${headers.map(([name, value]) => html`<li class="header"><code>${name}: ${value}</code></li>`)}
        ${headers.length === 0 ? html`<li>no header from a session</li>` : ""}
      </ul>
    </li>
  `;
}

function sum(calls: StoreCall[], key: "rowsRead" | "rowsChanged"): number {
  return calls.reduce((total, call) => total + call[key], 0);
}
