"""Which hosts are forbidden, however they are written. Pure: no name is looked up."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Iterable
from fnmatch import fnmatchcase
from urllib.parse import unquote, urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

#: where clouds hand out credentials to whoever asks.
METADATA = (
    "169.254.169.254",
    "169.254.170.2",
    "169.254.170.23",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "fd00:ec2::254",
    "fd20:ce::254",
    "metadata",
    "metadata.google.internal",
    "metadata.goog",
    "instance-data",
    "instance-data.ec2.internal",
)
#: names of the own machine or network, and public names that resolve to it.
PRIVATE = (
    "localhost",
    "*.localhost",
    "localhost.localdomain",
    "ip6-localhost",
    "*.local",
    "*.internal",
    "*.home.arpa",
    "host.docker.internal",
    "localtest.me",
    "*.localtest.me",
    "lvh.me",
    "*.lvh.me",
    "*.nip.io",
    "*.sslip.io",
    "*.xip.io",
)

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]*|\d+")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE = ipaddress.IPv6Network("::/96")


class NotAUrl(ValueError):
    """No host can be read from the text."""


def host_of(url: str) -> str | None:
    """Return the host of *url* as a client would read it, None when it names none.

    ``http://good.example@[::1]:80/`` → ``::1``; ``evil.example/x`` → ``evil.example``.

    Raises:
        NotAUrl: If clients would disagree on what the host is.
    """
    text = "".join(c for c in url.strip() if c.isprintable())
    if is_address(text):
        return text.lower()
    scheme = _SCHEME.match(text)
    if not scheme and (re.match(r"/(?!/)|[.#?]", text) or " " in text):
        return None  # relative to something, or a sentence
    if "\\" in text:
        raise NotAUrl(f"{url!r} has a backslash: what its host is depends on the client")
    if not scheme or re.match(r"[\w.-]+:\d+(?:/|$)", text):
        text = "//" + text.lstrip("/")
    elif text[scheme.end() : scheme.end() + 1] == "/" or scheme[0].lower() in {"http:", "https:"}:
        # browsers and curl forgive one slash, and three
        slashes = re.match(r"/*", text[scheme.end() :])
        rest = text[scheme.end() + (slashes.end() if slashes else 0) :]
        text = f"{scheme[0]}//{'/' if scheme[0].lower() == 'file:' else ''}{rest}"
    try:
        host = urlsplit(text).hostname
    except ValueError as e:
        raise NotAUrl(f"{url!r} is not a URL: {e}") from e
    if not host:
        return None
    host = unicodedata.normalize("NFKC", unquote(unquote(host))).replace("。", ".").lower()
    host = host.split("%")[0].strip("[]").rstrip(".")
    if not host or re.search(r"[\s/?#@<>]", host):
        raise NotAUrl(f"{url!r} has no host that every client would read alike")
    return host


def address_of(host: str) -> Address | None:
    """Return the address that *host* is, in any of the forms that ``inet_aton`` takes.

    ``0x7f.1``, ``017700000001``, ``2130706433`` and ``::ffff:127.0.0.1`` are all 127.0.0.1.
    """
    if ":" in host:
        try:
            return _embedded(ipaddress.IPv6Address(host))
        except ValueError:
            return None
    parts = host.split(".")
    if len(parts) > 4 or not all(_NUMBER.fullmatch(part) for part in parts):
        return None
    numbers = [_number(part) for part in parts]
    if any(n is None or n > 255 for n in numbers[:-1]) or numbers[-1] is None:
        return None
    room = 256 ** (5 - len(parts))
    high = sum((n or 0) * 256 ** (3 - index) for index, n in enumerate(numbers[:-1]))
    return ipaddress.IPv4Address(high + numbers[-1]) if numbers[-1] < room else None


def is_address(text: str) -> bool:
    """Tell whether *text* is an address as it is normally written."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _number(text: str) -> int | None:
    try:
        if text[:2] in {"0x", "0X"}:
            return int(text[2:] or "0", 16)
        return int(text, 8) if text.startswith("0") else int(text[:20])
    except ValueError:
        return None  # 08 is no octal number; then it is a name


def _embedded(address: ipaddress.IPv6Address) -> Address:
    if address.ipv4_mapped or address.sixtofour:
        return address.ipv4_mapped or address.sixtofour or address
    is_short = address in _COMPATIBLE and int(address) > 1
    if address in _NAT64 or is_short:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def listed(host: str, patterns: Iterable[str]) -> str | None:
    """Return the pattern (name, ``*.name``, address or network) that *host* matches."""
    address = address_of(host)
    for pattern in patterns:
        if fnmatchcase(host, pattern.lower().rstrip(".")) or _is_within(address, pattern):
            return pattern
    return None


def _is_within(address: Address | None, pattern: str) -> bool:
    if address is None or "*" in pattern:
        return False
    try:
        return address in ipaddress.ip_network(pattern, strict=False)
    except ValueError:
        return False


def private(host: str) -> str | None:
    """Return why *host* is of the own machine or network, None when it is public."""
    address = address_of(host)
    if address is None:
        return listed(host, PRIVATE) or ("a name without a domain" if "." not in host else None)
    if address.is_loopback or address.is_unspecified:
        return "loopback"
    if address.is_link_local:
        return "link-local"
    return None if address.is_global and not address.is_multicast else "private range"
