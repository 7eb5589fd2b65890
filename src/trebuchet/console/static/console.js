// What the pages do by themselves: parts that stay up to date, keys, times in the reader's zone, copying.
"use strict";

// ---- parts that stay up to date ----
// An element with data-live="all", or with ids of messages in it, is told "changed"; htmx fetches it again.

const connection = document.querySelector("[data-connection]");
let missed = false;

function tell(hint) {
  for (const part of document.querySelectorAll("[data-live]")) {
    const wanted = part.dataset.live.split(" ");
    const concerned = hint === null || hint.more || wanted[0] === "all" || [...hint.messages, ...hint.numbers].some((id) => wanted.includes(id));
    if (concerned) part.dispatchEvent(new CustomEvent("changed", { detail: hint }));
  }
}

function listen() {
  const source = new EventSource("/events");
  // What happened before it was open, since the page was made or while it was lost, is looked for once.
  source.addEventListener("open", () => {
    connection?.classList.remove("hidden");
    tell(null);
  });
  source.addEventListener("error", () => connection?.classList.add("hidden"));
  source.addEventListener("changed", (event) => {
    if (document.hidden) missed = true;
    else tell(JSON.parse(event.data));
  });
  // Otherwise the browser may keep the connection of a page that was left, and it has only six.
  window.addEventListener("pagehide", () => source.close());
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && missed) {
    missed = false;
    tell(null);
  }
});
if (document.querySelector("[data-live]")) listen();

// What was opened stays open while its part is brought up to date.
document.addEventListener("htmx:before:swap", () => {
  const open = [...document.querySelectorAll("details[open][id]")].map((element) => element.id);
  document.addEventListener(
    "htmx:after:swap",
    () => {
      for (const id of open) {
        const element = document.getElementById(id);
        if (element) element.open = true;
      }
    },
    { once: true },
  );
});

// ---- notices ----

function notice(text, kind = "info") {
  const box = document.createElement("div");
  box.className = `alert alert-${kind} max-w-sm text-sm`;
  box.textContent = text;
  document.getElementById("notices")?.append(box);
  setTimeout(() => box.remove(), kind === "error" ? 8000 : 3000);
}
window.notice = notice;

document.addEventListener("htmx:response:error", (event) => {
  const { response, text } = event.detail.ctx;
  if (response.status === 401) location.reload();
  else notice(text && text.length < 300 && !text.startsWith("<") ? text : `The gateway answered ${response.status}`, "error");
});
document.addEventListener("htmx:error", () => notice("The gateway does not answer", "error"));

// ---- times ----

const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const time = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const precise = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hourCycle: "h23" });
const skew = Date.parse(document.body.dataset.now) - Date.now();

function ago(moment) {
  const seconds = Math.max(0, Math.round((Date.now() + skew - moment) / 1000));
  if (seconds < 5) return "now";
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["min", 60]]) {
    if (seconds >= size) return `${Math.floor(seconds / size)} ${unit} ago`;
  }
  return `${seconds} s ago`;
}

function showTimes(root = document) {
  for (const element of root.querySelectorAll("time[data-time]")) {
    const moment = new Date(element.dateTime);
    const how = element.dataset.time;
    const today = new Date(Date.now() + skew).toDateString() === moment.toDateString();
    const shown =
      how === "ago" ? ago(moment)
      : how === "precise" ? precise.format(moment)
      : today ? time.format(moment)
      : `${day.format(moment)} ${time.format(moment)}`;
    if (element.textContent !== shown) element.textContent = shown;
  }
}
window.showTimes = showTimes;
showTimes();
setInterval(showTimes, 5000);
document.addEventListener("htmx:after:swap", () => showTimes());

// ---- clicks ----

document.addEventListener("click", async (event) => {
  const target = event.target instanceof Element ? event.target : null;
  const copying = target?.closest("[data-copy]");
  if (copying) {
    const from = copying.dataset.copyFrom;
    const text = from ? document.getElementById(from)?.textContent ?? "" : copying.dataset.copy;
    try {
      await navigator.clipboard.writeText(text);
      notice("Copied");
    } catch {
      notice("The browser does not allow copying here", "error");
    }
    return;
  }
  const opening = target?.closest("[data-open]");
  if (opening) document.getElementById(opening.dataset.open)?.showModal();
  const closing = target?.closest("[data-close]");
  if (closing) closing.closest("dialog")?.close();
  if (target?.closest("[data-theme-toggle]")) {
    const dark = document.documentElement.dataset.theme
      ? document.documentElement.dataset.theme === "night"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    document.documentElement.dataset.theme = dark ? "day" : "night";
    document.cookie = `theme=${dark ? "day" : "night"}; path=/; max-age=31536000; samesite=strict`;
    document.dispatchEvent(new CustomEvent("theme"));
  }
  // A row is a link, except for what in it can be clicked itself, and while its text is being selected.
  const row = target?.closest("[data-row][data-href]");
  if (row && !target.closest("a, button, input, label, summary") && !String(getSelection())) location.href = row.dataset.href;
});

// ---- questions before what cannot be undone ----

document.addEventListener("submit", (event) => {
  const question = event.target.dataset.confirm;
  if (question && !confirm(question)) event.preventDefault();
});

// Filters take effect as they are chosen.
document.addEventListener("change", (event) => {
  if (event.target.closest("[data-submit-on-change]")) event.target.form?.requestSubmit();
});

// A field that was left empty is no filter.
document.addEventListener("formdata", (event) => {
  if (event.target.method !== "get") return;
  for (const [name, value] of [...event.formData]) if (value === "") event.formData.delete(name);
});

// ---- keys ----

const places = { o: "/", h: "/handsets", m: "/messages", c: "/compose", b: "/callbacks", r: "/carriers", s: "/set-up" };
let going = false;
let current = "";

function move(by) {
  const rows = [...document.querySelectorAll("[data-row]")];
  if (!rows.length) return;
  const at = rows.findIndex((row) => row.id === current);
  const to = Math.min(rows.length - 1, Math.max(0, at < 0 ? (by > 0 ? 0 : rows.length - 1) : at + by));
  current = rows[to].id;
  mark();
  rows[to].scrollIntoView({ block: "nearest" });
}

// A part that was fetched again knows nothing of where the reader is.
function mark() {
  for (const row of document.querySelectorAll("[data-row]")) {
    if (row.id === current) row.setAttribute("aria-current", "true");
    else row.removeAttribute("aria-current");
  }
}
document.addEventListener("htmx:after:swap", () => current && mark());

document.addEventListener("keydown", (event) => {
  const writing = event.target.matches?.("input, textarea, select, [contenteditable]");
  if (event.key === "Escape" && writing) event.target.blur();
  if (writing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (going) {
    going = false;
    const place = places[event.key];
    if (place) location.href = place;
    return;
  }
  if (event.key === "j") move(1);
  else if (event.key === "k") move(-1);
  else if (event.key === "g") going = true;
  else if (event.key === "?") document.getElementById("shortcuts")?.showModal();
  else if (event.key === "/") {
    const field = document.querySelector("[data-search]");
    if (field) {
      event.preventDefault();
      field.focus();
      field.select();
    } else location.href = "/messages?search";
  } else if (event.key === "Enter" && !event.target.closest?.("a, button")) {
    const row = document.querySelector('[data-row][aria-current="true"][data-href]');
    if (row) location.href = row.dataset.href;
  }
});
