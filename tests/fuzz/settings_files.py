"""Settings files: any bytes are read, or refused in words; what is read can be bound and served."""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random
from typing import Any, ClassVar

from hookbus.config.flatten import flatten
from hookbus.config.load import load_settings
from hookbus.errors import HookbusError, SettingsError
from hookbus.registry.applied import digest_of
from hookbus.registry.binder import bind
from hookbus.registry.policy import Overrides
from hookbus.snapshot import Snapshot, decode_document, encode_document
from tests.flow.bus import Bus
from tests.fuzz import hostile
from tests.fuzz.inputs import Input, parts
from tests.fuzz.settings_trees import toml
from tests.fuzz.watching import Finding, Watch


class SettingsFiles:
    """Hostile files, and variables of the environment beside them."""

    name: ClassVar[str] = "settings"

    def __init__(self, bus: Bus, watch: Watch) -> None:
        pass

    @staticmethod
    def make(random: Random) -> dict[str, Any]:
        body = hostile.damaged(random, toml(random).encode("utf-8", "surrogatepass"))
        if random.random() < 0.1:
            body = bytes(random.randrange(256) for _ in range(random.randrange(40)))
        names = (
            "HOOKBUS_TIMEOUT_MS",
            "HOOKBUS_MODE",
            "HOOKBUS_MAX_DEPTH",
            "HOOKBUS_TRACE_SAMPLING",
        )
        values = (
            "",
            "1",
            "nan",
            "inf",
            "9" * 5_000,
            "0x10",
            " 7 ",
            "1e400",
            "production",
            "٣",
            "1_0",
        )
        count = random.choice((0, 0, 1, 2))
        environ = {name: random.choice(values) for name in random.sample(names, count)}
        return {"body": parts(body), "environ": environ}

    async def start(self) -> None:
        pass

    async def feed(self, fed: Input) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "hookbus.toml"
            file.write_bytes(fed.data("body"))
            self._read(file, fed.get("environ", {}))

    def _read(self, file: Path, environ: dict[str, str]) -> None:
        try:
            settings = load_settings(file, environ)
        except SettingsError as refusal:
            if not str(refusal) or len(str(refusal)) > 100_000:
                raise Finding(f"refused in {len(str(refusal))} characters") from refusal
            return
        except Exception as e:
            raise Finding(f"neither read nor refused: {type(e).__name__}: {str(e)[:200]}") from e
        try:
            list(flatten(settings))
            digest_of(settings)
            bound = bind({}, settings, Overrides(), 0.0)
            document = bound.document
            if bound.problems:
                return  # said so
            Snapshot.of(1, decode_document(encode_document(document)))
        except HookbusError:
            return  # in words of ours
        except Exception as e:
            raise Finding(f"read, but cannot be served: {type(e).__name__}: {str(e)[:300]}") from e
