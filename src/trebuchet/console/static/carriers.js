// PDUs as they pass: rows made of what the stream says, the newest first, and the octets kept for a capture file.
"use strict";

// A block, so that no other script of the page knows these names.
{
  const trace = document.querySelector("[data-trace]");
  const rows = trace.querySelector("[data-trace-rows]");
  const note = trace.querySelector("[data-trace-note]");
  const toggle = trace.querySelector("[data-trace-toggle]");
  const withText = trace.querySelector("[data-trace-text]");
  const capture = trace.querySelector("[data-trace-capture]");
  const most = Number(trace.dataset.most);
  let source = null;
  let captured = []; // of the rows, in their order: a line each, or null without octets
  let missed = 0;

  function said(value) {
    return typeof value === "object" && value !== null ? JSON.stringify(value, null, 1) : String(value);
  }

  // What a person looks for first: the id, or who to whom.
  function gist(pdu) {
    if (pdu.message_id) return pdu.message_id;
    if (pdu.destination_addr) return `${pdu.source_addr} → ${pdu.destination_addr}`;
    return pdu.reason ?? pdu.system_id ?? "";
  }

  function show(passed) {
    const row = trace.querySelector("[data-trace-row]").content.cloneNode(true);
    const put = (name, text) => { row.querySelector(`[data-${name}]`).textContent = text; };
    row.querySelector(`[data-${passed.direction}]`).hidden = false;
    row.querySelector("time").dateTime = passed.time;
    put("command", passed.pdu.command);
    put("gist", gist(passed.pdu));
    put("bind", passed.bind);
    const status = passed.pdu.command_status;
    if (status && status !== "ROK") {
      put("status", status);
      row.querySelector("[data-status]").hidden = false;
    }
    const fields = row.querySelector("[data-fields]");
    const all = passed.hex ? { ...passed.pdu, octets: passed.hex } : passed.pdu;
    for (const [name, value] of Object.entries(all)) {
      const field = trace.querySelector("[data-trace-field]").content.cloneNode(true);
      field.querySelector("dt").textContent = name;
      field.querySelector("dd").textContent = said(value);
      fields.append(field);
    }
    rows.prepend(row);
    captured.unshift(passed.hex ? `${Date.parse(passed.time)} ${passed.direction} ${passed.bind} ${passed.hex}` : null);
    while (rows.childElementCount > most) {
      rows.lastElementChild.remove();
      captured.pop();
    }
    window.showTimes?.(rows.firstElementChild);
    describe();
  }

  function describe() {
    const kept = rows.childElementCount;
    const count = kept === 1 ? "1 PDU" : kept >= most ? `the newest ${kept} PDUs` : `${kept} PDUs`;
    // What passes before the stream is open is not seen, so nobody is told that it is watched.
    const watching = source?.readyState === EventSource.OPEN;
    const state = watching ? "Watching" : source ? "Connecting" : "Not watching";
    note.textContent = `${state}${kept ? `: ${count}` : watching ? ": nothing has passed yet" : ""}${missed ? `; ${missed} were missed` : ""}.`;
    if (capture) capture.querySelector("button").disabled = !captured.some((line) => line !== null);
  }

  function watch(on) {
    source?.close();
    source = on ? new EventSource(trace.dataset.trace + (withText?.checked ? "?text=true" : "")) : null;
    source?.addEventListener("message", (event) => show(JSON.parse(event.data)));
    source?.addEventListener("missed", (event) => { missed += JSON.parse(event.data).missed; describe(); });
    source?.addEventListener("error", () => { note.textContent = "The gateway does not answer; trying again."; });
    source?.addEventListener("open", describe);
    toggle.setAttribute("aria-pressed", String(on));
    for (const part of toggle.querySelectorAll("[data-when]")) part.hidden = (part.dataset.when === "on") !== on;
    describe();
  }

  toggle.addEventListener("click", () => watch(source === null));
  withText?.addEventListener("change", () => source && watch(true));
  trace.querySelector("[data-trace-clear]").addEventListener("click", () => {
    rows.replaceChildren();
    captured = [];
    missed = 0;
    describe();
  });
  capture?.addEventListener("submit", () => {
    // What is posted is bounded: the newest that fit.
    let octets = 0;
    const fitting = captured.filter((line) => line !== null && (octets += line.length + 3) < 200_000);
    capture.elements.pdus.value = fitting.reverse().join("\n");
  });
  window.addEventListener("pagehide", () => source?.close());
}
