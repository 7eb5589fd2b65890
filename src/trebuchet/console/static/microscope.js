// The page of one message.
"use strict";

// A link to the callbacks opens the last one.
if (location.hash === "#callbacks") {
  const last = [...document.querySelectorAll("[data-callback] details")].pop();
  if (last) {
    last.open = true;
    last.scrollIntoView({ block: "center" });
  }
}
