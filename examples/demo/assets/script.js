// The demo works without this script: it only shows times in the reader's zone, and new events as they come.

const date = new Intl.DateTimeFormat(undefined, {
  day: "numeric",
  month: "short",
  hour: "numeric",
  minute: "2-digit",
});
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });

function localize(root) {
  for (const time of root.querySelectorAll("time")) {
    const format = time.dataset.show === "clock" ? clock : date;
    time.textContent = format.format(new Date(time.dateTime));
    time.title = time.dateTime;
  }
}

localize(document);
for (const zone of document.querySelectorAll(".zone")) zone.textContent = date.resolvedOptions().timeZone;

// The number of the form before this page was for the server; a reload is a visit of its own.
if (location.search.includes("after=")) history.replaceState(null, "", location.pathname + location.hash);

const log = document.querySelector("#log");
const state = document.querySelector("#log-state");
let events;

function listen() {
  events = new EventSource(`/log?after=${log.dataset.last}`);
  events.onopen = () => state.textContent = "live";
  events.onerror = () => state.textContent = "reconnecting";
  events.onmessage = ({ data, lastEventId }) => {
    // The server made it as it made the list, with every value escaped.
    log.insertAdjacentHTML("afterbegin", data);
    log.dataset.last = lastEventId;
    log.firstElementChild.classList.add("new");
    localize(log.firstElementChild);
    while (log.children.length > 50) log.lastElementChild.remove();
  };
}

// A browser has six connections to a server, and a stream takes one: a tab that nobody sees gives its own back.
document.addEventListener("visibilitychange", () => document.hidden ? events?.close() : listen());
if (!document.hidden) listen();
