/**
 * The page of the races, with the result of one.
 * @module
 */

import { html } from "hono/html";
import type { Answer, Outcome, RaceName, Result } from "./races.ts";
import type { StoreCall } from "./trace.ts";

const RACES: { name: RaceName; title: string; button: string; story: string }[] = [
  {
    name: "basket",
    title: "Two changes at once",
    button: "Change it twice",
    story: "A basket holds bread. Request A adds tea. While A is about to save, request B adds milk.",
  },
  {
    name: "logout",
    title: "A logout during a slow request",
    button: "Log out meanwhile",
    story: "Ann is signed in. Request A adds tea, slowly. While A is about to save, request B signs her out.",
  },
  {
    name: "login",
    title: "Two logins at once",
    button: "Log in twice",
    story:
      "Somebody with bread in the basket presses “Sign in” twice, as Ann. Then request C signs Ann out everywhere.",
  },
];

/** Three races, one of them with its result. */
export function racesPage(shown?: { race: RaceName; result: Result }) {
  return html`
    <h1>Races</h1>
    <p class="lede">Watch the last line on each side: the same two requests, sent for real, end differently.</p>
    <p class="hint">
      Each button runs the same handlers twice, on two empty databases. On the left the store has every method. On the
      right it has only the three methods of an SCS store: find, commit and delete. Even there this package reads
      again before it writes. Request A is held back just before its first write, until B has its response.
    </p>
    ${RACES.map(({ name, title, button, story }) =>
      html`
        <section class="card race" id="${name}" aria-labelledby="${name}-title">
          <div class="row">
            <div>
              <h2 id="${name}-title">${title}</h2>
              <p>${story}</p>
            </div>
            <form method="post" action="/races#${name}">
              <button class="primary" name="race" value="${name}">${button}</button>
            </form>
          </div>
          ${shown?.race === name ? sides(shown.result) : ""}
        </section>
      `
    )}
  `;
}

function sides({ safe, overwriting }: Result) {
  return html`
    <div class="sides">
      ${side("@x/sessions", safe)}
      ${side("A store that overwrites", overwriting)}
    </div>
  `;
}

function side(title: string, { answers, calls, after, isGood, verdict }: Outcome) {
  return html`
    <section class="${isGood ? "good" : "bad"}" aria-label="${title}">
      <h3>${title}</h3>
      <h4>In the store</h4>
      <ol class="calls">${calls.map(call)}</ol>
      <h4>Responses</h4>
      <ul class="answers">${answers.map(answer)}</ul>
      <h4>Afterwards</h4>
      ${after.map((sentence) => html`<p>${sentence}</p>`)}
      <p class="verdict"><span aria-hidden="true">${isGood ? "✓" : "✗"}</span> ${verdict}</p>
    </section>
  `;
}

function call({ by, method, result }: StoreCall) {
  return html`
    <li
      class="${by} ${method === ""
        ? "waits"
        : ""}"><b class="by ${by}">${by}</b> <code>${method}</code> ${result}</li>
  `;
}

function answer({ by, request, status, text, cookie }: Answer) {
  return html`
    <li>
      <b class="by ${by}">${by}</b> <code>${request}</code>
      <span class="status ${status < 400 ? "" : "failed"}">${status}</span> ${text}
      <small>Set-Cookie: ${cookie === undefined
        ? "no"
        : cookie.endsWith("=")
        ? "yes, deletes it"
        : "yes"}</small>
    </li>
  `;
}
