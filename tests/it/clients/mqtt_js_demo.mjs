// Talks to the demo configuration with MQTT.js. Fails with what was not as it should be.
//
//     mqtt_js_demo.mjs SCENARIO 3|5 PORT        (3: MQTT 3.1.1)

import assert from "node:assert/strict";

import { User, patience } from "./mqtt_js_user.mjs";

const [scenario, version, port] = process.argv.slice(2);
const v5 = version === "5";
const NAME = v5 ? "5.0" : "3.1.1";
patience(scenario, 120);

// What 5.0 alone can say.
const europe = v5 ? { userProperties: { region: "eu", other: "kept" } } : undefined;
const moved = v5 ? "routed/eu/devices/alice/temp" : "devices/alice/temp";

const login = (name, options) => [port, NAME, name, { username: name, password: "secret", ...options }];
const connect = (name, options) => User.connect(...login(name, options));
const enter = (name, options) => User.enter(...login(name, options));

/** The code of SUBACK. */
const subscribe = async (user, topic) => (await user.subscribe(topic))[0];

/** The code of PUBACK or PUBREC; that nobody wanted it is no error. */
async function publish(user, topic, payload, options) {
  const code = (await user.publish(topic, payload, options))?.reasonCode ?? 0;
  return code < 0x80 ? 0 : code;
}

/** A message as most scenarios look at it. */
async function receive(user) {
  const { topic, payload, qos, retain, properties } = await user.receive();
  return { topic, payload: payload.toString(), qos, retain, properties: { ...properties?.userProperties } };
}

async function reader() {
  const user = await enter(v5 ? "bob" : "alice");
  assert.equal(await subscribe(user, v5 ? "routed/#" : "devices/alice/#"), 2, "SUBACK");
  return user;
}

const scenarios = {
  async routing() {
    const bob = await reader();
    // 3.1.1 cannot say where to: it reads and writes as alice, in one connection.
    const alice = v5 ? await enter("alice") : bob;
    for (const qos of [0, 1, 2]) {
      for (const number of [0, 1, 2, 3, 4]) {
        const payload = `${qos}.${number}`;
        const code = await publish(alice, "devices/alice/temp", payload, { qos, properties: europe });
        assert.equal(code, 0, "acknowledgement");
        const message = await receive(bob);
        const properties = v5 ? { region: "eu", other: "kept" } : {};
        assert.deepEqual(message, { topic: moved, payload, qos, retain: false, properties });
      }
    }
    await bob.leave();
    if (v5) await alice.leave();
  },

  async refusals() {
    const [wrong, foreign] = v5 ? [0x86, 0x87] : [4, 5];
    assert.equal((await connect("alice", { password: "wrong" })).code, wrong, "wrong password");
    assert.equal((await connect("eve")).code, wrong, "unknown user");
    const will = { topic: "devices/bob/will", payload: "x", qos: 1, retain: false };
    assert.equal((await connect("alice", { will })).code, foreign, "foreign will");
    const [alice, bob] = [await enter("alice"), await enter("bob")];
    const refused = v5 ? 0x87 : 0x80;
    assert.equal(await subscribe(alice, "devices/bob/#"), refused, "SUBACK for a foreign topic");
    assert.equal(await subscribe(alice, "#"), refused, "SUBACK for everything");
    assert.equal(await subscribe(bob, "devices/bob/#"), 2, "SUBACK");
    for (const qos of [1, 2]) {
      const code = await publish(alice, "devices/bob/temp", "foreign", { qos });
      assert.equal(code, v5 ? 0x87 : 0, "acknowledgement of a foreign topic");
    }
    if (v5) {
      const properties = { userProperties: { region: "+" } };
      const code = await publish(alice, "devices/alice/temp", "x", { qos: 1, properties });
      assert.equal(code, 0x90, "acknowledgement of a wildcard");
    }
    await publish(bob, "devices/bob/own", "own", { qos: 1 });
    assert.equal((await receive(bob)).topic, "devices/bob/own", "and nothing before");
    await alice.leave();
    await bob.leave();
  },

  async retained() {
    const alice = await enter("alice");
    const options = { qos: 1, retain: true, properties: europe };
    assert.equal(await publish(alice, "devices/alice/temp", "kept", options), 0, "acknowledgement");
    await alice.leave();
    const bob = await reader();
    const message = await receive(bob);
    assert.deepEqual([message.topic, message.payload, message.retain], [moved, "kept", true]);
    await bob.leave();
  },

  async will() {
    const name = v5 ? "alice" : "bob";
    const topic = `devices/${name}/status`;
    const properties = v5 ? { userProperties: { region: "eu" } } : undefined;
    const will = { topic, payload: "gone", qos: 1, retain: true, properties };
    const leaving = await enter(name, { will });
    leaving.vanish();
    const bob = await enter("bob");
    assert.equal(await subscribe(bob, v5 ? "routed/#" : "devices/bob/#"), 2, "SUBACK");
    const message = await receive(bob);
    assert.deepEqual([message.topic, message.payload], [v5 ? `routed/eu/${topic}` : topic, "gone"]);
    await bob.leave();
  },

  async many() {
    const bob = await reader();
    const alice = v5 ? await enter("alice") : bob;
    const codes = [];
    for (let number = 0; number < 500; number++) {
      codes.push(publish(alice, "devices/alice/temp", `${number}`, { qos: 1, properties: europe }));
    }
    for (let number = 0; number < 500; number++) {
      assert.equal((await receive(bob)).payload, `${number}`, "message");
    }
    assert.ok((await Promise.all(codes)).every((code) => code === 0), "acknowledgement");
    await bob.leave();
    if (v5) await alice.leave();
  },
};

await scenarios[scenario]();
console.log("ok");
process.exit(0);
