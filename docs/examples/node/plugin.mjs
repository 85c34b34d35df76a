// A hookbus plugin with the official NATS client: masks e-mail addresses, blocks private keys.
// docs/protocol.md says what each message means. Run it: node plugin.mjs
import { readFileSync } from "node:fs";
import { connect, nkeyAuthenticator } from "@nats-io/transport-node";

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
  try { verdict = await judge(call.event); } catch (error) { console.error(error); }
  message.respond(JSON.stringify({ ...ME, call: call.call, attempt: call.attempt, ...verdict }));
}

async function tellRegistry(members) {
  const body = JSON.stringify({ ...ME, instance: INSTANCE, ...members });
  return (await bus.request(`hookbus.announce.${NAME}`, body, { timeout: 2000 })).json();
}

async function announce(pause = 250) {
  try {
    const answer = await tellRegistry({ hooks: [HOOK] });
    config = answer.config;
    console.log(JSON.stringify(answer));
  } catch { // no registry yet, or no answer: we serve all the same
    if (!isStopping) setTimeout(announce, pause, Math.min(2 * pause, 5000));
  }
}

async function stop() {
  if (isStopping) return;
  isStopping = true;
  setTimeout(() => process.exit(1), 3000).unref(); // the broker is gone and cannot be drained
  const answer = await tellRegistry({ goodbye: true }).catch(() => null); // null: not heard
  console.log(JSON.stringify(answer));
  await bus.drain();
}

function fail(error) {
  console.error(`${NAME}: ${error.message}`);
  process.exit(1);
}

const { HOOKBUS_CREDS, HOOKBUS_TLS_CA, HOOKBUS_TLS_CERT, HOOKBUS_TLS_KEY } = process.env;
const seed = () => Buffer.from(JSON.parse(readFileSync(HOOKBUS_CREDS)).seed); // may be rotated
const tls = { caFile: HOOKBUS_TLS_CA, certFile: HOOKBUS_TLS_CERT, keyFile: HOOKBUS_TLS_KEY };
const bus = await connect({
  servers: (process.env.HOOKBUS_NATS_URL || "nats://127.0.0.1:4222").split(","),
  inboxPrefix: `_INBOX.${NAME}`,
  maxReconnectAttempts: -1, // for ever: plugin and broker start in any order
  waitOnFirstConnect: true,
  ...(HOOKBUS_CREDS && { authenticator: nkeyAuthenticator(seed) }),
  ...((tls.caFile || tls.certFile) && { tls }),
}).catch(fail);
bus.closed().then((error) => error && fail(error));
process.on("SIGTERM", stop).on("SIGINT", stop);

bus.subscribe(`hookbus.call.${NAME}.${HOOK.name}`, { queue: NAME, callback: onCall });
bus.subscribe(`hookbus.config.${NAME}`, { callback: (_, m) => ({ config } = m.json()) });
const pong = { name: NAME, id: INSTANCE, version: ME.version, metadata: {} };
pong.type = "io.nats.micro.v1.ping_response";
for (const subject of ["$SRV.PING", `$SRV.PING.${NAME}`, `$SRV.PING.${NAME}.${INSTANCE}`])
  bus.subscribe(subject, { callback: (_, message) => message.respond(JSON.stringify(pong)) });
await bus.flush(); // the broker knows our subscriptions before anybody calls
await announce();
for await (const { type } of bus.status()) if (type === "reconnect") announce();
