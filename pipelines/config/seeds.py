"""Seeded random numbers named by purpose, so that a repeated run draws the same numbers."""

import hashlib

import numpy as np


def generator(*words: object) -> np.random.Generator:
    """Return a generator determined by the words alone: purpose, category, day."""
    return np.random.default_rng(seed(*words))


def seed(*words: object) -> int:
    """Return the number that the words determine, for a generator of another kind."""
    return int.from_bytes(hashlib.blake2b("|".join(map(str, words)).encode(), digest_size=8).digest(), "big")
