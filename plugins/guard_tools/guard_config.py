"""What the operator of guard-tools may choose. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from shell_wrappers import SHELLS


class InvalidConfig(ValueError):
    """The operator's ``[plugins.guard-tools.config]`` cannot be used."""


@dataclass(frozen=True, slots=True)
class Config:
    """The rules beside the built-in ones.

    Attributes:
        deny_commands: a program and words that must follow in this order, ``terraform destroy``.
        deny_paths: patterns as in :data:`guard_paths.CREDENTIALS`, which always hold.
        allow_paths: exceptions from all of them.
        deny_hosts: names, ``*.name``, addresses or networks; the strongest of the host lists.
        allow_hosts: exceptions from the built-in host rules.
        only_allowed_hosts: what *allow_hosts* does not name is forbidden.
        command_args, path_args, url_args: which arguments hold what; ``_``, ``-`` and case are
            ignored.
        workspace: absolute; what *write_tools* and commands write must be in it.
        write_tools: names of tools, with ``*``.
    """

    deny_commands: tuple[str, ...] = ()
    deny_paths: tuple[str, ...] = ()
    allow_paths: tuple[str, ...] = ()
    deny_hosts: tuple[str, ...] = ()
    allow_hosts: tuple[str, ...] = ()
    only_allowed_hosts: bool = False
    command_args: tuple[str, ...] = (
        "command",
        "commands",
        "cmd",
        "command_line",
        "shell_command",
        "script",
        *sorted(SHELLS),
    )
    path_args: tuple[str, ...] = (
        *("path", "paths", "file", "files", "file_path", "file_paths", "filename", "filepath"),
        *("dir", "directory", "folder", "cwd", "source", "destination", "src", "dst"),
        *("notebook_path", "target_file", "old_path", "new_path"),
    )
    url_args: tuple[str, ...] = (
        *("url", "urls", "uri", "href", "link", "endpoint", "base_url", "webhook_url", "host"),
    )
    workspace: str | None = None
    write_tools: tuple[str, ...] = (
        *("write*", "edit*", "create*", "delete*", "move*", "multiedit", "notebookedit"),
        *("*_write", "*_edit", "append*", "save*", "str_replace*"),
    )

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Config:
        """Read the plugin's configuration; what is missing is the default.

        Raises:
            InvalidConfig: If a key is unknown or a value is not what it must be.
        """
        known = {field.name for field in fields(cls)}
        for key in config:
            if key not in known:
                raise InvalidConfig(
                    f"{key}: unknown key, expected one of {', '.join(sorted(known))}"
                )
        return cls(**{key: _value(key, value) for key, value in config.items()})


def _value(key: str, value: Any) -> Any:
    if key == "only_allowed_hosts":
        if isinstance(value, bool):
            return value
        raise InvalidConfig(f"{key}: expected true or false, got {value!r}")
    if key == "workspace":
        if isinstance(value, str) and posixpath.isabs(value):
            return value
        raise InvalidConfig(f"{key}: expected an absolute path, got {value!r}")
    if isinstance(value, list | tuple) and all(isinstance(v, str) and v.strip() for v in value):
        return tuple(value)
    raise InvalidConfig(f"{key}: expected a list of texts that are not empty, got {value!r}")
