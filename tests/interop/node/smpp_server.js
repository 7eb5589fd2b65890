// node-smpp as an SMSC: decimal ids, receipts with TLVs. Prints what arrives as JSON lines, does what the lines on stdin say.
"use strict";
const readline = require("readline");
const smpp = require("smpp");

const LIFE_MS = 60000; // whoever is forgotten ends by itself
const plan = JSON.parse(process.argv[2]);
const say = (event, fields) => console.log(JSON.stringify(Object.assign({ event }, fields)));
const submits = {};
const binds = new Set(); // sessions that receive
let next = 1000000001;
let cutAt = 0; // which submit from now on is met with silence and a broken connection
let holding = null; // or submits that wait for their answer

function answer(session, pdu) {
  const id = String(next++);
  submits[id] = pdu;
  say("taken", { id });
  session.send(pdu.response({ message_id: id }));
}

function submitted(session, pdu) {
  const message = pdu.message_payload || pdu.short_message;
  say("submit", {
    source: pdu.source_addr, source_ton: pdu.source_addr_ton, source_npi: pdu.source_addr_npi,
    destination: pdu.destination_addr, destination_ton: pdu.dest_addr_ton, destination_npi: pdu.dest_addr_npi,
    esm_class: pdu.esm_class, data_coding: pdu.data_coding, registered_delivery: pdu.registered_delivery,
    udh: (message.udh || []).map((element) => element.toString("hex")), text: message.message,
  });
  if (cutAt && --cutAt === 0) { server.sessions.slice().forEach((each) => each.destroy()); return; }
  if (holding) { holding.push([session, pdu]); } else { answer(session, pdu); }
}

function bind(session, pdu, receives) {
  if (pdu.password !== plan.password) {
    say("refused", { system_id: pdu.system_id });
    session.send(pdu.response({ command_status: smpp.ESME_RINVPASWD }), () => session.close());
    return;
  }
  if (receives) { binds.add(session); }
  say("bound", { system_id: pdu.system_id, version: pdu.interface_version });
  session.send(pdu.response({ system_id: "node", sc_interface_version: 0x34 }));
}

const server = smpp.createServer((session) => {
  session.on("bind_transceiver", (pdu) => bind(session, pdu, true));
  session.on("bind_receiver", (pdu) => bind(session, pdu, true));
  session.on("bind_transmitter", (pdu) => bind(session, pdu, false));
  session.on("submit_sm", (pdu) => submitted(session, pdu));
  session.on("enquire_link", (pdu) => session.send(pdu.response()));
  session.on("unbind", (pdu) => { say("unbound"); session.send(pdu.response(), () => session.close()); });
  session.on("close", () => { binds.delete(session); say("closed"); });
  session.on("error", (error) => { if (error.code !== "ECONNRESET") { say("error", { message: error.message }); } });
});

function deliver(fields, id) {
  const [session] = binds;
  const addresses = { source_addr_ton: 1, source_addr_npi: 1, dest_addr_ton: 1, dest_addr_npi: 1 };
  session.deliver_sm(Object.assign(addresses, fields), (pdu) => say("acknowledged", { id, status: pdu.command_status }));
}

const orders = {
  receipt({ id, stat }) {
    const done = stat === "DELIVRD";
    deliver({
      source_addr: submits[id].destination_addr, destination_addr: submits[id].source_addr,
      esm_class: smpp.ESM_CLASS.MC_DELIVERY_RECEIPT, data_coding: 0,
      short_message: `id:${id} sub:001 dlvrd:00${done ? 1 : 0} submit date:2611231200 done date:2611231201 `
        + `stat:${stat} err:${done ? "000" : "001"} text:-`,
      receipted_message_id: id, message_state: done ? 2 : 5,
    }, id);
  },
  mo({ source, destination, esm_class, data_coding, octets }) {
    deliver({
      source_addr: source, destination_addr: destination, esm_class, data_coding,
      short_message: Buffer.from(octets, "hex"),
    }, "");
  },
  hold() { holding = holding || []; },
  release() { const held = holding || []; holding = null; held.forEach(([session, pdu]) => answer(session, pdu)); },
  cut({ at }) { cutAt = at; },
};

setTimeout(() => process.exit(3), LIFE_MS);
readline.createInterface({ input: process.stdin })
  .on("line", (line) => { const order = JSON.parse(line); orders[order.do](order); })
  .on("close", () => process.exit(0));
server.listen(plan.port || 0, "127.0.0.1", () => say("listening", { port: server.address().port }));
