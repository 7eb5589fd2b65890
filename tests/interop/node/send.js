// The catapult-era SDK sends one message, then one that is refused; prints what it understood as JSON.
"use strict";
const Bandwidth = require("node-bandwidth");
const [baseUrl, from, to, applicationId] = process.argv.slice(2);
const client = new Bandwidth({ userId: "u-demo", apiToken: "t-demo", apiSecret: "s-demo", baseUrl });
const send = (fields) => client.v2.Message.send(Object.assign({ from, to: [to], text: "Hello from node", applicationId }, fields));

send({ tag: "node" })
  .then((message) => send({ to: ["+1invalid"] })
    .then(() => ({ message, error: null }), (error) => ({ message, error: { statusCode: error.statusCode, message: error.message } })))
  .then((result) => console.log(JSON.stringify(result)))
  .catch((error) => { console.error(error); process.exit(1); });
