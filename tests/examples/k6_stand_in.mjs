// Runs the first iteration of a k6 script in Node.js and prints, as JSON, what it connects to and sends.
//
//     REQUEST=request.json node k6_stand_in.mjs /absolute/path/of/tag.js
//
// It stands in for k6's own modules, and says nothing about how k6 runs the script.
import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";

const calls = [];
globalThis.k6Calls = calls;
globalThis.__ENV = process.env;
globalThis.open = (path) => readFileSync(path, "utf8");

const MODULES = {
  k6: `export const check = (value, checks) => Object.values(checks).every((holds) => holds(value));`,
  "k6/execution": `export default { vu: { iterationInInstance: 0 } };`,
  "k6/metrics": `export class Rate { add(value) { globalThis.k6Calls.push({ rate: value }); } }`,
  "k6/net/grpc": `
    class Client {
      connect(...given) { globalThis.k6Calls.push({ connect: given }); }
      invoke(...given) { globalThis.k6Calls.push({ invoke: given }); return { status: 0, message: {} }; }
    }
    export default { Client, StatusOK: 0, StatusResourceExhausted: 8 };`,
};

registerHooks({
  resolve: (name, context, next) =>
    name in MODULES ? { url: `k6:${name}`, format: "module", shortCircuit: true } : next(name, context),
  load: (url, context, next) =>
    url.startsWith("k6:")
      ? { format: "module", source: MODULES[url.slice("k6:".length)], shortCircuit: true }
      : next(url, context),
});

const { default: iteration, options } = await import(process.argv[2]);
iteration();
console.log(JSON.stringify({ options, calls }));
