"""How the functions of `nimblelm.measure` are called with tensors."""

import torch

from nimblelm.measure.attention_traffic import SlowMemory
from tests.tensor_variants import Case, Exempt


def moved(name: str) -> Case:
    """What moves is the tensor itself, and every one of its numbers is counted."""

    def function(x):
        memory = SlowMemory()
        return getattr(memory, name)(x), memory.bytes_read + memory.bytes_written == x.numel() * x.element_size()

    return Case(function, lambda: {"x": torch.randn(3, 4, generator=torch.Generator().manual_seed(0))})


CASES: dict[str, Case | Exempt] = {
    "measure.attention_traffic.SlowMemory.read": moved("read"),
    "measure.attention_traffic.SlowMemory.write": moved("write"),
}
CASES["measure.saved_for_backward.saved_bytes"] = Exempt("takes a pass, and tensors for where they lie alone")
NOT_YET: tuple[str, ...] = ()
