// node build.js WORLD OUTPUT: plugin.js and a JavaScript engine, as a component.

import { writeFile } from "node:fs/promises";
import { componentize } from "@bytecodealliance/componentize-js";

const [worldName, output] = process.argv.slice(2);
const { component } = await componentize({
  sourcePath: "plugin.js",
  witPath: "wit",
  worldName,
  // Without these the component imports nothing but the contract.
  disableFeatures: ["stdio", "random", "clocks", "http", "fetch-event"],
});
await writeFile(output, component);
