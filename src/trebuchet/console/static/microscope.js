// The page of one message: a step that was opened stays open while the page is brought up to date.
"use strict";

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

// A link to the callbacks opens the last one.
if (location.hash === "#callbacks") {
  const last = [...document.querySelectorAll("[data-callback] details")].pop();
  if (last) {
    last.open = true;
    last.scrollIntoView({ block: "center" });
  }
}
