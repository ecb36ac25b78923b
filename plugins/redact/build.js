// Builds the component: node build.js OUTPUT. Bundling is not needed for two modules of our own;
// componentize-js follows the imports.

import { rename, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { componentize } from "@bytecodealliance/componentize-js";

const output = process.argv[2];
if (output === undefined) {
  console.error("usage: node build.js OUTPUT");
  process.exit(2);
}
const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));

const { component } = await componentize({
  sourcePath: path("src/plugin.js"),
  witPath: path("../../wit"),
  worldName: "transformer",
  // Without them the engine needs no WASI at all.
  disableFeatures: ["stdio", "random", "clocks", "http", "fetch-event"],
});
await writeFile(`${output}.new`, component);
await rename(`${output}.new`, output);
