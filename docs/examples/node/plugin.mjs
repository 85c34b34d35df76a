// A hookbus plugin with the official NATS client: masks e-mail addresses, blocks private keys.
// docs/protocol.md says what each message means. Run it: node plugin.mjs
import { readFileSync } from "node:fs";
import { connect, nkeyAuthenticator } from "@nats-io/transport-node";
import { traced } from "./traces.mjs";

const NAME = "mask-emails", INSTANCE = crypto.randomUUID();
const ME = { v: 1, plugin: NAME, version: "1.0.0" };
const HOOK = { name: "message-received", type: "message_received", phase: "mutate", priority: 20 };
let config = {}; // what the operator wrote under [plugins.mask-emails.config]
let isStopping = false;

async function judge({ data }) {
  if (data.text.includes("PRIVATE KEY"))
    return { verdict: "block", reason: "contains a private key", code: "secret_found" };
  const text = data.text.replace(/[\w.+-]+@[\w-]+(\.[\w-]+)+/g, config.mask ?? "[email]");
  if (text === data.text) return { verdict: "continue" };
  return { verdict: "intercept", patch: [{ op: "replace", path: "/text", value: text }] };
}

async function onCall(error, message) {
  if (error) return fail(error); // the broker refused the subscription
  if (!message.reply?.startsWith("hookbus.reply.")) return; // only dispatchers are answered
  let call;
  try { call = message.json(); } catch { return; } // what is no JSON has no answer
  let verdict = { verdict: "error", reason: "judge failed" };
  try {
    verdict = await traced(call, () => judge(call.event));
  } catch (error) { console.error(error); }
  message.respond(JSON.stringify({ ...ME, call: call.call, attempt: call.attempt, ...verdict }));
}

function onConfig(error, message) {
  try {
    const said = message.json();
    if (said.v === 1 && said.config) config = said.config;
  } catch { /* what is no JSON is not from the registry */ }
}

function onPing(error, message) {
  const pong = { name: NAME, id: INSTANCE, version: ME.version, metadata: {} };
  if (message.reply?.startsWith("_INBOX."))
    message.respond(JSON.stringify({ type: "io.nats.micro.v1.ping_response", ...pong }));
}

async function tellRegistry(members) {
  const body = JSON.stringify({ ...ME, instance: INSTANCE, ...members });
  return (await bus.request(`hookbus.announce.${NAME}`, body, { timeout: 2000 })).json();
}

async function announce(pause = 250) {
  try {
    const answer = await tellRegistry({ hooks: [HOOK] });
    config = answer.config;
    show(answer);
  } catch { // no registry yet, or no answer: we serve all the same
    if (!isStopping) setTimeout(announce, pause, Math.min(2 * pause, 5000));
  }
}

async function stop() {
  if (isStopping) return;
  isStopping = true;
  setTimeout(() => process.exit(1), 3000).unref(); // the broker is gone and cannot be drained
  await tellRegistry({ goodbye: true }).then(show, () => {}); // not heard: then we are just gone
  await bus.drain();
}

function show(answer) {
  console.log(JSON.stringify(answer));
}

function fail(error) {
  console.error(`${NAME}: ${error.message}`);
  process.exit(1);
}

const { HOOKBUS_CREDS, HOOKBUS_TLS_CA, HOOKBUS_TLS_CERT, HOOKBUS_TLS_KEY } = process.env;
const seed = () => Buffer.from(JSON.parse(readFileSync(HOOKBUS_CREDS)).seed); // may be rotated
const tls = { caFile: HOOKBUS_TLS_CA, certFile: HOOKBUS_TLS_CERT, keyFile: HOOKBUS_TLS_KEY };
const servers = (process.env.HOOKBUS_NATS_URL || "nats://127.0.0.1:4222").split(",");
const isSecret = tls.caFile || tls.certFile || servers.some((url) => url.startsWith("tls://"));
const bus = await connect({
  servers,
  inboxPrefix: `_INBOX.${NAME}`,
  maxReconnectAttempts: -1,
  waitOnFirstConnect: true,
  ...(HOOKBUS_CREDS && { authenticator: nkeyAuthenticator(seed) }),
  ...(isSecret && { tls }),
}).catch(fail);
bus.closed().then((error) => error && fail(error));
process.on("SIGTERM", stop).on("SIGINT", stop);

bus.subscribe(`hookbus.call.${NAME}.${HOOK.name}`, { queue: NAME, callback: onCall });
bus.subscribe(`hookbus.config.${NAME}`, { callback: onConfig });
for (const subject of ["$SRV.PING", `$SRV.PING.${NAME}`, `$SRV.PING.${NAME}.${INSTANCE}`])
  bus.subscribe(subject, { callback: onPing });
await bus.flush(); // the broker knows our subscriptions before anybody calls
await announce();
for await (const { type } of bus.status()) if (type === "reconnect") announce();
