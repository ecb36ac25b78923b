// Logs in with MQTT.js by SCRAM-SHA-256, once with the right password, once with a wrong one.
//
//     mqtt_js_scram.mjs PORT

import assert from "node:assert/strict";
import { createHash, createHmac, pbkdf2Sync } from "node:crypto";
import { createRequire } from "node:module";

const mqtt = createRequire(`${process.env.WASMQTT_NODE_MODULES}/`)("mqtt");
const [port] = process.argv.slice(2);
const METHOD = "SCRAM-SHA-256";

setTimeout(() => {
  console.error("nothing happens any more");
  process.exit(1);
}, 120_000).unref();

const hmac = (key, text) => createHmac("sha256", key).update(text).digest();

/** A client's side of RFC 5802. */
class Scram {
  constructor(password, nonce) {
    this.password = password;
    this.bare = `n=user,r=${nonce}`;
  }

  first() {
    return Buffer.from(`n,,${this.bare}`);
  }

  last(challenge) {
    const text = challenge.toString();
    const part = (name) => text.split(",").find((part) => part.startsWith(name)).slice(name.length);
    const salt = Buffer.from(part("s="), "base64");
    const salted = pbkdf2Sync(this.password, salt, Number(part("i=")), 32, "sha256");
    const clientKey = hmac(salted, "Client Key");
    const withoutProof = `c=biws,r=${part("r=")}`;
    const message = `${this.bare},${text},${withoutProof}`;
    const signature = hmac(createHash("sha256").update(clientKey).digest(), message);
    const proof = Buffer.from(clientKey.map((byte, at) => byte ^ signature[at]));
    this.expected = `v=${hmac(hmac(salted, "Server Key"), message).toString("base64")}`;
    return Buffer.from(`${withoutProof},p=${proof.toString("base64")}`);
  }
}

/** Resolves to CONNACK, or rejects with the error of the connection. */
function enter(scram) {
  const client = mqtt.connect(`mqtt://127.0.0.1:${port}`, {
    protocolVersion: 5,
    clientId: "mqtt.js",
    reconnectPeriod: 0,
    properties: { authenticationMethod: METHOD, authenticationData: scram.first() },
  });
  client.handleAuth = (packet, answer) => {
    if (packet.reasonCode === 0x18) {
      const properties = {
        authenticationMethod: METHOD,
        authenticationData: scram.last(packet.properties.authenticationData),
      };
      answer(undefined, { cmd: "auth", reasonCode: 0x18, properties });
    } else {
      client.emit("renewed", packet);
    }
  };
  return new Promise((resolve, reject) => {
    client.once("connect", (connack) => resolve({ client, connack }));
    client.once("error", reject);
  });
}

const scram = new Scram("pencil", "first");
const { client, connack } = await enter(scram);
assert.equal(connack.properties.authenticationMethod, METHOD);
assert.equal(connack.properties.authenticationData.toString(), scram.expected, "the broker's signature");

// A new message goes on meanwhile.
await client.subscribeAsync("a", { qos: 1 });
const message = new Promise((resolve) => client.once("message", (_, payload) => resolve(`${payload}`)));
const renewed = new Promise((resolve) => client.once("renewed", resolve));
client._writePacket
  ? client._writePacket({
      cmd: "auth",
      reasonCode: 0x19,
      properties: { authenticationMethod: METHOD, authenticationData: scram.first() },
    })
  : assert.fail("MQTT.js has another way to send AUTH");
await client.publishAsync("a", "x", { qos: 1 });
assert.equal(await message, "x");
const done = await renewed;
assert.equal(done.reasonCode ?? 0, 0);
assert.equal(done.properties.authenticationData.toString(), scram.expected, "the broker's signature");
await client.endAsync();

await assert.rejects(enter(new Scram("pencils", "second")), (error) => error.code === 0x86);
console.log("ok");
