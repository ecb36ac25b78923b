// One connection of MQTT.js. What happens is kept in queues, which are waited for.

import { createRequire } from "node:module";
import net from "node:net";

const mqtt = createRequire(`${process.env.WASMQTT_NODE_MODULES}/`)("mqtt");
const PROTOCOLS = {
  "3.1": { protocolId: "MQIsdp", protocolVersion: 3 },
  "3.1.1": { protocolVersion: 4 },
  "5.0": { protocolVersion: 5 },
};
const KINDS = ["puback", "pubrec", "suback", "unsuback", "disconnect"];

/** Ends the process when nothing happens for so long. */
export function patience(what, seconds) {
  setTimeout(() => {
    console.error(`${what}: nothing happens any more`);
    process.exit(1);
  }, seconds * 1000).unref();
}

/** `where` is a port of this machine, or says how to get there: `url` and options, or `socket` and what is sent first. */
function open(where, options) {
  if (typeof where === "number" || typeof where === "string") return mqtt.connect(`mqtt://127.0.0.1:${where}`, options);
  const { url, socket, first, ...rest } = where;
  if (url) return mqtt.connect(url, { ...rest, ...options });
  const builder = () => {
    const stream = net.connect(socket);
    if (first) stream.write(Buffer.from(first, "hex"));
    return stream;
  };
  return new mqtt.MqttClient(builder, options);
}

class Queue {
  items = [];
  waiting = [];

  put(item) {
    const waiting = this.waiting.shift();
    if (waiting) waiting(item);
    else this.items.push(item);
  }

  take() {
    if (this.items.length > 0) return Promise.resolve(this.items.shift());
    return new Promise((resolve) => this.waiting.push(resolve));
  }
}

/** A client with queues instead of events; `code`, `present` and `properties` are those of CONNACK. */
export class User {
  messages = new Queue();
  connected = new Queue();
  /** Packets by their kind. */
  packets = Object.fromEntries(KINDS.map((kind) => [kind, new Queue()]));
  closed = new Queue();

  static async connect(where, version, name, options = {}) {
    const user = new User();
    user.v5 = version === "5.0";
    user.client = open(where, {
      ...PROTOCOLS[version],
      clientId: name,
      reconnectPeriod: 0,
      ...options,
    });
    user.client.on("message", (topic, payload, packet) => user.messages.put({ ...packet, topic, payload }));
    user.client.on("packetreceive", (packet) => user.packets[packet.cmd]?.put(packet));
    user.client.on("close", () => user.closed.put());
    const answer = await new Promise((resolve, reject) => {
      user.client.once("connect", resolve);
      user.client.once("error", (error) => (error.code === undefined ? reject(error) : resolve(error)));
    });
    user.code = answer.code ?? answer.reasonCode ?? answer.returnCode ?? 0;
    user.present = answer.sessionPresent;
    user.properties = answer.properties ?? {};
    user.client.on("connect", (connack) => user.connected.put(connack));
    user.client.on("error", () => {});
    return user;
  }

  /** As `connect`, where CONNECT must be accepted. */
  static async enter(where, version, name, options) {
    const user = await User.connect(where, version, name, options);
    if (user.code !== 0) throw new Error(`CONNACK for ${name}: ${user.code}`);
    return user;
  }

  /** The codes of SUBACK. */
  async subscribe(topics, options = { qos: 2 }) {
    this.client.subscribe(topics, options, () => {});
    return [...(await this.packets.suback.take()).granted];
  }

  /** The codes of UNSUBACK, which only 5.0 has. */
  async unsubscribe(topics) {
    this.client.unsubscribe(topics, () => {});
    return [...((await this.packets.unsuback.take()).granted ?? [])];
  }

  /** The first acknowledgement, PUBACK or PUBREC; none with QoS 0. */
  async publish(topic, payload, options = { qos: 1 }) {
    const done = new Promise((resolve) => this.client.publish(topic, payload, options, resolve));
    const kind = { 1: "puback", 2: "pubrec" }[options.qos];
    const ack = kind && (await this.packets[kind].take());
    await done;
    return ack;
  }

  receive() {
    return this.messages.take();
  }

  /** What most scenarios look at. */
  async message() {
    const { topic, payload, qos, retain } = await this.receive();
    return [topic, payload.toString(), qos, retain];
  }

  async text() {
    return (await this.message())[1];
  }

  /** Nothing has come, and nothing that the broker has in hand is on its way. */
  async hearsNothing() {
    // What waits goes out before the answer to the second request.
    await this.subscribe("quiet", { qos: 0 });
    await this.subscribe("quiet", { qos: 0 });
    const texts = this.messages.items.map((message) => message.payload.toString());
    if (texts.length > 0) throw new Error(`messages: ${texts}`);
  }

  leave(options) {
    return this.client.endAsync(false, options);
  }

  /** Loses the connection without DISCONNECT. */
  vanish() {
    this.client.stream.destroy();
  }
}
