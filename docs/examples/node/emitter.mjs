// A hookbus emitter with the official NATS client. Run it: node emitter.mjs TYPE DATA
// It prints one line of JSON, {"outcome": "continue", "data": …}; docs/protocol.md has the words.
import { readFileSync } from "node:fs";
import { connect, nkeyAuthenticator } from "@nats-io/transport-node";

const SOURCE = "/node-example", TIMEOUT_MS = 1000;
const { HOOKBUS_CREDS, HOOKBUS_TLS_CA, HOOKBUS_TLS_CERT, HOOKBUS_TLS_KEY } = process.env;
const credentials = HOOKBUS_CREDS && JSON.parse(readFileSync(HOOKBUS_CREDS));
const principal = credentials?.principal ?? (process.env.HOOKBUS_PRINCIPAL || "anonymous");

function open() {
  const tls = { caFile: HOOKBUS_TLS_CA, certFile: HOOKBUS_TLS_CERT, keyFile: HOOKBUS_TLS_KEY };
  const servers = (process.env.HOOKBUS_NATS_URL || "nats://127.0.0.1:4222").split(",");
  const isSecret = tls.caFile || tls.certFile || servers.some((url) => url.startsWith("tls://"));
  return connect({
    servers,
    inboxPrefix: `_INBOX.${principal}`,
    ...(credentials && { authenticator: nkeyAuthenticator(Buffer.from(credentials.seed)) }),
    ...(isSecret && { tls }),
  });
}

// Every way in which it can end has an outcome; who goes on only on "continue" and "intercept",
// with the data that comes with it, is safe.
async function emit(bus, type, data) {
  const id = crypto.randomUUID();
  const event = { specversion: "1.0", id, source: SOURCE, type, hbtimeoutms: TIMEOUT_MS, data };
  const subject = `hookbus.emit.${principal}.${type}`;
  const reply = await bus.request(subject, JSON.stringify(event), { timeout: TIMEOUT_MS });
  const body = reply.json();
  if (reply.headers?.has("Nats-Service-Error-Code")) {
    const { code, message, pointer } = body.error;
    if (code !== "unavailable") return { outcome: "refused", code, message, pointer };
    throw new Error(message);
  }
  if (body.v !== 1 || body.event?.id !== id) throw new Error("not the decision of this event");
  if (body.outcome === "continue") return { outcome: "continue", data };
  if (body.outcome === "intercept" && "data" in body)
    return { outcome: "intercept", data: body.data };
  if (body.outcome === "block")
    return { outcome: "block", code: body.code, message: body.message, decision: body.id };
  throw new Error(`unknown outcome ${body.outcome}`);
}

const [type, data] = [process.argv[2], JSON.parse(process.argv[3])];
let bus, result;
try {
  bus = await open();
  result = await emit(bus, type, data);
} catch (error) { // no broker, nobody there, no answer in time, or what answered is no decision
  result = { outcome: "unavailable", message: error.message };
}
console.log(JSON.stringify(result));
await bus?.close();
