// Talks to the demo configuration with MQTT.js. Fails with what was not as it should be.
//
//     mqtt_js.mjs SCENARIO 3|5 PORT        (3: MQTT 3.1.1)

import assert from "node:assert/strict";
import { createRequire } from "node:module";

const mqtt = createRequire(`${process.env.WASMQTT_NODE_MODULES}/`)("mqtt");
const [scenario, version, port] = process.argv.slice(2);
const v5 = version === "5";
const PATIENCE = 30_000;

setTimeout(() => {
  console.error(`${scenario}: nothing happens any more`);
  process.exit(1);
}, PATIENCE).unref();

// What 5.0 alone can say.
const europe = v5 ? { userProperties: { region: "eu", other: "kept" } } : undefined;
const moved = v5 ? "routed/eu/devices/alice/temp" : "devices/alice/temp";

/** One connection; `code` is that of CONNACK. */
class User {
  static async connect(name, options = {}) {
    const user = new User();
    user.waiting = [];
    user.messages = [];
    user.client = mqtt.connect(`mqtt://127.0.0.1:${port}`, {
      protocolVersion: v5 ? 5 : 4,
      clientId: name,
      username: name,
      password: "secret",
      reconnectPeriod: 0,
      ...options,
    });
    user.client.on("message", (topic, payload, packet) => {
      const message = { topic, payload: payload.toString(), qos: packet.qos, retain: packet.retain };
      message.properties = { ...packet.properties?.userProperties };
      const waiting = user.waiting.shift();
      if (waiting) waiting(message);
      else user.messages.push(message);
    });
    user.code = await new Promise((resolve, reject) => {
      user.client.once("connect", () => resolve(0));
      user.client.once("error", (error) => (error.code === undefined ? reject(error) : resolve(error.code)));
    });
    user.client.on("error", () => {});
    return user;
  }

  static async enter(name, options) {
    const user = await User.connect(name, options);
    assert.equal(user.code, 0, `CONNACK for ${name}`);
    return user;
  }

  /** The code of SUBACK. */
  subscribe(topic, qos = 2) {
    return new Promise((resolve) => {
      this.client.subscribe(topic, { qos }, (error, granted) => {
        resolve(error ? error.packet.granted[0] : granted[0].qos);
      });
    });
  }

  /** The code of PUBACK or PUBREC; 0 is anything below 0x80. */
  publish(topic, payload, options) {
    return new Promise((resolve) => {
      this.client.publish(topic, payload, options, (error) => resolve(error ? error.code : 0));
    });
  }

  message() {
    if (this.messages.length > 0) return Promise.resolve(this.messages.shift());
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  leave() {
    return this.client.endAsync();
  }
}

async function reader() {
  const user = await User.enter(v5 ? "bob" : "alice");
  assert.equal(await user.subscribe(v5 ? "routed/#" : "devices/alice/#"), 2, "SUBACK");
  return user;
}

const scenarios = {
  async routing() {
    const bob = await reader();
    // 3.1.1 cannot say where to: it reads and writes as alice, in one connection.
    const alice = v5 ? await User.enter("alice") : bob;
    for (const qos of [0, 1, 2]) {
      for (const number of [0, 1, 2, 3, 4]) {
        const payload = `${qos}.${number}`;
        const code = await alice.publish("devices/alice/temp", payload, { qos, properties: europe });
        assert.equal(code, 0, "acknowledgement");
        const message = await bob.message();
        const properties = v5 ? { region: "eu", other: "kept" } : {};
        assert.deepEqual(message, { topic: moved, payload, qos, retain: false, properties });
      }
    }
    await bob.leave();
    if (v5) await alice.leave();
  },

  async refusals() {
    const [wrong, foreign] = v5 ? [0x86, 0x87] : [4, 5];
    assert.equal((await User.connect("alice", { password: "wrong" })).code, wrong, "wrong password");
    assert.equal((await User.connect("eve")).code, wrong, "unknown user");
    const will = { topic: "devices/bob/will", payload: "x", qos: 1, retain: false };
    assert.equal((await User.connect("alice", { will })).code, foreign, "foreign will");
    const [alice, bob] = [await User.enter("alice"), await User.enter("bob")];
    const refused = v5 ? 0x87 : 0x80;
    assert.equal(await alice.subscribe("devices/bob/#"), refused, "SUBACK for a foreign topic");
    assert.equal(await alice.subscribe("#"), refused, "SUBACK for everything");
    assert.equal(await bob.subscribe("devices/bob/#"), 2, "SUBACK");
    for (const qos of [1, 2]) {
      const code = await alice.publish("devices/bob/temp", "foreign", { qos });
      assert.equal(code, v5 ? 0x87 : 0, "acknowledgement of a foreign topic");
    }
    if (v5) {
      const properties = { userProperties: { region: "+" } };
      const code = await alice.publish("devices/alice/temp", "x", { qos: 1, properties });
      assert.equal(code, 0x90, "acknowledgement of a wildcard");
    }
    await bob.publish("devices/bob/own", "own", { qos: 1 });
    assert.equal((await bob.message()).topic, "devices/bob/own", "and nothing before");
    await alice.leave();
    await bob.leave();
  },

  async retained() {
    const alice = await User.enter("alice");
    const options = { qos: 1, retain: true, properties: europe };
    assert.equal(await alice.publish("devices/alice/temp", "kept", options), 0, "acknowledgement");
    await alice.leave();
    const bob = await reader();
    const message = await bob.message();
    assert.deepEqual([message.topic, message.payload, message.retain], [moved, "kept", true]);
    await bob.leave();
  },

  async will() {
    const name = v5 ? "alice" : "bob";
    const topic = `devices/${name}/status`;
    const properties = v5 ? { userProperties: { region: "eu" } } : undefined;
    const will = { topic, payload: "gone", qos: 1, retain: true, properties };
    const leaving = await User.enter(name, { will });
    leaving.client.stream.destroy();
    const bob = await User.enter("bob");
    assert.equal(await bob.subscribe(v5 ? "routed/#" : "devices/bob/#"), 2, "SUBACK");
    const message = await bob.message();
    assert.deepEqual([message.topic, message.payload], [v5 ? `routed/eu/${topic}` : topic, "gone"]);
    await bob.leave();
  },

  async many() {
    const bob = await reader();
    const alice = v5 ? await User.enter("alice") : bob;
    const codes = [];
    for (let number = 0; number < 500; number++) {
      codes.push(alice.publish("devices/alice/temp", `${number}`, { qos: 1, properties: europe }));
    }
    for (let number = 0; number < 500; number++) {
      assert.equal((await bob.message()).payload, `${number}`, "message");
    }
    assert.ok((await Promise.all(codes)).every((code) => code === 0), "acknowledgement");
    await bob.leave();
    if (v5) await alice.leave();
  },
};

await scenarios[scenario]();
console.log("ok");
process.exit(0);
