"""The committed adapters: they fit the target, lower its loss on held-out definitions, and are small."""

import json

import pytest
import torch
import torch.nn.functional as F

from nimblelm.compression.adapted import ADAPTER_FOLDER, held_out_definitions, load_adapted
from nimblelm.compression.lora import adapters
from nimblelm.inference.speculative.pair import load_pair, load_pair_tokenizer


def loss(model: torch.nn.Module) -> float:
    ids = torch.tensor(load_pair_tokenizer().encode("".join(held_out_definitions()[:24])).ids[:500])
    with torch.inference_mode():
        return F.cross_entropy(model(ids[None, :-1])[0], ids[1:]).item()


@pytest.mark.parametrize("kind", ["lora", "qlora"])
def test_an_adapter_lowers_the_loss_on_definitions_that_it_never_saw(kind):
    adapted = load_adapted(kind)
    assert len(list(adapters(adapted))) == 12 * 6
    assert loss(adapted) < loss(load_pair().target) - 0.5
    assert (ADAPTER_FOLDER / f"{kind}.safetensors").stat().st_size < 800_000


def test_the_log_says_how_much_was_trained():
    log = json.loads((ADAPTER_FOLDER / "log.json").read_text())
    whole = sum(p.numel() for p in load_pair().target.parameters())
    for kind in ("lora", "qlora"):
        trained = sum(a.A.numel() + a.B.numel() for _, a in adapters(load_adapted(kind)))
        assert log[kind]["parameters trained"] == trained < 0.03 * whole
        assert log[kind]["log"][-1]["held_out_loss"] < log["before"] - 0.5


def test_there_are_two_kinds():
    with pytest.raises(ValueError, match="dora"):
        load_adapted("dora")
