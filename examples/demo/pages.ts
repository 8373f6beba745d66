/**
 * The demo's pages, as plain HTML: `html` escapes every value.
 * @module
 */

import { html, raw } from "hono/html";
import type { Session, SubjectSession } from "@x/sessions";
import type { Data } from "./app.ts";
import { COST_PLACE } from "./costs.ts";
import { isPhone } from "./devices.ts";
import type { EventLog } from "./log.ts";
import { time } from "./time.ts";

/** Any piece of a page. */
type Part = ReturnType<typeof html>;

const PAGES = [["/", "Account"], ["/races", "Races"]] as const;

/** The frame of every page: the navigation, the cost of the page, and the last events. */
export function layout({ here, log, main }: { here: string; log: EventLog; main: Part }) {
  return html`
    <!DOCTYPE html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark">
        <title>${PAGES.find(([path]) => path === here)?.[1]} · Sessions demo</title>
        <link rel="icon" href="/icon.svg" type="image/svg+xml">
        <link rel="stylesheet" href="/style.css">
        <script type="module" src="/script.js"></script>
      </head>
      <body>
        <header>
          <a class="brand" href="/"><img src="/icon.svg" alt="" width="28" height="28"> Sessions demo</a>
          <nav aria-label="Pages">
            ${PAGES.map(([path, name]) =>
              html`<a href="${path}" ${raw(path === here ? 'aria-current="page"' : "")}>${name}</a>`
            )}
          </nav>
        </header>
        <main>${main}</main>
        <footer>
          <section aria-labelledby="cost-title">
            <h2 id="cost-title">What this page cost</h2>
            ${raw(COST_PLACE)}
          </section>
          <section aria-labelledby="log-title">
            <h2 id="log-title">Session events <span id="log-state">reload for new ones</span></h2>
            ${log.list()}
            <p class="hint">Times are in <span class="zone">UTC</span>.</p>
          </section>
        </footer>
      </body>
    </html>
  `;
}

/** The data of the account page. */
export interface Account {
  session: Session<Data>;
  flash: string | undefined;
  /** Every session of the user. */
  all: SubjectSession<Data>[];
  /** Whether the browser sent a cookie. */
  hasCookie: boolean;
}

/** The account page. */
export function accountPage({ session, flash, all, hasCookie }: Account) {
  const { subject } = session;
  return html`
    <h1>${subject === undefined ? "Your account" : html`Hello, ${subject}`}</h1>
    <p class="lede">Watch the foot of the page: it shows which store calls, rows and headers each click costs.</p>
    ${flash === undefined ? "" : html`<p role="status" class="flash">${flash}</p>`}
    <div class="columns">
      <div>${subject === undefined ? html`${loginForm()} ${steps()}` : devices(subject, all)}</div>
      <div>
        ${summary(session, hasCookie)}
        <section class="card" aria-labelledby="counter">
          <h2 id="counter">Counter</h2>
          <form method="post" action="/count" class="row">
            <p>You have counted to <output>${session.getInt("counter")}</output></p>
            <button>Count</button>
          </form>
        </section>
        <section class="card" aria-labelledby="flash">
          <h2 id="flash">Flash message</h2>
          <form method="post" action="/flash">
            <label for="text">Show on the next page, once</label>
            <div class="row">
              <input id="text" name="text" required maxlength="200" autocomplete="off">
              <button>Leave it</button>
            </div>
          </form>
        </section>
      </div>
    </div>
  `;
}

function summary(session: Session<Data>, hasCookie: boolean) {
  return html`
    <section class="card" aria-labelledby="session">
      <h2 id="session">Your session</h2>
      ${session.token === undefined ? noSession(hasCookie) : facts(session)}
    </section>
  `;
}

function noSession(hasCookie: boolean) {
  if (hasCookie) {
    return html`
      <p>
        <b>It has ended.</b> Your browser sent a cookie, and no live session has its token. It was signed out, here or
        elsewhere, or has expired. The cookie lets nobody in.
      </p>
    `;
  }
  return html`
    <p>
      <b>You have none.</b> Nothing was stored for you, and no cookie was set. Count, leave a message or sign in to get
      one.
    </p>
  `;
}

function facts(session: Session<Data>) {
  const values = session.keys().map((key) =>
    html`
      <dt><code>${key}</code></dt>
      <dd>${String(session.get(key))}</dd>
    `
  );
  return html`
    <dl>
      <dt>User</dt>
      <dd>${session.subject ?? "nobody yet"}</dd>
      <dt>Status</dt>
      <dd>${session.status}</dd>
      <dt>Ends at the latest</dt>
      <dd>${time(session.deadline)}</dd>
      ${values}
    </dl>
  `;
}

function loginForm() {
  return html`
    <section class="card" aria-labelledby="login">
      <h2 id="login">Sign in</h2>
      <form method="post" action="/login">
        <label for="name">Name</label>
        <div class="row">
          <input id="name" name="name" required maxlength="60" autocomplete="username">
          <button class="primary">Sign in</button>
        </div>
        <p class="hint">
          There is no password. Sign in with the same name in another browser, or in a private window, to see two devices.
        </p>
      </form>
    </section>
  `;
}

function steps() {
  return html`
    <section class="card" aria-labelledby="steps">
      <h2 id="steps">What to try</h2>
      <ol class="steps">
        <li>Count once before you sign in. A visitor who only looks gets no cookie.</li>
        <li>Sign in. The token changes, and the counter stays.</li>
        <li>Sign in elsewhere too, then end one device from the other.</li>
        <li>Let two requests collide, on the page <a href="/races">Races</a>.</li>
      </ol>
    </section>
  `;
}

function devices(subject: string, all: SubjectSession<Data>[]) {
  const inOrder = all.toSorted((a, b) => (a.createdAt ?? 0) - (b.createdAt ?? 0));
  const others = all.length - 1;
  return html`
    <section class="card" aria-labelledby="devices">
      <h2 id="devices">Sessions of ${subject}</h2>
      <ol class="devices">${inOrder.map(device)}</ol>
      <div class="row">
        <form method="post" action="/logout"><button>Sign out</button></form>
        <details>
          <summary>Sign out everywhere…</summary>
          <p>${others === 0 ? "This is your only device." : `You are signed in on ${all.length} devices.`}</p>
          <div class="row">
            <form method="post" action="/logout-everywhere">
              <button class="danger">
                ${others === 0 ? "Yes, sign out" : `Yes, all ${all.length}, this one too`}
              </button>
            </form>
            ${others === 0 ? "" : html`
              <form method="post" action="/logout-others">
                <button>Only the ${others === 1 ? "other one" : `other ${others}`}</button>
              </form>
            `}
          </div>
        </details>
      </div>
    </section>
  `;
}

function device(entry: SubjectSession<Data>, index: number) {
  const name = entry.get("device") ?? "Unknown browser";
  return html`
    <li>
      ${picture(name)}
      <div>
        <h3>${index + 1}. ${name} ${entry.current ? html`<span class="badge">this device</span>` : ""}</h3>
        <dl>
          <dt>Signed in</dt>
          <dd>${time(entry.createdAt)}</dd>
          <dt>Last used</dt>
          <dd>${time(entry.lastUsedAt)}</dd>
          <dt>Ends unless used</dt>
          <dd>${time(entry.expiresAt)}</dd>
        </dl>
      </div>
      ${entry.current ? "" : html`
        <form method="post" action="/revoke">
          <input type="hidden" name="id" value="${entry.id}">
          <button aria-label="End session ${index + 1}, ${name}">End</button>
        </form>
      `}
    </li>
  `;
}

function picture(device: string) {
  const shape = isPhone(device)
    ? html`
      <rect x="7" y="2.5" width="10" height="19" rx="2" />
      <path d="M11 18.5h2" />
    `
    : html`
      <rect x="3" y="4.5" width="18" height="12" rx="1.5" />
      <path d="M1.5 19.5h21" />
    `;
  return html`<svg viewBox="0 0 24 24" aria-hidden="true">${shape}</svg>`;
}
