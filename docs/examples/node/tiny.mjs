import { connect } from "@nats-io/transport-node"; // a whole plugin: it signs every response
const NAME = "tiny", ID = crypto.randomUUID(), ME = { v: 1, plugin: NAME, version: "1.0.0" };
const servers = process.env.HOOKBUS_NATS_URL || "nats://127.0.0.1:4222";
const bus = await connect({ servers, inboxPrefix: `_INBOX.${NAME}`, maxReconnectAttempts: -1,
  waitOnFirstConnect: true });
const tell = (what) => bus.request(`hookbus.announce.${NAME}`,
  JSON.stringify({ ...ME, instance: ID, ...what }));
const announce = () => tell({ hooks: [{ type: "response_generated", phase: "mutate" }] })
  .then((answer) => console.log(answer.string()), () => setTimeout(announce, 1000));
const stop = () => tell({ goodbye: true }).catch(console.error).then(() => bus.drain());
const answer = (message, body) => message.respond(JSON.stringify({ ...ME, ...body }));
bus.subscribe(`hookbus.call.${NAME}.response-generated`, { queue: NAME, callback(_, message) {
  try { // what is wrong with one call must not end the next
    const { call, attempt, event: { data } } = message.json();
    if (message.reply.startsWith("hookbus.reply.")) answer(message,
      { call, attempt, verdict: "intercept", merge: { text: `${data.text} (signed)` } });
  } catch (error) { console.error(error); } } }); // no answer is a failure, never a yes
bus.subscribe(`$SRV.PING.${NAME}`, { callback: (_, m) => answer(m, { name: NAME, id: ID }) });
process.once("SIGTERM", stop).once("SIGINT", stop) && await bus.flush().then(announce);
for await (const { type } of bus.status()) if (type === "reconnect") announce();
