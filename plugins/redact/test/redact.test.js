// The editing of JSON text, without wasm.

import assert from "node:assert/strict";
import test from "node:test";

import { compile, redact } from "../src/redact.js";

const cut = (text, ...paths) => redact(text, compile(paths.map((path) => path.split("."))));
const put = (text, replacement, ...paths) =>
  redact(text, compile(paths.map((path) => path.split("."))), replacement);

test("a field is removed and everything else arrives as it was sent", () => {
  const cases = [
    ['{"a":1,"p":2,"b":3}', '{"a":1,"b":3}'],
    ['{"p":2,"b":3}', '{"b":3}'],
    ['{"a":1,"p":2}', '{"a":1}'],
    ['{"p":2}', "{}"],
    ['{"p":1,"p":2}', "{}"],
    ['{"p":1,"a":0,"p":2,"p":3}', '{"a":0}'],
    ['{"a":0,"p":2,"p":3,"b":1}', '{"a":0,"b":1}'],
    ['{ "a" : 1 ,\n "p" : { "x" : [ 1 , { "p" : 2 } ] } }', '{ "a" : 1 }'],
    ['{"a":"\\\\","p":"\\\\\\"","b":"\\""}', '{"a":"\\\\","b":"\\""}'],
    ['{"p":"}, \\"a\\": [","a":"p"}', '{"a":"p"}'],
    ['{"\\u0070":1,"a":2}', '{"a":2}'],
    ['{"a":12345678901234567890,"p":1,"b":1.10}', '{"a":12345678901234567890,"b":1.10}'],
    ['{"a":{"p":1}}', '{"a":{"p":1}}'],
    ['{"a":"p"}', '{"a":"p"}'],
    ['["p",{"p":1}]', '["p",{}]'],
    ['"p"', '"p"'],
    ["null", "null"],
    ["[]", "[]"],
    ["{}", "{}"],
  ];
  for (const [text, expected] of cases) assert.equal(cut(text, "p"), expected, text);
});

test("a dotted path leads into objects, and through arrays to each element", () => {
  const cases = [
    ['{"l":{"lat":1,"lon":2},"lat":3}', '{"l":{"lon":2},"lat":3}'],
    ['{"l":[{"lat":1},{"lon":2,"lat":3},[{"lat":4}]]}', '{"l":[{},{"lon":2},[{}]]}'],
    ['{"l":5,"x":{"l":{"lat":1}}}', '{"l":5,"x":{"l":{"lat":1}}}'],
    ['[{"l":{"lat":1}}]', '[{"l":{}}]'],
  ];
  for (const [text, expected] of cases) assert.equal(cut(text, "l.lat"), expected, text);
  const both = '{"l":{"lat":1,"lon":2},"p":3,"q":4}';
  assert.equal(cut(both, "l.lat", "p"), '{"l":{"lon":2},"q":4}');
  assert.equal(cut(both, "l.lat", "l"), '{"p":3,"q":4}');
  assert.equal(cut(both, "l", "l.lat"), '{"p":3,"q":4}');
});

test("a value is replaced where the configuration says with what", () => {
  assert.equal(put('{"p" : {"p":1} ,"a":{"p":2}}', '"***"', "p"), '{"p" : "***" ,"a":{"p":2}}');
  assert.equal(put('{"a":[{"p":1},{"p":[2]}],"p":3}', "null", "a.p"), '{"a":[{"p":null},{"p":null}],"p":3}');
});

test("a text that has none of the fields comes back as the same string", () => {
  const text = '{"a":1}';
  assert.equal(cut(text, "p"), text);
  assert.equal(put('{"p":"***"}', '"***"', "p"), '{"p":"***"}');
});

test("what is not JSON is an error", () => {
  for (const text of ["", "{", '{"p":1,}', "{'p':1}", "p", '{"p":1}x', '{"p":01}']) {
    assert.throws(() => cut(text, "p"), SyntaxError, text);
  }
});

test("names that objects inherit are names like any other", () => {
  assert.equal(cut('{"__proto__":1,"a":2}', "constructor", "toString"), '{"__proto__":1,"a":2}');
  assert.equal(cut('{"__proto__":1,"a":2}', "__proto__"), '{"a":2}');
  assert.equal(cut('{"__proto__":{"p":1}}', "__proto__.p"), '{"__proto__":{}}');
});

test("random documents lose the same fields as their parsed form", () => {
  // A small generator with a fixed seed, so that a failure comes back.
  let seed = 7;
  const random = (n) => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return Math.floor((seed / 2147483648) * n);
  };
  const value = (depth) => {
    const kind = random(depth > 3 ? 4 : 7);
    if (kind === 0) return random(100) - 50.5;
    if (kind === 1) return ['"', "\\", "p", ",}", "é\n", "]"][random(6)];
    if (kind === 2) return [true, false, null][random(3)];
    if (kind === 3) return "";
    const size = random(4);
    if (kind === 4) return Array.from({ length: size }, () => value(depth + 1));
    return Object.fromEntries(
      Array.from({ length: size }, () => ["abp\"l"[random(5)], value(depth + 1)]),
    );
  };
  const without = (document, fields) => {
    if (Array.isArray(document)) return document.map((element) => without(element, fields));
    if (document === null || typeof document !== "object") return document;
    return Object.fromEntries(
      Object.entries(document)
        .filter(([name]) => fields?.get(name) !== null)
        .map(([name, inner]) => [name, without(inner, fields?.get(name))]),
    );
  };
  const fields = compile([["p"], ["l", "p"], ["a", "b", "l"], ['"']]);
  let changed = 0;
  for (let round = 0; round < 5000; round += 1) {
    const document = value(0);
    const text = JSON.stringify(document, null, [undefined, 1, "\t"][random(3)]);
    const redacted = redact(text, fields);
    assert.deepEqual(JSON.parse(redacted), without(document, fields.root), text);
    changed += redacted !== text;
  }
  assert.ok(changed > 500, `${changed}`);
});
