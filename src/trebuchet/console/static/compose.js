// What the form does while one types: count again, offer the application's number, send with Ctrl+Enter.
"use strict";

const form = document.getElementById("compose");

function typed() {
  form.dispatchEvent(new CustomEvent("typed"));
}

form?.addEventListener("input", (event) => {
  if (event.target.name && !["code", "files"].includes(event.target.name)) typed();
});

form?.querySelector("[data-applications]")?.addEventListener("change", (event) => {
  const { number } = event.target.selectedOptions[0].dataset;
  if (number) form.elements.from.value = number;
  typed();
});

form?.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});

document.addEventListener("htmx:after:swap", (event) => {
  if (event.detail.ctx?.target?.id !== "media") return;
  form.elements.files.value = "";
  typed();
});
