"""Secret random numbers: all of them come from the run's key, and what is shown of one draw says nothing of another.

Torch's own generator is the Mersenne twister (Matsumoto and Nishimura 1998). Its words are linear in its 19,937 bits of
state and it runs backwards as well, so some thousand numbers that a student was shown give all that were drawn before
and after them; and `manual_seed` keeps 32 bits of a seed, few enough to try them all. So no two draws share a twister:
each has one of its own, whose whole state is SHAKE-256 of an HMAC-SHA-256 under the key. That is a pseudorandom
function (Bellare 2006): who knows its values at other names cannot tell the value at this one from chance.

Within one draw the twister can still be solved. What is shown in parts, and anything of which a part stays secret, is
therefore drawn in parts.
"""

import hashlib
import hmac
import json

import numpy as np
import torch

TWISTER_AT, TWISTER_WORDS = 24, 624  # in the bytes of a torch generator's state


class Draws:
    """Where a check's random numbers come from: `torch.rand(3, generator=draws())`.

    Args:
        key: the secret of a run.
        names: whose numbers these are, such as a check's; others give other numbers.
    """

    def __init__(self, key: bytes, *names: object) -> None:
        self._key, self._names, self._count = key, names, 0

    def __call__(self) -> torch.Generator:
        """A generator for the next draw, and for no other."""
        return generator(self.key())

    def key(self) -> bytes:
        """32 secret bytes, other ones each time."""
        self._count += 1
        return _derived(self._key, "draw", *self._names, self._count)

    def number(self) -> int:
        """A number of 62 bits."""
        return int.from_bytes(self.key()[:8], "big") >> 2


def generator(key: bytes, *names: object) -> torch.Generator:
    """A generator whose whole state comes from the names under the key, for one draw."""
    rng = torch.Generator()
    state = rng.get_state()
    words = hashlib.shake_256(_derived(key, "generator", *names)).digest(4 * TWISTER_WORDS)
    twister = np.frombuffer(words, "<u4").astype("<u8").view(np.uint8)  # torch keeps each word in 8 bytes
    state[TWISTER_AT : TWISTER_AT + len(twister)] = torch.from_numpy(twister)
    return rng.set_state(state)


def integer(rng: Draws, low: int, high: int) -> int:
    """A random whole number from low to high, both included."""
    return int(torch.randint(low, high + 1, (), generator=rng()))


def worker_seed(key: bytes, *names: object) -> int:
    """What a worker's global generators are seeded with: the student's code sees them, so nothing else comes of it."""
    return int.from_bytes(_derived(key, "worker", *names)[:8], "big") >> 1


def _derived(key: bytes, purpose: str, *names: object) -> bytes:
    """32 bytes for a purpose and its names under a key; written so that no two lists of names read the same."""
    return hmac.digest(key, json.dumps([purpose, *map(str, names)]).encode(), "sha256")
