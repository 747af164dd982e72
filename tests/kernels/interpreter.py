"""Calls under Triton's interpreter, in a process of its own: TRITON_INTERPRET must be set before Triton is imported."""

import os
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context


class Interpreter:
    """One process in which every `triton.jit` function is run by numpy on the CPU."""

    def __init__(self):
        self.pool = ProcessPoolExecutor(1, get_context("spawn"), _start)

    def __call__(self, function, *args, **kwargs):
        """Call a function that can be imported by name; what it returns must be detached tensors or plain values."""
        # plain pickle copies tensors; a pool left to itself would share their memory through file descriptors
        return pickle.loads(self.pool.submit(_call, pickle.dumps((function, args, kwargs))).result())

    def close(self):
        self.pool.shutdown()


def _start():
    os.environ["TRITON_INTERPRET"] = "1"
    import torch

    torch.set_num_threads(1)


def _call(request: bytes) -> bytes:
    function, args, kwargs = pickle.loads(request)
    return pickle.dumps(function(*args, **kwargs))
