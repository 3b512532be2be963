"""Seeded random numbers named by purpose, so that a repeated run draws the same numbers."""

import hashlib

import numpy as np


def generator(*words: object) -> np.random.Generator:
    """Return a generator determined by the words alone: purpose, category, day."""
    digest = hashlib.blake2b("|".join(map(str, words)).encode(), digest_size=8).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))
