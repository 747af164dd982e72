"""A file of weights is read by the class that wrote it, and weights that do not fit leave a model as it was."""

import pytest
import torch
from safetensors.torch import save_file

from nimblelm.compression.lora import add_lora
from nimblelm.compression.quantization.packed import int8_linear, packed_for_decoding
from nimblelm.language.bert import Bert
from nimblelm.language.llama import Llama, LlamaConfig
from nimblelm.language.mistral import Mistral, MistralConfig
from nimblelm.nn.checkpoint import load, load_weights, save

SHAPE = (20, 8, 1, 2, 1, 12)


@pytest.mark.parametrize(
    ("model", "other"), [(Llama(LlamaConfig(*SHAPE)), Mistral), (Mistral(MistralConfig(*SHAPE)), Llama)]
)
def test_a_relative_does_not_read_the_file(tmp_path, model, other):
    save(model, tmp_path / "model.safetensors")
    for wrong in (other, Bert):  # a Llama has no window: Mistral's default would be made up
        with pytest.raises(ValueError, match=f"holds a {type(model).__name__} .*, not a {wrong.__name__}"):
            load(wrong, tmp_path / "model.safetensors")


def test_a_file_that_save_did_not_write_is_named(tmp_path):
    save_file({"weight": torch.ones(2)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="not a Llama"):
        load(Llama, tmp_path / "other.safetensors")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"head.weight": torch.ones(20, 8)}, "head.weight differs from embedding.weight"),
        ({"norm.weight": torch.ones(7)}, r"norm.weight has the shape \(7,\), the model's \(8,\)"),
        ({"norm.weight": torch.ones(1)}, r"norm.weight has the shape \(1,\)"),
        ({"further": torch.ones(1)}, "none of the names"),
    ],
)
def test_weights_that_do_not_fit_leave_the_model_as_it_was(changed, message):
    model = Llama(LlamaConfig(*SHAPE))
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    with pytest.raises(ValueError, match=message):
        load_weights(model, {name: weight + 1 for name, weight in before.items()} | changed)
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())


def test_a_model_with_other_weights_than_its_class_is_not_saved(tmp_path):
    """Its adapters, or what its packed layers hold, would be lost, or found missing when it is read."""
    adapted, packed = (Llama(LlamaConfig(20, 64, 1, 2, 1, 64)) for _ in range(2))
    for model in (add_lora(adapted, 2, 4.0), packed_for_decoding(packed, int8_linear)):
        with pytest.raises(ValueError, match="tell the model from a Llama"):
            save(model, tmp_path / "model.safetensors")
    assert not list(tmp_path.iterdir())
