"""A random target and a draft that mostly agrees with it: for timing decoders where no trained weights are needed."""

import math
from dataclasses import replace

import torch

from nimblelm.inference.speculative.pair import Pair
from nimblelm.language.llama import Llama, LlamaConfig


def agreeing_pair(num_layers: int = 12, disagreement: float = 0.01, seed: int = 0) -> Pair:
    """A target whose first layer is the draft, and whose further layers change little.

    The further layers cost what layers cost, and their contribution to the residual stream is scaled down, so that the
    draft's most probable token is the target's about nine times in ten. The time of a decoder depends on the shapes and
    on the acceptance rate, not on what the sequence means.

    Args:
        num_layers: depth of the target.
        disagreement: scale of what the further layers add; larger is a worse draft.
        seed: of the weights.

    Raises:
        ValueError: fewer than one layer, or a disagreement that is negative or no finite number.
    """
    if not (num_layers >= 1 and 0 <= disagreement < math.inf):
        raise ValueError(f"num_layers {num_layers} must be 1 or more, disagreement {disagreement} 0 or more and finite")
    deep = LlamaConfig(1024, d_model=512, num_layers=num_layers, num_heads=8, num_kv_heads=2, d_ff=1408)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        target = Llama(deep).eval().requires_grad_(False)
    draft = Llama(replace(deep, num_layers=1)).eval().requires_grad_(False)
    for name, weight in target.named_parameters():
        if weight.ndim == 2:
            weight.mul_(2)  # a sharper distribution than that of fresh weights
        adds = name.endswith(("out_proj.weight", "down_proj.weight"))
        if adds and not name.startswith("blocks.0."):
            weight.mul_(disagreement)
    draft.load_state_dict({name: weight for name, weight in target.state_dict().items() if name in draft.state_dict()})
    return Pair(target, draft)
