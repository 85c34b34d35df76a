"""Where each kind of secret stands in a text. Pure.

A finder yields spans, possibly overlapping; what looks alike is sorted out here, by checksum or
by what stands around it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise

from redact_checksums import IBAN_LENGTHS, is_card, is_iban
from redact_passwords import bearer_tokens, passwords
from redact_tokens import JSON_WEB_TOKEN, PREFIXED, PRIVATE_KEY, PRIVATE_KEY_BODY, WEBHOOK

Span = tuple[int, int]

_EMAIL = re.compile(
    r"(?<![\w.+%-])(?P<local>[\w.+%-]{1,64}+)@"
    r"(?P<domain>(?:[^\W_](?:[^\W_]|-){0,62}+\.){1,8}(?P<tld>xn--[a-z0-9-]{2,30}+|[^\W\d_]{2,24}+))"
    r"(?![\w(@])"
)
#: ``name@2x.png`` is a file, not a mailbox.
_FILE_SUFFIX = re.compile(
    r"avif|bmp|css|gif|html|ico|jpe?g|jsx?|json|pdf|png|svg|toml|tsx?|txt|webp|ya?ml", re.IGNORECASE
)
_LOGIN_NAME = re.compile(r"git|hg|svn|root|ubuntu|admin|deploy|ec2-user")
_URL_AUTHORITY = re.compile(r"://[^\s/]{0,128}\Z")
_SCP_PATH = re.compile(r":[\w~./-]*/|:~|:[\w.-]+\.git\b")

_DIGITS = re.compile(r"\d+")
#: how cards are written in groups; a single group may have any length.
_CARD_LAYOUTS = frozenset(
    {(4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (8, 8), (4, 4, 4, 1)}
    | {(4, 4, 4, 4, rest) for rest in (1, 2, 3)}
)
_FIRST_GROUPS = frozenset({4, 8, *range(13, 20)})
_CARD_SEPARATORS = frozenset(" -.\u00a0\u2009\u202f\u2011\u2013")
_IBAN_START = re.compile(r"(?<![A-Za-z0-9_])[A-Za-z]{2}\d\d", re.ASCII)
_IBAN_SEPARATORS = frozenset(" -\u00a0\u202f")


def private_keys(text: str) -> Iterator[Span]:
    """Yield PEM and PGP private key blocks; a block without its end reaches to the text's end."""
    for match in PRIVATE_KEY.finditer(text):
        if PRIVATE_KEY_BODY.search(match["body"]):
            yield match.span()


def json_web_tokens(text: str) -> Iterator[Span]:
    """Yield JWTs, signed or encrypted."""
    return (match.span() for match in JSON_WEB_TOKEN.finditer(text))


def api_keys(text: str) -> Iterator[Span]:
    """Yield the tokens that a vendor's prefix gives away, and secret webhook paths."""
    yield from (match.span() for match in PREFIXED.finditer(text))
    yield from (match.span("secret") for match in WEBHOOK.finditer(text))


def emails(text: str) -> Iterator[Span]:
    """Yield mailboxes; not ``git@host:path``, not a URL's login, not ``icon@2x.png``."""
    for match in _EMAIL.finditer(text):
        start, end = match.span()
        is_file = _FILE_SUFFIX.fullmatch(match["tld"])
        in_url = _URL_AUTHORITY.search(text, max(0, start - 131), start)
        is_scp = _LOGIN_NAME.fullmatch(match["local"]) and text[end : end + 1] == ":"
        if not (is_file or in_url or is_scp or _SCP_PATH.match(text, end)):
            yield start, end


def cards(text: str) -> Iterator[Span]:
    """Yield card numbers: 13 to 19 digits, in one piece or in the usual groups."""
    groups = [match.span() for match in _DIGITS.finditer(text)]
    index = 0
    while index < len(groups):
        first = groups[index][1] - groups[index][0]
        counts = (5, 4, 3, 2, 1) if first in _FIRST_GROUPS else ()
        count = next((n for n in counts if _is_card_at(text, groups, index, n)), 0)
        if count:
            yield groups[index][0], groups[index + count - 1][1]
        index += count or 1


def _is_card_at(text: str, groups: list[Span], index: int, count: int) -> bool:
    part = groups[index : index + count]
    layout = tuple(end - start for start, end in part)
    if len(part) < count or not (13 <= sum(layout) <= 19):
        return False
    if count > 1 and (layout not in _CARD_LAYOUTS or not _are_joined(text, part)):
        return False
    digits = "".join(str(int(character)) for a, b in part for character in text[a:b])
    return _stands_alone(text, part[0][0], part[-1][1]) and is_card(digits)


def _are_joined(text: str, part: list[Span]) -> bool:
    return all(
        after - before == 1 and text[before] in _CARD_SEPARATORS
        for (_, before), (after, _) in pairwise(part)
    )


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Tell that no letter, and no digit behind a dot or hyphen, is glued to text[start:end]."""
    before, after = text[max(0, start - 2) : start], text[end : end + 2]
    return not (
        _is_word(before[-1:])
        or _is_word(after[:1])
        or (before[-1:] in {".", "-"} and _is_word(before[:-1]))
        or (after[:1] in {".", "-"} and _is_word(after[1:]))
    )


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def ibans(text: str) -> Iterator[Span]:
    """Yield bank account numbers, in one piece or in groups of four."""
    for match in _IBAN_START.finditer(text):
        length = IBAN_LENGTHS.get(match[0][:2].upper())
        end = length and _end_of_groups(text, match.start(), length)
        if end and is_iban("".join(c for c in text[match.start() : end] if c.isalnum())):
            yield match.start(), end


def _end_of_groups(text: str, start: int, length: int) -> int | None:
    """Return where *length* letters and digits end, separators only after each fourth."""
    position = start
    for taken in range(length):
        at_group = taken and taken % 4 == 0
        if at_group and text[position : position + 1] in _IBAN_SEPARATORS:
            position += 1
        if not text[position : position + 1].isalnum():
            return None
        position += 1
    return None if _is_word(text[position : position + 1]) else position


#: kind → finder. Where finds overlap the whole is marked with the kind that stands first here.
FINDERS: dict[str, Callable[[str], Iterator[Span]]] = {
    "private-key": private_keys,
    "jwt": json_web_tokens,
    "api-key": api_keys,
    "bearer-token": bearer_tokens,
    "password": passwords,
    "iban": ibans,
    "card": cards,
    "email": emails,
}
