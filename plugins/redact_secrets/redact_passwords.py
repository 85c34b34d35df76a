"""Where a text gives a password or a token away: assignments, headers, URLs. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

_NAMES = (
    r"passwords?|passwd|pwd|passphrase|secret|(?:access|auth|bearer|session|refresh|id)[_-]?token"
    r"|token|(?:api|access|account|secret|private|signing|encryption|shared)[_-]?key"
    r"|client[_-]?secret|credentials?"
)

#: a name that ends in one of _NAMES, what stands between, and a value with or without quotes.
#: The possessive prefix and the boundary make every run of name characters read once.
_ASSIGNMENT = re.compile(
    rf"(?<![\w.-])(?P<dashes>--)?(?P<name>[\w.-]{{0,64}}?(?:{_NAMES}))(?![\w.-])"
    r"""(?:\\?["'])?\]?"""
    r"(?P<sep>[ \t]{0,4}(?:=>|:=|={1,2}|:)[ \t]{0,4}|[ \t]{1,4}is[ \t]{1,4}|[ ]{1,4})"
    r"""(?:\\?["'](?P<quoted>[^"'\\\n]{1,512})(?=\\?["'])"""
    r"""|(?P<bare>[^\s"'<>,;&|)\]}`]{1,512}+))""",
    re.IGNORECASE | re.ASCII,
)

_AUTHORIZATION = re.compile(
    r"""authorization["']?[ \t]{0,4}[:=][ \t]{0,4}["']?"""
    r"(?:[a-z0-9-]{2,20}[ \t]{1,4})?(?P<secret>[\w.~+/-]{8,}+=*)",
    re.IGNORECASE | re.ASCII,
)
_BEARER = re.compile(
    r"(?<![\w-])bearer[ \t]{1,4}(?P<secret>[\w.~+/-]{16,}+=*)", re.IGNORECASE | re.ASCII
)

#: ``scheme://user:secret@host``
_URL_LOGIN = re.compile(
    r"(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]{1,20}+://[^\s/:@]{0,64}+:(?P<secret>[^\s/@]{1,256}+)@"
)

#: what authors of examples write where a secret would stand.
_PLACEHOLDER = re.compile(
    r"[$%<{\[(*]|(.)\1*$|x{3,}|\.{3}|(?:sha|md|hs|rs|es|utf|oauth|base)-?\d+$"
    r"|.*(?:your[_-]|example|placeholder|changeme|redacted|dummy)"
    r"|(?=[a-z_.-]*$).*(?:passw|pwd|secret|token|credential|key)",
    re.IGNORECASE,
)
_CODE = re.compile(r"[\w.]*[(\[]|(?:self|this|process|os|env|config|settings|req|request)\.")
_SYMBOL = re.compile(r"[!@#$%^&*?+~]")
_PATH = re.compile(r"[~.]{0,2}/")
#: names that end in a word of _NAMES, and are no secrets.
_HARMLESS_NAME = re.compile(
    r".*(?:next|page|continuation|cursor|csrf|xsrf|sync|eos|bos|pad|public)", re.IGNORECASE
)


def passwords(text: str) -> Iterator[tuple[int, int]]:
    """Yield where the value of a password-like assignment or a URL's password stands."""
    for match in _ASSIGNMENT.finditer(text):
        if _gives_away(match):
            start, end = match.span("quoted" if match["quoted"] else "bare")
            yield start, end - text.endswith(".", start, end)  # the full stop of a sentence
    for match in _URL_LOGIN.finditer(text):
        if not _is_placeholder(match["secret"]) and match["secret"].lower() not in {"pass", "pw"}:
            yield match.span("secret")


def bearer_tokens(text: str) -> Iterator[tuple[int, int]]:
    """Yield where the credentials of an Authorization header or of ``Bearer …`` stand."""
    for pattern in (_AUTHORIZATION, _BEARER):
        for match in pattern.finditer(text):
            if _is_mixed(match["secret"]) and not _is_placeholder(match["secret"]):
                yield match.span("secret")


def _gives_away(match: re.Match[str]) -> bool:
    value = match["quoted"] or match["bare"].rstrip(".!?:")
    if _HARMLESS_NAME.match(match["name"]) or _is_placeholder(value):
        return False
    separator = match["sep"].strip()
    if separator == "" and match["dashes"] is None:
        return False  # "password hunter2" may be any sentence, "--password hunter2" is an option
    if match["quoted"]:
        return _is_quoted_secret(match["name"], value)
    if _CODE.match(value) or _PATH.match(value):
        return False
    if separator in {"=", ":="}:
        return len(value) >= 6 and (_has_digit(value) or bool(_SYMBOL.search(value)))
    # after a colon and in prose numbers and words are common: "password: 8-64 characters"
    return len(value) >= 6 and _has_letter(value) and _is_mixed(value)


def _is_quoted_secret(name: str, value: str) -> bool:
    if re.search(r"\s", value):
        return "passphrase" in name.lower() and len(value.split()) >= 3
    return len(value) >= 4 and (
        _has_digit(value) or bool(_SYMBOL.search(value)) or (len(value) >= 12 and value.isalpha())
    )


def _is_placeholder(value: str) -> bool:
    return _PLACEHOLDER.match(value) is not None


def _is_mixed(value: str) -> bool:
    return _has_digit(value) or bool(_SYMBOL.search(value))


def _has_digit(value: str) -> bool:
    return any(character.isdigit() for character in value)


def _has_letter(value: str) -> bool:
    return any(character.isalpha() for character in value)
