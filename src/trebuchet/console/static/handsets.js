// What phones do by themselves: appear when they get something, send at Enter, show what is attached.
"use strict";

const bench = document.getElementById("bench");

// ---- phones that come to be while one looks ----

const coming = new Set();

async function addNew() {
  const list = document.querySelector("#tabs [data-numbers]");
  if (!list) return;
  for (const number of list.dataset.numbers.split(" ").filter(Boolean)) {
    if (coming.has(number) || bench.querySelector(`[data-phone="${CSS.escape(number)}"]`)) continue;
    coming.add(number);
    try {
      await htmx.ajax("GET", `/handsets/${encodeURIComponent(number)}?part=phone`, { target: "#bench", swap: "beforeend" });
      document.querySelector("[data-empty]")?.remove();
    } finally {
      coming.delete(number);
    }
  }
}

// ---- a phone whose first conversation has come shows its form ----

const renewing = new Set();

function keepUp() {
  const seen = new Set();
  for (const phone of bench.querySelectorAll("[data-phone]")) {
    // Two answers about one phone may cross each other: one of it is enough.
    if (seen.has(phone.id)) {
      phone.remove();
      continue;
    }
    seen.add(phone.id);
    if (renewing.has(phone.id)) continue;
    const screen = phone.querySelector("[data-screen]");
    const form = phone.querySelector("form[data-type]");
    if (!screen || !form || form.dataset.view === screen.dataset.screen) continue;
    if (form.elements.text.value || form.elements.files.files.length) continue;
    form.dataset.view = screen.dataset.screen;
    const url = `/handsets/${encodeURIComponent(phone.dataset.phone)}?part=phone`;
    const focused = form.contains(document.activeElement);
    renewing.add(phone.id);
    htmx
      .ajax("GET", url, { target: `#${phone.id}`, swap: "outerHTML" })
      .then(() => {
        if (focused) document.getElementById(phone.id)?.querySelector("textarea")?.focus();
      })
      .finally(() => renewing.delete(phone.id));
  }
}

document.addEventListener("htmx:after:swap", () => {
  addNew();
  keepUp();
});

// ---- typing ----

bench.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || !event.target.matches("form[data-type] textarea")) return;
  event.preventDefault();
  event.target.form.requestSubmit();
});

bench.addEventListener("change", (event) => {
  if (event.target.matches("form[data-type] input[type=file]")) showFiles(event.target.form);
});

bench.addEventListener("paste", (event) => {
  const form = event.target.closest?.("form[data-type]");
  if (!form || !event.clipboardData?.files.length) return;
  event.preventDefault();
  form.elements.files.files = event.clipboardData.files;
  showFiles(form);
});

function showFiles(form) {
  const names = [...form.elements.files.files].map((file) => file.name);
  const line = form.querySelector("[data-files]");
  line.textContent = names.join(", ");
  line.classList.toggle("hidden", names.length === 0);
}

document.addEventListener("htmx:after:request", (event) => {
  const { sourceElement, response } = event.detail.ctx;
  if (!sourceElement?.matches?.("form[data-type]") || !response || response.status >= 400) return;
  sourceElement.reset();
  showFiles(sourceElement);
});

// ---- what is no picture is a file to open ----

document.addEventListener(
  "error",
  (event) => {
    if (event.target.matches?.("img[data-picture]")) event.target.replaceWith(event.target.alt);
  },
  true,
);

// ---- the list of numbers ----

document.querySelector("[data-filter]")?.addEventListener("input", (event) => {
  const wanted = event.target.value.trim().toLowerCase();
  for (const row of document.getElementById(event.target.dataset.filter).rows) {
    row.hidden = !row.textContent.toLowerCase().includes(wanted);
  }
});
