"""LoRA: the identity at first, its formula, what learns, merging, PEFT."""

import copy

import pytest
import torch
from torch import nn

from nimblelm.compression.lora import (
    LoRALinear,
    adapter_weights,
    adapters,
    add_lora,
    load_adapter,
    merge_lora,
)
from nimblelm.compression.qlora import NF4Linear
from nimblelm.compression.quantization.nf4 import quantize_nf4
from tests.compression.quantization.test_packed import model


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def perturbed(adapted: nn.Module) -> nn.Module:
    """With every adapter weight moved off its start."""
    with torch.no_grad():
        for number, weight in enumerate(adapter_weights(adapted).values()):
            weight += 0.1 * torch.randn(weight.shape, generator=seeded(number))
    return adapted


def test_a_fresh_adapter_changes_nothing():
    tokens = torch.arange(30)[None]
    assert torch.equal(add_lora(model(), 4, 8.0)(tokens), model()(tokens))


def test_the_layer_is_its_formula():
    base = nn.Linear(10, 7).double()
    layer = perturbed(LoRALinear(base, 3, 6.0, seeded()))
    x = torch.randn(4, 10, dtype=torch.float64)
    want = x @ base.weight.T + base.bias + 6.0 / 3 * (x @ layer.A.T @ layer.B.T)
    torch.testing.assert_close(layer(x), want, rtol=1e-12, atol=1e-12)
    assert layer.A.dtype == torch.float64
    assert layer.A.std() > 0.05


def test_only_adapters_learn():
    adapted = perturbed(add_lora(model(), 4, 8.0, ("q_proj", "v_proj")))
    names = {name for name, p in adapted.named_parameters() if p.requires_grad}
    assert len(names) == 2 * 2 * 2
    assert all(name.endswith((".A", ".B")) for name in names)
    adapted(torch.arange(30)[None]).square().mean().backward()
    for name, parameter in adapted.named_parameters():
        assert (parameter.grad is not None) == (name in names)


def test_a_merged_model_computes_what_the_adapted_one_did():
    adapted = perturbed(add_lora(model(), 4, 8.0))
    tokens = torch.arange(30)[None]
    want = adapted(tokens)
    assert not torch.allclose(want, model()(tokens), atol=1e-2)
    merged = merge_lora(copy.deepcopy(adapted))
    torch.testing.assert_close(merged(tokens), want, rtol=1e-4, atol=1e-4)
    assert not list(adapters(merged))
    assert merged.state_dict().keys() == model().state_dict().keys()


def test_an_adapter_is_saved_and_loaded_alone():
    adapted = perturbed(add_lora(model(), 4, 8.0))
    weights = {name: weight.clone() for name, weight in adapter_weights(adapted).items()}
    again = add_lora(model(), 4, 8.0)
    load_adapter(again, weights)
    tokens = torch.arange(30)[None]
    torch.testing.assert_close(again(tokens), adapted(tokens))
    with pytest.raises(ValueError, match="the adapter has"):
        load_adapter(add_lora(model(), 3, 8.0), weights)


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="rank 0"):
        LoRALinear(nn.Linear(4, 4), 0, 1.0)
    with pytest.raises(ValueError, match="rank 5"):
        LoRALinear(nn.Linear(4, 9), 5, 1.0)
    with pytest.raises(ValueError, match="alpha nan"):
        LoRALinear(nn.Linear(4, 4), 2, float("nan"))
    with pytest.raises(ValueError, match="no layer"):
        add_lora(model(), 2, 1.0, ("query",))


def test_peft_computes_the_same():
    peft = pytest.importorskip("peft")
    ours = nn.ModuleDict({"q_proj": nn.Linear(12, 8)}).double()
    theirs = peft.get_peft_model(
        copy.deepcopy(ours), peft.LoraConfig(r=3, lora_alpha=7.0, target_modules=["q_proj"], init_lora_weights=False)
    )
    adapter = theirs.base_model.model["q_proj"]
    layer = LoRALinear(ours["q_proj"], 3, 7.0)
    load_adapter(
        nn.ModuleDict({"q": layer}),
        {"q.A": adapter.lora_A.default.weight.double(), "q.B": adapter.lora_B.default.weight.double()},
    )
    x = torch.randn(5, 12, dtype=torch.float64)
    torch.testing.assert_close(layer(x), adapter.double()(x), rtol=1e-6, atol=1e-6)


class Tied(nn.Module):
    """A head whose weight is the embedding's, and one layer in two places."""

    def __init__(self):
        super().__init__()
        self.embedding, self.head = nn.Embedding(6, 4), nn.Linear(4, 6, bias=False)
        self.head.weight = self.embedding.weight
        self.first, self.second = nn.Module(), nn.Module()
        self.first.proj = self.second.proj = nn.Linear(4, 4)


def test_what_others_use_too_is_not_changed_with_the_layer():
    tied = add_lora(Tied(), 2, 4.0, ["head"], seeded())
    before = tied.embedding.weight.clone()
    with pytest.raises(ValueError, match="head has its weight in common with another layer"):
        merge_lora(perturbed(tied))
    assert torch.equal(tied.embedding.weight, before)
    with pytest.raises(ValueError, match="two places"):
        add_lora(Tied(), 2, 4.0, ["proj"])


def test_a_refusal_leaves_the_model_as_it_was():
    """The layer that does not fit comes last: what comes before it is as it was."""
    narrow = nn.ModuleDict({"q_proj": nn.Linear(8, 8), "k_proj": nn.Linear(8, 1)})
    with pytest.raises(ValueError, match="rank 2 must be from 1 to 1"):
        add_lora(narrow, 2, 4.0)
    assert type(narrow["q_proj"]) is nn.Linear
    assert all(weight.requires_grad for weight in narrow.parameters())
    mixed = nn.ModuleDict(
        {"q_proj": nn.Linear(64, 8, bias=False), "k_proj": NF4Linear(quantize_nf4(torch.ones(8, 64)))}
    )
    perturbed(add_lora(mixed, 2, 4.0, generator=seeded()))
    with pytest.raises(ValueError, match="k_proj stands on NF4Linear"):
        merge_lora(mixed)
    assert isinstance(mixed["q_proj"], LoRALinear)
    with pytest.raises(ValueError, match="has an adapter already"):
        add_lora(mixed, 2, 4.0)
