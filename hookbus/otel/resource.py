"""What a process calls itself in its telemetry."""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry.sdk.resources import Resource

SERVICE_NAME = "service.name"
SERVICE_VERSION = "service.version"


def resource_of(service: str, version: str, environ: Mapping[str, str]) -> Resource:
    """The SDK's own, with our name and version where no variable gives others."""
    said = environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    names = {pair.partition("=")[0].strip() for pair in said.split(",")}
    if environ.get("OTEL_SERVICE_NAME"):
        names.add(SERVICE_NAME)
    ours = {SERVICE_NAME: service, SERVICE_VERSION: version}
    return Resource.create({name: text for name, text in ours.items() if name not in names})
