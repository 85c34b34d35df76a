"""OpenTelemetry, where it is installed (extra ``[otel]``): what of hookbus goes to a collector.

environment  which signal is exported where, by the standard ``OTEL_*`` variables
variables    what of the others the SDK cannot use, and would not say
posts        how exporters post: no answer is read without end
losses       what did not arrive, said at the end
ending       shutting down within seconds, whatever the collector does
setup        the SDK set up for a role or a plugin, and ended with it
resource     what a process calls itself
traces       spans to a collector
metrics      metrics to a collector
dispatches   the spans of a dispatch and of its calls, written from recorded times
emits        the span around an emit
guard        what a tracer raises ends there
handlers     the span around a plugin's handler

Only these modules import ``opentelemetry``, and none before it is needed.
"""
