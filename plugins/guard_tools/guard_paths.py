"""Which paths are forbidden, however they are written. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import lru_cache
from urllib.parse import unquote

#: ``~`` is anybody's home, ``**`` any number of folders; a match forbids what is below, too.
CREDENTIALS = (
    "**/.ssh",
    "**/.gnupg",
    "**/.aws/credentials",
    "**/.aws/sso",
    "**/.azure",
    "**/.config/gcloud",
    "**/.config/gh/hosts.yml",
    "**/.kube/config",
    "**/.docker/config.json",
    "**/.netrc",
    "**/_netrc",
    "**/.pgpass",
    "**/.my.cnf",
    "**/.git-credentials",
    "**/.npmrc",
    "**/.pypirc",
    "**/.vault-token",
    "**/.env",
    "**/.env.*",
    "**/.envrc",
    "**/id_rsa",
    "**/id_dsa",
    "**/id_ecdsa",
    "**/id_ed25519",
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/gshadow",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/etc/kubernetes/admin.conf",
    "/run/secrets",
    "/var/run/secrets",
    "/proc/*/environ",
    "/proc/*/mem",
)
#: names of files that look like the ones above and hold no secret.
HARMLESS = ("*.pub", ".env.example", ".env.sample", ".env.template", ".env.dist")

#: characters of a path and of a name in it, beyond which no system opens it.
MAX_PATH = 4096
MAX_NAME = 256

_HOMES = re.compile(r"(?:/home/[^/]+|/users/[^/]+|/root|~[\w.-]*|\$\{?home\}?)(?=/|$)")
_PROCESS_ROOT = re.compile(r"/proc/(?:self|thread-self|\d+|\$\w*)/(?:root|cwd)(?=/|$)")
_GLOB = re.compile(r"[*?\[]")


def normalise(path: str) -> str:
    """Return *path* as patterns see it: decoded, absolute or relative, home as ``~``, lower case.

    ``/home/alice/../bob//.ssh`` → ``~/.ssh``; ``..`` at the start of a relative path may lead
    anywhere and is read as the root.
    """
    for _ in range(3):  # a path that is encoded three times over is nobody's accident
        path = unquote(path)
    path = path.split("\0")[0].strip().replace("\\", "/").lower().removeprefix("file://localhost")
    path = path.removeprefix("file://")
    if path.startswith(("~", "$home", "${home}")):
        path = _HOMES.sub("/home/user", path, count=1)
    path = posixpath.normpath(re.sub(r"/{2,}", "/", path)) if path else ""
    path = _PROCESS_ROOT.sub("", path, count=1) or "/"
    if path.startswith("../") or path == "..":
        outside = re.sub(r"^(?:\.\./?)+", "/", path)
        path = path if outside == "/" else outside
    return _HOMES.sub("~", path, count=1) if path.startswith("/") else path


def forbidden(path: str, patterns: Iterable[str], allowed: Iterable[str] = ()) -> str | None:
    """Return the pattern that forbids *path*, None when it may be used."""
    place = normalise(path)
    parts = place.split("/")
    if not place or len(place) > MAX_PATH or any(fnmatchcase(parts[-1], name) for name in HARMLESS):
        return None
    if any(_matches(pattern, parts) for pattern in allowed):
        return None
    return next((pattern for pattern in patterns if _matches(pattern, parts)), None)


def _matches(pattern: str, parts: list[str]) -> bool:
    """Tell whether *pattern* matches *parts*, or a folder above them."""
    expected = _expected(pattern)
    literal = expected[-1]
    if literal not in parts and not _is_glob(literal) and not any(map(_GLOB.search, parts)):
        return False  # the usual case, by far
    if expected[0] != "**":
        return _matches_at(expected, parts, 0)
    rest = expected[1:]
    return any(_matches_at(rest, parts, start) for start in range(len(parts) - len(rest) + 1))


@lru_cache(maxsize=1024)
def _expected(pattern: str) -> tuple[str, ...]:
    text = pattern.lower() if pattern.startswith("**") else normalise(pattern)
    return tuple(text.split("/"))


@lru_cache(maxsize=1024)
def _is_glob(expected: str) -> bool:
    return _GLOB.search(expected) is not None


def _matches_at(expected: tuple[str, ...], parts: list[str], start: int) -> bool:
    last = start + len(expected) - 1
    if last >= len(parts) or not all(
        _same(part, parts[start + index]) for index, part in enumerate(expected)
    ):
        return False
    # a glob in the path itself, /???/sh?dow: with two letters of its own it means this file
    own = parts[last]
    return not _GLOB.search(own) or len(re.sub(r"\[[^\]]*\]|[*?]", "", own)) >= 2


def _same(expected: str, part: str) -> bool:
    if expected == part:
        return True
    if _is_glob(expected) and fnmatchcase(part, expected):
        return True
    if not _GLOB.search(part):
        return False
    hides = expected.startswith(".") and part.startswith(("*", "?"))  # * leaves dot files out
    return not hides and len(part) < MAX_NAME and fnmatchcase(expected, part)


def is_inside(path: str, folder: str) -> bool:
    """Tell whether *path*, read from *folder* when it is relative, is *folder* or below it."""
    for _ in range(3):
        path = unquote(path)
    path = path.replace("\\", "/").removeprefix("file://")
    if path.startswith(("~", "$")):
        return False
    root = posixpath.normpath(folder)
    full = posixpath.normpath(posixpath.join(root, path))
    return full == root or full.startswith(root.rstrip("/") + "/")
