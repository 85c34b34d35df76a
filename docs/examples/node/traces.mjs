// The span around a plugin's handler, sent to a collector by OTLP over HTTP as JSON: no package is
// needed for it. docs/traces.md says what a span of hookbus has on it.
import { randomBytes } from "node:crypto";

const { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_SERVICE_NAME } = process.env;
const SERVER = 2, ERROR = { code: 2 }; // words of OTLP

// A call has the `traceparent` of its dispatch only if the trace is sampled; without, nothing is.
export async function traced(call, handle) {
  const [, traceId, parentSpanId] = call.traceparent?.split("-") ?? [];
  if (!traceId || !endpoint) return handle();
  const span = {
    traceId, parentSpanId, spanId: randomBytes(8).toString("hex"),
    name: `handle ${call.plugin}`, kind: SERVER, startTimeUnixNano: now(),
  };
  const said = {
    "messaging.system": "nats", "messaging.operation.name": "handle",
    "messaging.operation.type": "process", "cloudevents.event_id": call.event.id,
    "cloudevents.event_type": call.event.type, "hookbus.plugin": call.plugin,
    "hookbus.hook": call.hook, "hookbus.phase": call.phase,
  };
  try {
    const verdict = await handle();
    said["hookbus.verdict"] = verdict.verdict;
    return verdict;
  } catch (error) { // its text may quote the event, its class does not
    Object.assign(span, { status: ERROR });
    said["error.type"] = error?.constructor?.name ?? "Error";
    throw error;
  } finally {
    send(call.plugin, { ...span, endTimeUnixNano: now(), attributes: attributes(said) });
  }
}

function send(plugin, span) {
  const resource = { attributes: attributes({ "service.name": OTEL_SERVICE_NAME || plugin }) };
  const scopeSpans = [{ scope: { name: "hookbus" }, spans: [span] }];
  fetch(`${endpoint.replace(/\/$/, "")}/v1/traces`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ resourceSpans: [{ resource, scopeSpans }] }),
    signal: AbortSignal.timeout(1500), // a collector that says nothing holds nobody up
  }).then((answer) => answer.arrayBuffer()).catch(() => {}); // no trace is worth a verdict
}

function attributes(said) {
  return Object.entries(said).map(([key, text]) => ({ key, value: { stringValue: String(text) } }));
}

function now() {
  return String(BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000)) * 1000n);
}
