// node-smpp as an ESME: binds, submits each text (long ones with an 8-bit UDH), prints what it is told, unbinds when asked.
"use strict";
const readline = require("readline");
const smpp = require("smpp");

const LIFE_MS = 60000; // whoever is forgotten ends by itself
const GSM_CHARACTERS = 153; // of a part
const UCS2_CHARACTERS = 67;
const RECEIPT = 0x04;
const TYPE_BITS = 0x3c;
const plan = JSON.parse(process.argv[2]);
const say = (event, fields) => console.log(JSON.stringify(Object.assign({ event }, fields)));
const session = smpp.connect({ host: "127.0.0.1", port: plan.port });

function parts(text, reference) {
  const ucs2 = /[^\x00-\x7f]/.test(text);
  const data_coding = ucs2 ? 8 : 0;
  if (text.length <= (ucs2 ? 70 : 160)) { return [{ data_coding, short_message: { message: text } }]; }
  // Cut between UTF-16 units, as most ESMEs do: a surrogate pair may fall apart.
  const size = ucs2 ? UCS2_CHARACTERS : GSM_CHARACTERS;
  const total = Math.ceil(text.length / size);
  return Array.from({ length: total }, (_, index) => ({
    data_coding,
    esm_class: 0x40,
    short_message: {
      udh: Buffer.from([5, 0, 3, reference, total, index + 1]),
      message: text.slice(index * size, (index + 1) * size),
    },
  }));
}

function submit(text, index) {
  for (const part of parts(text, index + 1)) {
    const addresses = {
      source_addr_ton: 1, source_addr_npi: 1, source_addr: plan.source,
      dest_addr_ton: 1, dest_addr_npi: 1, destination_addr: plan.destination, registered_delivery: 1,
    };
    session.submit_sm(Object.assign(addresses, part), (pdu) =>
      say("response", { status: pdu.command_status, id: pdu.message_id || "" }));
  }
}

session.on("connect", () => {
  session.bind_transceiver({ system_id: plan.system_id, password: plan.password }, (pdu) => {
    if (pdu.command_status) { say("refused", { status: pdu.command_status }); return; }
    say("bound");
    plan.texts.forEach(submit);
  });
});
session.on("deliver_sm", (pdu) => {
  session.send(pdu.response());
  const message = pdu.short_message;
  if ((pdu.esm_class & TYPE_BITS) === RECEIPT) {
    say("receipt", { id: pdu.receipted_message_id || "", state: pdu.message_state, text: message.message });
  } else {
    const udh = message.udh ? Buffer.concat([Buffer.from([5]), ...message.udh]).toString("hex") : "";
    say("mo", { source: pdu.source_addr, destination: pdu.destination_addr, udh, text: message.message });
  }
});
session.on("enquire_link", (pdu) => session.send(pdu.response()));
session.on("error", (error) => say("error", { message: error.message }));
session.on("close", () => { say("closed"); process.exit(0); });

setTimeout(() => process.exit(3), LIFE_MS);
readline.createInterface({ input: process.stdin })
  .on("line", () => session.unbind((pdu) => { say("unbound", { status: pdu.command_status }); session.close(); }))
  .on("close", () => session.close());
