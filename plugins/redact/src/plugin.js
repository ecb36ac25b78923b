// Transformation: removes named fields from JSON payloads before anyone sees them.
//
//   [plugin.config]
//   fields = ["password", "location.lat"]   # dotted paths from the root; through arrays as well
//   filters = ["sensors/#"]                 # optional: only these topics
//   replace_with = "***"                    # optional: any value to put in place of a removed one
//   on_invalid = "reject"                   # or "forward": payloads that are not JSON in UTF-8
//
// A name that holds a dot is written as a list: fields = [["a.b", "c"]]. The JavaScript engine needs
// limits = { memory = "128MiB", call = "100ms" } in the plugin's table.

import { compile, redact } from "./redact.js";

const KEYS = ["fields", "filters", "replace_with", "on_invalid"];

const decoder = new TextDecoder("utf-8", { fatal: true });
const encoder = new TextEncoder();

let fields;
let replacement;
let onInvalid;

/** The interface `lifecycle`: what is thrown here refuses the load and is read by the operator. */
export const lifecycle = {
  init(json) {
    const config = JSON.parse(json || "{}");
    for (const key of Object.keys(config)) {
      if (!KEYS.includes(key)) throw `unknown key "${key}"; there are ${KEYS.join(", ")}`;
    }
    fields = compile(parseFields(config.fields));
    replacement =
      config.replace_with === undefined ? undefined : JSON.stringify(config.replace_with);
    onInvalid = config.on_invalid ?? "reject";
    if (onInvalid !== "reject" && onInvalid !== "forward") {
      throw 'on_invalid: must be "reject" or "forward"';
    }
    const filters = config.filters ?? [];
    if (!Array.isArray(filters) || !filters.every((filter) => typeof filter === "string")) {
      throw "filters: must be a list of MQTT topic filters";
    }
    if (config.filters?.length === 0) {
      throw "filters: matches no topic; leave it out to redact every topic";
    }
    return {
      authorize: {},
      // An empty payload holds no field, and clears a retained message.
      onPublish: [{ filters, userProperty: undefined, minPayload: 1, maxPayload: undefined }],
      onDeliver: [],
      events: [],
      tickEvery: 0,
    };
  },
};

/** The interface `transformation`. */
export const transformation = {
  onPublish(message) {
    let text;
    let redacted;
    try {
      text = decoder.decode(message.payload());
      redacted = redact(text, fields, replacement);
    } catch {
      return onInvalid === "forward" ? { tag: "forward" } : invalid();
    }
    if (redacted !== text) message.setPayload(encoder.encode(redacted));
    return { tag: "forward" };
  },

  // Not registered for.
  onDeliver() {
    return { tag: "forward" };
  },
};

function parseFields(list) {
  if (!Array.isArray(list) || list.length === 0) {
    throw 'fields: name the fields to remove, for example ["password", "location.lat"]';
  }
  return list.map((field, index) => {
    const path = typeof field === "string" ? field.split(".") : field;
    const good =
      Array.isArray(path) &&
      path.length > 0 &&
      path.every((name) => typeof name === "string" && name !== "");
    if (!good) {
      throw `fields: number ${index + 1} is no path; write "a.b" or ["a", "b"]`;
    }
    return path;
  });
}

function invalid() {
  const reason = "the payload is not JSON in UTF-8";
  return { tag: "reject", val: { code: 0x99, reason, userProperties: [] } };
}
