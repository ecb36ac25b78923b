// Shows a feature with MQTT.js, in one version after the other. Fails with what was not as it should be.
//
//     mqtt_js_features.mjs SCENARIO PORT VERSION...        (3.1, 3.1.1 or 5.0)

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";

import { User, patience } from "./mqtt_js_user.mjs";

const [scenario, port, ...versions] = process.argv.slice(2);
patience(scenario, 240);

const enter = (version, name, options) => User.enter(port, version, name, options);

/** With a session that stays. */
const resume = (version, name, seconds = 300, options = {}) =>
  enter(version, name, {
    clean: false,
    ...options,
    properties: version === "5.0" ? { sessionExpiryInterval: seconds, ...options.properties } : undefined,
  });

async function leaveAll(...users) {
  for (const user of users) await user.leave();
}

async function texts(user, count) {
  const found = [];
  while (found.length < count) found.push(await user.text());
  return found;
}

const numbers = (count) => Array.from({ length: count }, (_, number) => `${number}`);

const scenarios = {
  async qos(version) {
    const [reader, writer] = [await enter(version, "reader"), await enter(version, "writer")];
    for (const granted of [0, 1, 2]) {
      assert.deepEqual(await reader.subscribe(`qos/${granted}`, { qos: granted }), [granted], "SUBACK");
      for (const sent of [0, 1, 2]) {
        await writer.publish(`qos/${granted}`, `${sent}`, { qos: sent });
        assert.deepEqual(await reader.message(), [`qos/${granted}`, `${sent}`, Math.min(sent, granted), false]);
      }
    }
    await leaveAll(reader, writer);
  },

  async retained(version) {
    const [writer, early] = [await enter(version, "writer"), await enter(version, "early")];
    const kept = { qos: 1, retain: true };
    await early.subscribe("kept/+");
    for (const payload of ["first", "second"]) {
      await writer.publish("kept/a", payload, kept);
      assert.deepEqual(await early.message(), ["kept/a", payload, 1, false], "to who was there before");
    }
    const late = await enter(version, "late");
    await late.subscribe("kept/#");
    assert.deepEqual(await late.message(), ["kept/a", "second", 1, true]);
    await writer.publish("kept/a", "", kept);
    assert.deepEqual(await late.message(), ["kept/a", "", 1, false], "the message that clears");
    const after = await enter(version, "after");
    await after.subscribe("kept/#");
    await after.hearsNothing();
    await leaveAll(writer, early, late, after);
  },

  async will(version) {
    const [watcher, clients] = [await enter(version, "watcher"), await enter(version, "clients")];
    const connected = async (number) => {
      while ((await clients.text()) !== `${number}`);
    };
    await watcher.subscribe("will");
    await clients.subscribe("$SYS/broker/clients/connected");
    const will = { topic: "will", payload: "gone", qos: 1, retain: true };
    (await enter(version, "client", { will })).vanish();
    assert.deepEqual(await watcher.message(), ["will", "gone", 1, false]);
    const late = await enter(version, "late");
    await late.subscribe("will");
    assert.deepEqual(await late.message(), ["will", "gone", 1, true]);
    await late.publish("will", "", { qos: 1, retain: true });
    assert.deepEqual([await late.text(), await watcher.text()], ["", ""], "the message that clears");
    await late.leave();
    const polite = await enter(version, "client", { will });
    await connected(3);
    await polite.leave();
    await connected(2);
    await watcher.hearsNothing();
    await leaveAll(watcher, clients);
  },

  async session(version) {
    const writer = await enter(version, "writer");
    const away = await resume(version, "stays");
    assert.equal(Boolean(away.present), false, "session present");
    await away.subscribe("news/#");
    await away.leave();
    for (const number of numbers(10)) {
      await writer.publish(`news/${number % 2}`, number, { qos: 1 + (number % 2) });
    }
    const back = await resume(version, "stays");
    // 3.1 has no word for it.
    if (version !== "3.1") assert.equal(back.present, true, "session present");
    const arrived = [];
    while (arrived.length < 10) arrived.push(await back.message());
    for (const qos of [1, 2]) {
      const own = arrived.filter((message) => message[2] === qos).map((message) => message[1]);
      assert.deepEqual(own, numbers(10).filter((number) => number % 2 === qos - 1), `messages with QoS ${qos}`);
    }
    await back.leave();
    const fresh = await enter(version, "stays");
    assert.equal(Boolean(fresh.present), false, "session present");
    await writer.publish("news/0", "for nobody");
    await fresh.hearsNothing();
    await leaveAll(fresh, writer);
  },

  async filters(version) {
    const [reader, writer] = [await enter(version, "reader"), await enter(version, "writer")];
    const wanted = { "a/+/c": { qos: 0 }, "a/#": { qos: 1 }, "+/b/+": { qos: 2 } };
    assert.deepEqual(await reader.subscribe(wanted, {}), [0, 1, 2], "SUBACK");
    const topics = { "a/b/c": 2, "a/x/c": 1, a: 1, "x/b/y": 2, "x/y/b": undefined, "/b/": 2 };
    for (const [topic, qos] of Object.entries(topics)) {
      await writer.publish(topic, "x", { qos: 2 });
      if (qos !== undefined) assert.deepEqual(await reader.message(), [topic, "x", qos, false], "one copy");
    }
    await reader.hearsNothing();
    const everything = await enter(version, "everything");
    await everything.subscribe("#");
    await writer.publish("any", "x");
    assert.equal((await everything.message())[0], "any", "and no $SYS before");
    assert.deepEqual(await reader.unsubscribe(["a/#", "never"]), reader.v5 ? [0, 0x11] : [], "UNSUBACK");
    await writer.publish("a", "x");
    await reader.hearsNothing();
    await writer.publish("a/x/c", "x", { qos: 2 });
    assert.deepEqual(await reader.message(), ["a/x/c", "x", 0, false], "what is left");
    await leaveAll(reader, writer, everything);
  },

  async shared(version) {
    const members = [];
    for (const name of ["one", "two", "three"]) members.push(await enter(version, name));
    for (const member of members) assert.deepEqual(await member.subscribe("$share/group/jobs/+", { qos: 1 }), [1]);
    const writer = await enter(version, "writer");
    for (const number of numbers(30)) await writer.publish(`jobs/${number % 3}`, number);
    const got = [];
    for (const member of members) {
      await member.subscribe("quiet");
      await member.subscribe("quiet");
      const own = member.messages.items.map((message) => Number(message.payload));
      assert.ok(own.length > 0, "everybody takes part");
      got.push(...own);
    }
    assert.deepEqual(got.sort((a, b) => a - b), numbers(30).map(Number), "each message once");
    await leaveAll(writer, ...members);
  },

  async large(version) {
    const [reader, writer] = [await enter(version, "reader"), await enter(version, "writer")];
    await reader.subscribe("large");
    for (const qos of [0, 1, 2]) {
      const payload = Buffer.alloc(1_000_000, (_) => qos).fill("0123456789", 500);
      await writer.publish("large", payload, { qos });
      assert.ok((await reader.receive()).payload.equals(payload), `a megabyte with QoS ${qos}`);
    }
    await leaveAll(reader, writer);
  },

  async many(version) {
    const [reader, writer] = [await enter(version, "reader"), await enter(version, "writer")];
    await reader.subscribe("many");
    for (const qos of [1, 2]) {
      const done = numbers(300).map((number) => writer.client.publishAsync("many", number, { qos }));
      assert.deepEqual(await texts(reader, 300), numbers(300), `messages with QoS ${qos}`);
      await Promise.all(done);
    }
    await leaveAll(reader, writer);
  },

  async taken(version) {
    const first = await enter(version, "same");
    const second = await enter(version, "same");
    if (first.v5) assert.equal((await first.packets.disconnect.take()).reasonCode, 0x8e, "DISCONNECT");
    await first.closed.take();
    await second.subscribe("alive");
    await second.publish("alive", "x");
    assert.equal(await second.text(), "x");
    await second.leave();
  },

  /** Its connection is lost when the broker is started again, and it comes back by itself. */
  async reconnect(version) {
    const user = await enter(version, "returns", { reconnectPeriod: 200 });
    await user.subscribe("again", { qos: 1 });
    console.log(`ready ${version}`);
    await user.closed.take();
    // Kept until there is a connection.
    const offline = user.client.publishAsync("offline", version, { qos: 1, retain: true });
    await user.connected.take();
    // It subscribes again by itself.
    await user.packets.suback.take();
    await offline;
    await user.subscribe("offline", { qos: 1 });
    assert.deepEqual(await user.message(), ["offline", version, 1, true], "what was published without a connection");
    await user.publish("again", "there");
    assert.equal(await user.text(), "there");
    await user.leave();
  },

  async options(version) {
    const [user, other] = [await enter(version, "user"), await enter(version, "other")];
    const kept = { qos: 1, retain: true };
    assert.deepEqual(await user.subscribe("own", { qos: 1, nl: true }), [1]);
    await user.publish("own", "mine");
    await other.publish("own", "another's");
    assert.equal(await user.text(), "another's", "no local");
    for (const rap of [false, true]) {
      await user.subscribe(`published/${rap}`, { qos: 1, rap });
      await other.publish(`published/${rap}`, "x", kept);
      assert.equal((await user.message())[3], rap, "retain as published");
      await other.publish(`published/${rap}`, "", kept);
      await user.message();
    }
    await other.publish("handling", "kept", kept);
    const [always, isNew, never] = [0, 1, 2];
    for (const [rh, comes] of [[never, false], [isNew, false], [always, true], [always, true], [isNew, false]]) {
      await user.subscribe("handling", { qos: 1, rh });
      if (comes) assert.deepEqual(await user.message(), ["handling", "kept", 1, true], "retain handling");
      await user.hearsNothing();
    }
    await user.unsubscribe("handling");
    await user.subscribe("handling", { qos: 1, rh: isNew });
    assert.equal(await user.text(), "kept", "retain handling of a new subscription");
    await other.publish("handling", "", kept);
    await leaveAll(user, other);
  },

  async identifiers(version) {
    const user = await enter(version, "user");
    for (const [filter, subscriptionIdentifier] of [["a/#", 1], ["a/+", 268435455], ["b", 7]]) {
      await user.subscribe(filter, { qos: 1, properties: { subscriptionIdentifier } });
    }
    for (const [topic, expected] of [["a/b", [1, 268435455]], ["a/b/c", [1]], ["b", [7]]]) {
      await user.publish(topic, "x");
      const found = [(await user.receive()).properties.subscriptionIdentifier].flat();
      assert.deepEqual(found.sort((a, b) => a - b), expected, "identifiers");
    }
    await user.leave();
  },

  /** Whatever goes with a message arrives with it. */
  async content(version) {
    const user = await enter(version, "user");
    await user.subscribe("content");
    const properties = {
      userProperties: { a: ["1", "3"], b: "2" },
      contentType: "text/plain; charset=utf-8",
      responseTopic: "answers/here",
      correlationData: Buffer.from([0, 1, 255]),
      payloadFormatIndicator: true,
    };
    const timed = { ...properties, messageExpiryInterval: 1000 };
    await user.publish("content", "grüezi", { qos: 2, properties: timed });
    const message = await user.receive();
    assert.equal(message.payload.toString(), "grüezi");
    const { messageExpiryInterval, ...found } = message.properties;
    assert.ok(messageExpiryInterval > 900 && messageExpiryInterval <= 1000, "message expiry");
    assert.deepEqual({ ...found, userProperties: { ...found.userProperties } }, properties, "properties");
    const bad = { qos: 1, properties: { payloadFormatIndicator: true } };
    assert.equal((await user.publish("content", Buffer.from([255]), bad)).reasonCode, 0x99, "what is no text");
    await user.leave();
  },

  /** Two responders, and a requester that knows which answer belongs to which request. */
  async request(version) {
    const requester = await enter(version, "requester");
    await requester.subscribe("answers/requester");
    const responders = [];
    for (const number of [0, 1]) {
      const responder = await enter(version, `responder ${number}`);
      await responder.subscribe(`requests/${number}`);
      responders.push(responder);
      const properties = { responseTopic: "answers/requester", correlationData: Buffer.from([number]) };
      await requester.publish(`requests/${number}`, `question ${number}`, { qos: 1, properties });
    }
    for (const responder of responders.toReversed()) {
      const { payload, properties } = await responder.receive();
      const { responseTopic, correlationData } = properties;
      const answer = payload.toString().replace("question", "answer");
      await responder.publish(responseTopic, answer, { qos: 1, properties: { correlationData } });
    }
    for (const number of [1, 0]) {
      const { payload, properties } = await requester.receive();
      assert.deepEqual([payload.toString(), properties.correlationData[0]], [`answer ${number}`, number]);
    }
    await leaveAll(requester, ...responders);
  },

  async expiry(version) {
    const writer = await enter(version, "writer");
    const away = await resume(version, "away");
    await away.subscribe("expiry");
    await away.leave();
    for (const [text, messageExpiryInterval] of [["short", 1], ["long", 100]]) {
      await writer.publish("expiry", text, { qos: 1, properties: { messageExpiryInterval } });
    }
    await writer.publish("expiry/kept", "short", { qos: 1, retain: true, properties: { messageExpiryInterval: 1 } });
    await sleep(2100);
    const back = await resume(version, "away");
    const { payload, properties } = await back.receive();
    assert.equal(payload.toString(), "long");
    assert.ok(properties.messageExpiryInterval >= 1 && properties.messageExpiryInterval <= 98, "what is left");
    await back.subscribe("expiry/kept");
    await back.hearsNothing();
    await leaveAll(back, writer);
  },

  async sessionExpiry(version) {
    const watcher = await enter(version, "watcher");
    await watcher.subscribe("over");
    // Waits for the end of the session.
    const will = { topic: "over", payload: "over", qos: 1, properties: { willDelayInterval: 1000 } };
    const start = performance.now();
    (await resume(version, "client", 2, { will })).vanish();
    assert.equal(await watcher.text(), "over");
    assert.ok(performance.now() - start >= 1990, "not before its time");
    const first = await resume(version, "client", 300, { will });
    assert.equal(first.present, false, "session present");
    const again = await resume(version, "client", 300, { will });
    assert.equal(again.present, true, "session present");
    // DISCONNECT ends it, and leaves the will.
    await again.leave({ reasonCode: 4, properties: { sessionExpiryInterval: 0 } });
    assert.equal(await watcher.text(), "over");
    const last = await resume(version, "client");
    assert.equal(last.present, false, "session present");
    await leaveAll(last, watcher);
  },

  async willDelay(version) {
    const watcher = await enter(version, "watcher");
    await watcher.subscribe("will/+");
    const will = (topic, willDelayInterval) => ({
      topic,
      payload: "gone",
      qos: 1,
      properties: { willDelayInterval, contentType: "text/plain", userProperties: { why: topic } },
    });
    const start = performance.now();
    (await resume(version, "late", 300, { will: will("will/late", 2) })).vanish();
    (await resume(version, "back", 300, { will: will("will/back", 1000) })).vanish();
    await (await resume(version, "back")).leave();
    const message = await watcher.receive();
    assert.deepEqual([message.topic, message.payload.toString()], ["will/late", "gone"]);
    assert.equal(message.properties.contentType, "text/plain");
    assert.equal(message.properties.userProperties.why, "will/late");
    assert.ok(performance.now() - start >= 1990, "not before its time");
    await watcher.hearsNothing();
    await watcher.leave();
  },

  async aliases(version) {
    // It gives out aliases by itself, and resolves those of the broker.
    const writer = await enter(version, "writer", { autoAssignTopicAlias: true });
    const reader = await enter(version, "reader", { properties: { topicAliasMaximum: 2 } });
    await reader.subscribe("alias/#");
    let [sent, received] = [0, 0];
    writer.client.on("packetsend", (packet) => (sent += packet.cmd === "publish" && packet.topic === ""));
    reader.client.on("packetreceive", (packet) => (received += packet.cmd === "publish" && packet.topic === ""));
    for (const number of numbers(40)) {
      const topic = `alias/${number % 2}`;
      await writer.publish(topic, number);
      const message = await reader.receive();
      assert.deepEqual([message.topic, message.payload.toString()], [topic, number]);
    }
    assert.ok(sent >= 30, `${sent} messages without a topic to the broker`);
    assert.ok(received > 0, "no message without a topic from the broker");
    await leaveAll(reader, writer);
  },

  /** What the broker allows: the configuration is that of the test. */
  async limits(version) {
    const user = await enter(version, "", { keepalive: 600 });
    const told = user.properties;
    assert.ok(told.assignedClientIdentifier, "assigned client identifier");
    assert.equal(told.serverKeepAlive, 77, "server keep alive");
    assert.equal(told.receiveMaximum, 5, "receive maximum");
    assert.equal(told.maximumPacketSize, 4096, "maximum packet size");
    assert.equal(told.topicAliasMaximum, 3, "topic alias maximum");
    const topics = ["limits/0", "limits/1", "limits/2", "limits/3"];
    assert.deepEqual(await user.subscribe(topics, { qos: 1 }), [1, 1, 1, 0x97], "SUBACK");
    for (const number of numbers(20)) {
      await user.publish("limits/0", number, { qos: 2 });
      assert.equal(await user.text(), number);
    }
    const other = await enter(version, "");
    assert.notEqual(other.properties.assignedClientIdentifier, told.assignedClientIdentifier);
    // More at once than the broker takes.
    for (const number of numbers(50)) other.client.publish("limits/9", number, { qos: 2 }, () => {});
    assert.equal((await other.packets.disconnect.take()).reasonCode, 0x93, "DISCONNECT");
    const large = await enter(version, "");
    large.client.publish("limits/0", "x".repeat(5000), { qos: 1 }, () => {});
    assert.equal((await large.packets.disconnect.take()).reasonCode, 0x95, "DISCONNECT");
    const longer = await resume(version, "longer", 1000);
    assert.equal(longer.properties.sessionExpiryInterval, 100, "session expiry");
    await leaveAll(user, longer);
  },

  /** What the client allows. */
  async ownLimits(version) {
    const writer = await enter(version, "writer");
    const slow = await enter(version, "slow", { properties: { receiveMaximum: 1, maximumPacketSize: 100 } });
    let [open, most] = [0, 0];
    slow.client.on("packetreceive", (packet) => {
      if (packet.cmd === "publish") most = Math.max(most, ++open);
    });
    slow.client.on("packetsend", (packet) => (open -= packet.cmd === "puback" || packet.cmd === "pubcomp"));
    await slow.subscribe("flow");
    const done = numbers(50).map((number) => writer.client.publishAsync("flow", number, { qos: 1 + (number % 2) }));
    done.push(writer.client.publishAsync("flow", "x".repeat(200), { qos: 1 }));
    done.push(writer.client.publishAsync("flow", "50", { qos: 1 }));
    assert.deepEqual(await texts(slow, 51), numbers(51), "messages, without the one that is too large");
    assert.equal(most, 1, "messages open at a time");
    await Promise.all(done);
    await leaveAll(slow, writer);
  },

  async problemInformation(version) {
    for (const wanted of [false, true]) {
      const properties = { requestProblemInformation: wanted, requestResponseInformation: true };
      const user = await enter(version, "user", { properties });
      // Nobody here gives any.
      assert.equal(user.properties.responseInformation, undefined, "response information");
      const ack = await user.publish("$SYS/mine", "x");
      assert.equal(ack.reasonCode, 0x87, "acknowledgement");
      assert.equal(ack.properties?.reasonString !== undefined, wanted, "reason string");
      await user.leave();
    }
  },

  async codes(version) {
    const user = await enter(version, "user");
    for (const qos of [1, 2]) {
      assert.equal((await user.publish("nobody/wants/it", "x", { qos })).reasonCode, 0x10, "without subscribers");
      assert.equal((await user.publish("$SYS/mine", "x", { qos })).reasonCode, 0x87, "the broker's own topic");
    }
    assert.deepEqual(await user.unsubscribe("never"), [0x11], "UNSUBACK");
    const will = { topic: "$SYS/mine", payload: "x", qos: 0 };
    assert.equal((await User.connect(port, version, "other", { will })).code, 0x87, "CONNACK");
    await user.leave();
  },
};

for (const version of versions) {
  console.log(`${scenario} in ${version}`);
  await scenarios[scenario](version);
}
console.log("ok");
process.exit(0);
