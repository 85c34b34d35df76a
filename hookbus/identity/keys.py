"""NKeys: a seed that stays secret, and the public key that a broker knows its holder by."""

from __future__ import annotations

import os
from typing import Final

import nkeys

_SEED_BYTES: Final = 32


def new_key() -> tuple[str, str]:
    """Make a user's key: its seed (``SU…``, secret) and its public key (``U…``)."""
    seed: bytes = nkeys.encode_seed(os.urandom(_SEED_BYTES), nkeys.PREFIX_BYTE_USER)
    return seed.decode(), public_key(seed.decode())


def public_key(seed: str) -> str:
    """Work out the public half of *seed*."""
    key = nkeys.from_seed(bytearray(seed.encode()))
    public: str = key.public_key.decode()
    key.wipe()
    return public
