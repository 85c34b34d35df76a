// A hookbus plugin without any library, to show how little there is to it: the one of
// docs/protocol.md. NATS is lines of text over TCP. This leaves out credentials, reconnecting (it
// ends, and whatever runs it starts it again) and $SRV.
const NAME = "no-secrets", VERSION = "1.0.0", INSTANCE = `node-${process.pid}`;
const HOOKS = [{ type: "message_received", phase: "mutate", priority: 10 }];
const CALLS = `hookbus.call.${NAME}.message-received`, ANSWERS = `_INBOX.${NAME}.${INSTANCE}`;

function judge({ data: { text } }) {
  if (text.includes("PRIVATE KEY"))
    return { verdict: "block", reason: "contains a private key", code: "secret_found" };
  const clean = text.replace(/\bsk-\w+/g, "[redacted]");
  if (clean === text) return { verdict: "continue" };
  return { verdict: "intercept", patch: [{ op: "replace", path: "/text", value: clean }] };
}

const { hostname, port } = new URL(process.env.HOOKBUS_NATS_URL || "nats://127.0.0.1:4222");
const socket = require("node:net").connect(port || 4222, hostname);
let input = Buffer.alloc(0), announcing;

function publish(subject, reply, members) {
  const body = JSON.stringify({ v: 1, plugin: NAME, version: VERSION, ...members });
  socket.write(`PUB ${subject} ${reply} ${Buffer.byteLength(body)}\r\n${body}\r\n`);
}

function tellRegistry(members) {
  publish(`hookbus.announce.${NAME}`, ANSWERS, { instance: INSTANCE, ...members });
}

function onMessage(subject, reply, body) {
  let message;
  try { message = JSON.parse(body); } catch { return; } // a call that is no JSON has no answer
  if (subject === ANSWERS) {
    clearInterval(announcing);
    console.log(body.toString());
    if (message.state === "gone") socket.end();
  } else if (reply.startsWith("hookbus.reply.")) {
    let verdict = { verdict: "error", reason: "judge failed" };
    try { verdict = judge(message.event); } catch (error) { console.error(error); }
    publish(reply, "", { call: message.call, attempt: message.attempt, ...verdict });
  }
}

socket.on("data", (chunk) => {
  input = Buffer.concat([input, chunk]);
  for (let end; (end = input.indexOf("\r\n")) >= 0; ) {
    const [verb, subject, , ...rest] = input.toString("utf8", 0, end).split(" ");
    // "MSG subject id [reply] size", then the body and another line end
    const next = verb === "MSG" ? end + 4 + Number(rest.pop()) : end + 2;
    if (input.length < next) return; // the rest is still on its way
    const body = input.subarray(end + 2, next - 2);
    input = input.subarray(next);
    if (verb === "MSG") onMessage(subject, rest[0] || "", body);
    if (verb === "PING") socket.write("PONG\r\n");
    if (verb === "PONG") { // answers the PING below: the broker knows our subscriptions
      announcing = setInterval(() => tellRegistry({ hooks: HOOKS }), 2000); // until it is heard
      tellRegistry({ hooks: HOOKS });
    }
  }
});
socket.write('CONNECT {"verbose":false}\r\n');
socket.write(`SUB ${CALLS} ${NAME} 1\r\nSUB ${ANSWERS} 2\r\nPING\r\n`);
socket.on("close", () => process.exit());
process.on("SIGTERM", () => {
  tellRegistry({ goodbye: true });
  setTimeout(() => process.exit(), 2000); // when nobody hears it
});
