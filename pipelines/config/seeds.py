"""Random numbers named by what they are for, so that a run of the same night makes the same draws."""

import hashlib

import numpy as np


def generator(*words: object) -> np.random.Generator:
    """A generator that the words alone decide: purpose, category, day."""
    digest = hashlib.blake2b("|".join(map(str, words)).encode(), digest_size=8).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))
