// The catapult-era SDK uploads a file to the first version's media store, lists, downloads and deletes it; prints JSON.
"use strict";
const Bandwidth = require("node-bandwidth");
const [baseUrl] = process.argv.slice(2);
const client = new Bandwidth({ userId: "u-demo", apiToken: "t-demo", apiSecret: "s-demo", baseUrl });
const name = "folder/cat 1.txt";

client.Media.upload(name, Buffer.from("a picture of a cat"), "text/plain")
  .then(() => client.Media.list())
  .then((listed) => client.Media.download(name)
    .then((downloaded) => client.Media.delete(name)
      .then(() => client.Media.list())
      .then((left) => console.log(JSON.stringify({
        listed, type: downloaded.contentType, content: downloaded.content.toString(), left,
      })))))
  .catch((error) => { console.error(error); process.exit(1); });
