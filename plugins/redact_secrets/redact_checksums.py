"""Which digits are a payment card and which characters are an IBAN. Pure."""

from __future__ import annotations

#: first digits from … to (both included) → how many digits such a card has; ISO/IEC 7812 ranges.
CARD_RANGES: tuple[tuple[str, str, frozenset[int]], ...] = (
    ("4", "4", frozenset({13, 16, 19})),  # Visa
    ("51", "55", frozenset({16})),  # Mastercard
    ("2221", "2720", frozenset({16})),
    ("34", "34", frozenset({15})),  # American Express
    ("37", "37", frozenset({15})),
    ("300", "305", frozenset({14, 16})),  # Diners Club
    ("36", "36", frozenset({14, 16})),
    ("38", "39", frozenset({14, 16})),
    ("6011", "6011", frozenset({16, 17, 18, 19})),  # Discover
    ("644", "659", frozenset({16, 17, 18, 19})),
    ("3528", "3589", frozenset({16, 17, 18, 19})),  # JCB
    ("62", "62", frozenset({16, 17, 18, 19})),  # UnionPay
    ("2200", "2204", frozenset({16, 17, 18, 19})),  # Mir
    ("5018", "5018", frozenset(range(13, 20))),  # Maestro
    ("5020", "5020", frozenset(range(13, 20))),
    ("5038", "5038", frozenset(range(13, 20))),
    ("5893", "5893", frozenset(range(13, 20))),
    ("6304", "6304", frozenset(range(13, 20))),
    ("6759", "6763", frozenset(range(13, 20))),
)

#: ISO 13616: characters of an IBAN → the countries that have so many.
_COUNTRIES = {
    15: "NO",
    16: "BE",
    18: "DK FI FK FO GL NL SD",
    19: "MK SI",
    20: "AT BA EE KZ LT LU MN XK",
    21: "CH HR LI LV",
    22: "BG BH CR DE GB GE IE ME RS VA",
    23: "AE GI IL IQ OM SO TL",
    24: "AD CZ ES MD PK RO SA SE SK TN VG",
    25: "LY PT ST",
    26: "IS TR",
    27: "BI DJ FR GR IT MC MR SM",
    28: "AL AZ BY CY DO GT HN HU LB NI PL SV",
    29: "BR EG PS QA UA",
    30: "JO KW MU YE",
    31: "MT SC",
    32: "LC",
    33: "RU",
}
IBAN_LENGTHS = {
    country: length for length, countries in _COUNTRIES.items() for country in countries.split()
}


def is_card(digits: str) -> bool:
    """Tell whether ASCII *digits* are of a known issuer's range and length, and pass Luhn."""
    return _has_issuer(digits) and _luhn(digits) == 0


def _has_issuer(digits: str) -> bool:
    return any(
        first <= digits[: len(first)] <= last and len(digits) in lengths
        for first, last, lengths in CARD_RANGES
    )


def _luhn(digits: str) -> int:
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (doubled + sum(int(digit) for digit in digits[-1::-2])) % 10


def is_iban(characters: str) -> bool:
    """Tell whether *characters* (no separators) have their country's length and sum (ISO 7064)."""
    text = characters.upper()
    if not (text.isascii() and text.isalnum() and len(text) == IBAN_LENGTHS.get(text[:2])):
        return False
    rotated = text[4:] + text[:4]
    return int("".join(str(int(character, 36)) for character in rotated)) % 97 == 1
