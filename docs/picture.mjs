// Draw concepts.dot: node docs/picture.mjs > docs/concepts.svg
// Needs `npm install @viz-js/viz@3.31.0`, Graphviz as WebAssembly.
import { readFileSync } from "node:fs";
import { instance } from "@viz-js/viz";

const source = readFileSync(new URL("concepts.dot", import.meta.url), "utf8");
const graphviz = await instance();
process.stdout.write(graphviz.renderString(source, { format: "svg", engine: "neato" }));
