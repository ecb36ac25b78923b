// MQTT.js on every way to the broker: node mqtt_js_ways.mjs WAY VERSION..., where WAY is JSON that says how to get there.

import { patience, User } from "./mqtt_js_user.mjs";

const [way, ...versions] = process.argv.slice(2);
const where = JSON.parse(way);

function check(found, expected, what) {
  const [f, e] = [JSON.stringify(found), JSON.stringify(expected)];
  if (f !== e) throw new Error(`${what}: ${f} instead of ${e}`);
}

async function show(version) {
  const sub = await User.enter(where, version, `js-sub-${version}`);
  const will = { topic: "ways/will", payload: "gone", qos: 1, retain: false };
  const pub = await User.enter(where, version, `js-pub-${version}`, { will });
  check(await sub.subscribe("ways/#"), [2], "granted");
  for (const qos of [0, 1, 2]) {
    await pub.publish("ways/qos", `m${qos}`, { qos });
    check(await sub.message(), ["ways/qos", `m${qos}`, qos, false], version);
  }
  // Larger than a frame, a record and a read.
  const large = "x".repeat(200_000);
  await pub.publish("ways/large", large, { qos: 2 });
  check((await sub.text()).length, large.length, "length");
  await pub.publish("ways/kept", "kept", { qos: 1, retain: true });
  check(await sub.message(), ["ways/kept", "kept", 1, false], version);
  const late = await User.enter(where, version, `js-late-${version}`);
  await late.subscribe("ways/kept");
  check(await late.message(), ["ways/kept", "kept", 1, true], version);
  await late.leave();
  await pub.publish("ways/kept", "", { qos: 1, retain: true });
  check(await sub.text(), "", "cleared");
  pub.vanish();
  check(await sub.message(), ["ways/will", "gone", 1, false], version);
  await sub.leave();
}

patience(way, 100);
for (const version of versions) await show(version);
console.log("ok");
process.exit(0);
