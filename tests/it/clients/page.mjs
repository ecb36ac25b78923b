// A page with MQTT.js, which is there as `mqtt`: it fetches its task, and reports what came of it. Runs in a browser.

const PROTOCOLS = {
  "3.1": { protocolId: "MQIsdp", protocolVersion: 3 },
  "3.1.1": { protocolVersion: 4 },
  "5.0": { protocolVersion: 5 },
};

function check(found, expected, what) {
  const [f, e] = [JSON.stringify(found), JSON.stringify(expected)];
  if (f !== e) throw new Error(`${what}: ${f} instead of ${e}`);
}

/** One connection; messages wait in a queue until they are asked for. */
class User {
  messages = [];
  waiting = [];
  closed = 0;

  static enter(url, version, name) {
    const user = new User();
    const client = mqtt.connect(url, { ...PROTOCOLS[version], clientId: name, reconnectPeriod: 0 });
    user.client = client;
    client.on("message", (topic, payload, { qos, retain }) => {
      const message = [topic, payload.toString(), qos, retain];
      const waiting = user.waiting.shift();
      if (waiting) waiting(message);
      else user.messages.push(message);
    });
    client.on("close", () => user.closed++);
    return new Promise((resolve, reject) => {
      client.once("connect", () => resolve(user));
      client.once("error", reject);
      client.once("close", () => reject(new Error(`${name} is not let in`)));
    });
  }

  message() {
    if (this.messages.length > 0) return Promise.resolve(this.messages.shift());
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  publish(topic, payload, options) {
    return this.client.publishAsync(topic, payload, options);
  }
}

/** Messages of every QoS, a long one and a retained one; `moved` is where the broker moves topics to. */
async function exchange({ name, pub, sub }, moved) {
  for (const qos of [0, 1, 2]) {
    await pub.publish(`page/${name}`, `m${qos}`, { qos });
    check(await sub.message(), [`${moved}/${name}`, `m${qos}`, qos, false], name);
  }
  // Longer than a frame of what lies below.
  const long = "x".repeat(200_000);
  await pub.publish(`page/${name}`, long, { qos: 2 });
  check((await sub.message())[1].length, long.length, name);
  await pub.publish(`page/${name}`, "kept", { qos: 1, retain: true });
  check(await sub.message(), [`${moved}/${name}`, "kept", 1, false], name);
}

async function kept({ url, version, name }, moved) {
  const late = await User.enter(url, version, `late-${name}`);
  await late.client.subscribeAsync(`${moved}/${name}`, { qos: 2 });
  check(await late.message(), [`${moved}/${name}`, "kept", 1, true], name);
  await late.client.endAsync();
}

/** Connects all ways in all versions; all of them stay connected across a reload. */
async function ways({ urls, before, after }) {
  const pairs = [];
  for (const url of urls) {
    for (const version of Object.keys(PROTOCOLS)) {
      const name = `${new URL(url).protocol.slice(0, -1)}-${version}`;
      const sub = await User.enter(url, version, `sub-${name}`);
      const pub = await User.enter(url, version, `pub-${name}`);
      await sub.client.subscribeAsync([`${before}/${name}`, `${after}/${name}`], { qos: 2 });
      pairs.push({ url, version, name, sub, pub });
    }
  }
  for (const pair of pairs) await exchange(pair, before);
  for (const pair of pairs) await kept(pair, before);
  // Answered when the broker has changed its plugins.
  await fetch("/reloaded");
  for (const pair of pairs) await exchange(pair, after);
  for (const pair of pairs) await kept(pair, after);
  for (const { sub, pub, name } of pairs) check([sub.closed, pub.closed], [0, 0], `${name} was closed`);
  for (const { sub, pub } of pairs) await Promise.all([sub.client.endAsync(), pub.client.endAsync()]);
}

/** Is let in nowhere. */
async function refused({ urls }) {
  for (const url of urls) {
    const user = await User.enter(url, "5.0", "refused").catch(() => null);
    check(user, null, url);
  }
}

let outcome = "ok";
try {
  const task = await (await fetch("/task")).json();
  await { ways, refused }[task.kind](task);
} catch (error) {
  outcome = `${error.stack ?? error}`;
}
await fetch("/report", { method: "POST", body: outcome });
