// The catapult-era SDK sends a picture to one, two pictures to one, and a picture to a group; prints the ids as JSON.
"use strict";
const Bandwidth = require("node-bandwidth");
const [baseUrl, from, to, other, applicationId, ...media] = process.argv.slice(2);
const client = new Bandwidth({ userId: "u-demo", apiToken: "t-demo", apiSecret: "s-demo", baseUrl });
const send = (fields) => client.v2.Message.send(Object.assign({ from, text: "Hey, check this out!", applicationId }, fields));

Promise.all([
  send({ to: [to], media: media.slice(0, 1) }),
  send({ to: [to], media }),
  send({ to: [to, other], media: media.slice(0, 1) }),
]).then((sent) => console.log(JSON.stringify(sent.map((message) => message.id))))
  .catch((error) => { console.error(error); process.exit(1); });
