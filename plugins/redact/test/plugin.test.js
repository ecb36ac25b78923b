// The plugin as the broker sees it, with a message that stands in for the broker's own.

import assert from "node:assert/strict";
import test from "node:test";

import { lifecycle, transformation } from "../src/plugin.js";

function message(payload) {
  const bytes = typeof payload === "string" ? new TextEncoder().encode(payload) : payload;
  return {
    set: undefined,
    payload: () => bytes,
    setPayload(payload) {
      this.set = new TextDecoder().decode(payload);
    },
  };
}

const init = (config) => lifecycle.init(JSON.stringify(config));

test("the fields are gone before anyone sees the message", () => {
  init({ fields: ["password", "location.lat"] });
  const it = message('{"id":7,"password":"x","location":{"lat":1,"lon":2}}');
  assert.deepEqual(transformation.onPublish(it), { tag: "forward" });
  assert.equal(it.set, '{"id":7,"location":{"lon":2}}');
});

test("a payload without the fields is not set", () => {
  init({ fields: ["password"] });
  const it = message('{"id": 7}');
  assert.deepEqual(transformation.onPublish(it), { tag: "forward" });
  assert.equal(it.set, undefined);
});

test("a payload that is not JSON is rejected with 0x99, or forwarded when the operator says so", () => {
  const bad = [message("{"), message("plain"), message(Uint8Array.of(0x22, 0xff, 0x22))];
  init({ fields: ["password"] });
  for (const it of bad) {
    const verdict = transformation.onPublish(it);
    assert.equal(verdict.tag, "reject");
    assert.equal(verdict.val.code, 0x99);
    assert.ok(verdict.val.reason);
    assert.deepEqual(verdict.val.userProperties, []);
  }
  init({ fields: ["password"], on_invalid: "forward" });
  for (const it of bad) assert.deepEqual(transformation.onPublish(it), { tag: "forward" });
  assert.ok(bad.every((it) => it.set === undefined));
});

test("a value is put in the place of what is removed when the operator says so", () => {
  init({ fields: ["password", ["a.b", "c"]], replace_with: { hidden: true } });
  const it = message('{"password":1,"a.b":{"c":2}}');
  transformation.onPublish(it);
  assert.equal(it.set, '{"password":{"hidden":true},"a.b":{"c":{"hidden":true}}}');
});

test("it asks for messages with a payload on the configured topics, and for nothing else", () => {
  const selector = { filters: [], userProperty: undefined, minPayload: 1, maxPayload: undefined };
  const registration = { authorize: {}, onDeliver: [], events: [], tickEvery: 0 };
  assert.deepEqual(init({ fields: ["a"] }), { ...registration, onPublish: [selector] });
  assert.deepEqual(init({ fields: ["a"], filters: ["x/#"] }), {
    ...registration,
    onPublish: [{ ...selector, filters: ["x/#"] }],
  });
});

test("a bad configuration is refused with words for the operator", () => {
  const cases = [
    [{}, /^fields: name the fields/],
    [{ fields: [] }, /^fields: name the fields/],
    [{ fields: ["a", "b..c"] }, /^fields: number 2 is no path/],
    [{ fields: [7] }, /^fields: number 1 is no path/],
    [{ fields: [[]] }, /^fields: number 1 is no path/],
    [{ fields: ["a"], filters: [] }, /^filters: matches no topic/],
    [{ fields: ["a"], filters: "x" }, /^filters: must be a list/],
    [{ fields: ["a"], on_invalid: "drop" }, /^on_invalid: must be/],
    [{ fields: ["a"], feilds: [] }, /^unknown key "feilds"/],
  ];
  for (const [config, expected] of cases) {
    assert.throws(() => init(config), (thrown) => expected.test(thrown), JSON.stringify(config));
  }
});
