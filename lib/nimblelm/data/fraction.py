"""What decides a split: a hash of names, so that it is the same everywhere and stays when data are added."""

import hashlib


def fraction(*names: str) -> float:
    """A number from 0 to 1 (exclusive) that the names decide, as good as uniform (SHA-256)."""
    return int.from_bytes(hashlib.sha256("\0".join(names).encode()).digest()[:6]) / 2**48
