"""One trace from an emitter over dispatch into plugins, exported by each process by itself."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.docs.page import NODE
from tests.docs.story import demand_node
from tests.integration.commands import Bus, Process, clean_environment, plugin, running, up
from tests.otlp import Collector, Span

pytestmark = pytest.mark.usefixtures("nats_server_program")

NPM_TIMEOUT = 120.0  # seconds; it is a registry far away
SECRET = "correct-horse-battery"
SETTINGS = """
trace_sampling = 1
[types.message_received]
secret = ["/password"]
[types.judged_once]
[plugins.mask-emails.hooks.message-received]
type = "message_received"
phase = "mutate"
timeout_ms = 3000
"""
PYTHON = """
from hookbus import Block, Intercept, Plugin

plugin = Plugin("guard", version="1.0.0")

@plugin.hook("message_received", phase="validate", timeout_ms=3000)
async def judge(event):
    await plugin.emit("judged_once", {"of": event.id})
    if event.data["text"] == "no":
        return Block(reason=f"says {event.data['password']}", code=event.data["password"])

@plugin.hook("message_received", phase="observe", name="watch")
async def watch(event):
    pass

plugin.run()
"""
#: A service with a tracer of its own; it emits in a span of its own, and prints the decision.
SERVICE = """
import asyncio, json, sys
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from hookbus import Emitter

provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)

async def main():
    async with Emitter.connect(source="/chat") as bus:
        with trace.get_tracer("chat").start_as_current_span("answer the user"):
            decision = await bus.emit("message_received", json.loads(sys.argv[1]), timeout=5)
    print(json.dumps([decision.id, decision.outcome, decision.trace_id]))

asyncio.run(main())
provider.shutdown()
"""


@dataclass
class Traced:
    """A bus all of whose processes export to one collector."""

    bus: Bus
    collector: Collector
    folder: Path

    def emit(self, data: Any) -> tuple[str, str, str]:
        """Emit as a service with a tracer; return the decision's id, outcome and trace."""
        script = self.folder / "service.py"
        script.write_text(SERVICE)
        done = subprocess.run(
            [sys.executable, str(script), json.dumps(data)],
            env=clean_environment(
                HOOKBUS_NATS_URL=self.bus.url, OTEL_SERVICE_NAME="chat", **self.collector.environ
            ),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        decision, outcome, trace = json.loads(done.stdout)
        return decision, outcome, trace


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    folder = tmp_path_factory.mktemp("traces")
    (folder / "hookbus.toml").write_text(SETTINGS)
    with (
        Collector() as collector,
        up(folder, "--no-bundled", "--settings", "hookbus.toml", **collector.environ) as bus,
        plugin(bus, folder, "guard", PYTHON, **collector.environ),
    ):
        yield Traced(bus, collector, folder)


@pytest.fixture(scope="module")
def node(traced: Traced) -> Iterator[Process]:
    """The plugin of docs/examples/node. No npm skips, but not in CI."""
    demand_node()
    folder = traced.folder / "node"
    shutil.copytree(NODE, folder)
    command = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund"]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=NPM_TIMEOUT, check=False
    )
    assert done.returncode == 0, done.stderr
    environ = {"HOOKBUS_NATS_URL": traced.bus.url, **traced.collector.environ}
    with running(["node", str(folder / "plugin.mjs")], folder, **environ) as process:
        assert json.loads(process.line())["state"] == "bound"
        traced.bus.wait_served()
        yield process


def place(span: Span) -> tuple[str, str]:
    return (span.service, span.kind)


def within(inner: Span, outer: Span) -> bool:
    """Clocks of one machine; Node's has microseconds only, and starts of its own."""
    slack = 5_000_000  # nanoseconds
    return outer.begins - slack <= inner.begins and inner.ends <= outer.ends + slack


def test_one_trace_from_the_emitter_over_dispatch_into_a_python_and_a_node_plugin(
    traced: Traced, node: Process
) -> None:
    decision, outcome, trace = traced.emit({"text": "write to ann@example.org", "password": SECRET})

    spans = traced.collector.named(
        *("answer the user", "emit message_received", "dispatch message_received"),
        *("call mask-emails", "handle mask-emails", "call guard", "handle guard"),
        *("emit judged_once", "dispatch judged_once", "observe guard"),
    )
    dispatch = spans["dispatch message_received"]
    assert outcome == "intercept"
    below = {name: (place(span), span.parent) for name, span in spans.items()}
    assert below == {
        "answer the user": (("chat", "INTERNAL"), ""),
        "emit message_received": (("chat", "CLIENT"), spans["answer the user"].id),
        "dispatch message_received": (
            ("hookbus-dispatcher", "SERVER"),
            spans["emit message_received"].id,
        ),
        "call mask-emails": (("hookbus-dispatcher", "CLIENT"), dispatch.id),
        "handle mask-emails": (("mask-emails", "SERVER"), dispatch.id),
        "call guard": (("hookbus-dispatcher", "CLIENT"), dispatch.id),
        "handle guard": (("guard", "SERVER"), dispatch.id),
        "emit judged_once": (("guard", "CLIENT"), spans["handle guard"].id),
        "dispatch judged_once": (("hookbus-dispatcher", "SERVER"), spans["emit judged_once"].id),
        "observe guard": (("guard", "CONSUMER"), ""),
    }
    observed = spans.pop("observe guard")
    assert {span.trace for span in spans.values()} == {trace}
    assert observed.links == ((trace, dispatch.id),)
    assert observed.trace != trace
    for name in ("call mask-emails", "call guard", "handle guard"):
        assert within(spans[name], dispatch), name
    assert spans["call mask-emails"].ends <= spans["call guard"].begins
    assert not any(span.is_error for span in spans.values())

    said = dispatch.attributes
    assert said["hookbus.decision"] == observed.attributes["hookbus.decision"] == decision
    assert (said["hookbus.outcome"], said["hookbus.principal"]) == ("intercept", "anonymous")
    assert said["cloudevents.event_source"] == "/chat"
    assert said["messaging.destination.name"] == "hookbus.emit.anonymous.message_received"
    called, handled = spans["call mask-emails"], spans["handle mask-emails"]
    assert called.attributes["hookbus.verdict"] == handled.attributes["hookbus.verdict"]
    assert called.attributes["hookbus.changed"] == 1
    assert spans["handle guard"].attributes["hookbus.verdict"] == "continue"
    assert spans["emit message_received"].attributes["hookbus.decision"] == decision

    explained = json.loads(traced.bus.run("decisions", "explain", trace, "--json").stdout)
    shown = traced.bus.run("decisions", "explain", decision).stdout
    assert trace in json.dumps(explained)
    assert trace in shown


def test_no_secret_leaves_in_a_span(traced: Traced) -> None:
    _, outcome, _ = traced.emit({"text": "no", "password": SECRET})

    spans = traced.collector.named("dispatch message_received", "handle guard")
    assert outcome == "block"
    assert spans["dispatch message_received"].attributes["hookbus.by"] == "guard"
    assert spans["dispatch message_received"].attributes["hookbus.code"] != SECRET
    assert not any(SECRET.encode() in body for _, body in traced.collector.bodies)
