/**
 * The demo's one page, as plain HTML: no script, and `html` escapes every value.
 * @module
 */

import { html } from "hono/html";
import type { Session, SubjectSession } from "@x/sessions";
import type { Data } from "./app.ts";

/** The page for one session. `all` are the sessions of its user. */
export function page(session: Session<Data>, flash: string | undefined, all: SubjectSession<Data>[]) {
  return html`
    <!DOCTYPE html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width">
        <title>Sessions demo</title>
        <style>${STYLE}</style>
      </head>
      <body>
        <main>
          <h1>Sessions demo</h1>
          ${flash === undefined ? "" : html`<p role="status" class="flash">${flash}</p>`}
          ${summary(session)}
          ${session.subject === undefined ? loginForm() : devices(session.subject, all)}
          <section aria-labelledby="counter">
            <h2 id="counter">Counter</h2>
            <form method="post" action="/count">
              <p>You have counted to <output>${session.getInt("counter")}</output>. <button>Count</button></p>
            </form>
          </section>
          <section aria-labelledby="flash">
            <h2 id="flash">Flash message</h2>
            <form method="post" action="/flash">
              <p>
                <label for="text">Show on the next page, once</label>
                <input id="text" name="text" required maxlength="200" autocomplete="off">
                <button>Leave it</button>
              </p>
            </form>
          </section>
        </main>
      </body>
    </html>
  `;
}

function summary(session: Session<Data>) {
  if (session.token === undefined) {
    return html`
      <section aria-labelledby="session">
        <h2 id="session">Your session</h2>
        <p>You have none: nothing was stored for you, and no cookie was set. Count, leave a message or log in to get one.</p>
      </section>
    `;
  }
  const values = session.keys().map((key) =>
    html`
      <tr>
        <th scope="row">${key}</th>
        <td>${String(session.get(key))}</td>
      </tr>
    `
  );
  return html`
    <section aria-labelledby="session">
      <h2 id="session">Your session</h2>
      <dl>
        <dt>User</dt>
        <dd>${session.subject ?? "nobody yet"}</dd>
        <dt>Status</dt>
        <dd>${session.status}</dd>
        <dt>Ends at the latest</dt>
        <dd>${time(session.deadline)} UTC</dd>
      </dl>
      <table>
        <caption>Values</caption>
        <thead>
          <tr>
            <th scope="col">Key</th>
            <th scope="col">Value</th>
          </tr>
        </thead>
        <tbody>${values}</tbody>
      </table>
    </section>
  `;
}

function loginForm() {
  return html`
    <section aria-labelledby="login">
      <h2 id="login">Log in</h2>
      <form method="post" action="/login">
        <p>
          <label for="name">Name</label>
          <input id="name" name="name" required maxlength="60" autocomplete="username">
          <button>Log in</button>
        </p>
        <p>There is no password. Log in by the same name in another browser to see both sessions.</p>
      </form>
    </section>
  `;
}

function devices(subject: string, all: SubjectSession<Data>[]) {
  const rows = all.map((entry) =>
    html`
      <tr>
        <td>${entry.get("device") ?? "unknown"}</td>
        <td>${time(entry.createdAt)}</td>
        <td>${time(entry.lastUsedAt)}</td>
        <td>${time(entry.expiresAt)}</td>
        <td>${entry.current ? "this one" : revokeForm(entry)}</td>
      </tr>
    `
  );
  return html`
    <section aria-labelledby="devices">
      <h2 id="devices">Sessions of ${subject}</h2>
      <table>
        <caption>All that are live; times are UTC</caption>
        <thead>
          <tr>
            <th scope="col">Browser</th>
            <th scope="col">Made</th>
            <th scope="col">Last used</th>
            <th scope="col">Ends unless used</th>
            <th scope="col">End it</th>
          </tr>
        </thead>
        <tbody>${rows}</tbody>
      </table>
      <form method="post" action="/logout"><button>Log out</button></form>
      <form method="post" action="/logout-everywhere"><button>Sign out everywhere</button></form>
    </section>
  `;
}

function revokeForm({ id, get }: SubjectSession<Data>) {
  return html`
    <form method="post" action="/revoke">
      <input type="hidden" name="id" value="${id}">
      <button aria-label="Revoke the session of ${get("device") ?? "an unknown browser"}">Revoke</button>
    </form>
  `;
}

function time(ms: number | undefined) {
  if (ms === undefined) return "unknown";
  const iso = new Date(ms).toISOString();
  return html`<time datetime="${iso}">${iso.slice(0, 19).replace("T", " ")}</time>`;
}

const STYLE = `
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
main { max-width: 48rem; margin: 2rem auto; padding: 0 1rem }
h2 { margin: 2rem 0 .5rem; font-size: 1.2rem }
.flash { padding: .5rem 1rem; border-left: .3rem solid; background: #8882 }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; margin: 0 }
dd { margin: 0 }
table { width: 100%; margin: 1rem 0; border-collapse: collapse }
section { overflow-x: auto }
td { overflow-wrap: break-word }
time { white-space: nowrap }
caption { text-align: left; font-weight: bold }
th, td { padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #8886; text-align: left; vertical-align: top }
form { display: inline-block; margin-right: .5rem }
input, button { padding: .3rem .6rem; font: inherit }
label { display: block }
`;
