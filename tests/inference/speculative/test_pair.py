"""The committed pair: it loads, it fits its budget, it knows held-out code, and its draft knows its target."""

import json

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from nimblelm.data.corpus import held_out_texts
from nimblelm.inference.decoding.autoregressive import generate
from nimblelm.inference.decoding.cache import CachedModel
from nimblelm.inference.decoding.sampling import GREEDY, Sampling
from nimblelm.inference.speculative.acceptance_stats import AcceptanceStats
from nimblelm.inference.speculative.decoder import speculative_generate
from nimblelm.inference.speculative.pair import PAIR_FOLDER, load_pair, load_pair_tokenizer
from nimblelm.language.llama import Llama, LlamaConfig
from nimblelm.nn.checkpoint import from_int8, load, save, to_int8
from nimblelm.nn.weight_layout import store_by_column


@pytest.fixture(scope="module")
def pair():
    return load_pair()


@pytest.fixture(scope="module")
def sequences():
    tokenizer = load_pair_tokenizer()
    return [torch.tensor(tokenizer.encode(sequence.text).ids) for sequence in held_out_texts()]


def test_weights_fit_their_budget_and_name_their_training():
    files = [path for path in PAIR_FOLDER.iterdir() if path.suffix == ".safetensors"]
    assert len(files) == 2
    assert sum(path.stat().st_size for path in files) < 24e6
    log = json.loads((PAIR_FOLDER / "log.json").read_text())
    assert log["target"][-1]["held_out_loss"] < log["target"][0]["held_out_loss"]
    assert log["seed"]


def test_the_loss_on_held_out_code_is_that_of_the_log(pair, sequences):
    """The committed excerpts are a part of what the log measured, so the two agree roughly, not exactly."""
    logged = json.loads((PAIR_FOLDER / "log.json").read_text())["target"][-1]["held_out_loss"]
    with torch.inference_mode():
        losses = [F.cross_entropy(pair.target(sequence[None, :511])[0], sequence[1:512]) for sequence in sequences]
    assert abs(torch.stack(losses).mean().item() - logged) < 0.4


def test_greedy_texts_are_equal_and_sampled_drafts_are_mostly_kept(pair, sequences):
    target, draft = CachedModel(pair.target), CachedModel(pair.draft)
    rounds = []
    for sequence in sequences[:3]:
        prompt = sequence[:60]
        output = speculative_generate(target, draft, prompt, 30, 5, GREEDY)
        assert torch.equal(output.tokens, generate(target, prompt, 30))
        generator = torch.Generator().manual_seed(0)
        rounds += speculative_generate(target, draft, prompt, 40, 5, Sampling(), generator).rounds
    assert AcceptanceStats.from_rounds(rounds).acceptance_rate > 0.5


def test_what_was_saved_is_what_is_loaded(tmp_path):
    torch.manual_seed(0)
    for tied in (True, False):
        model = Llama(LlamaConfig(30, 16, 2, 4, 2, 24, max_seq_len=32, tie_embeddings=tied))
        save(model, tmp_path / "model.safetensors")
        tokens = torch.arange(12)[None]
        assert torch.equal(load(Llama, tmp_path / "model.safetensors")(tokens), model(tokens))


def by_row(model):
    pass


def by_column(model):
    store_by_column(model)


def as_decoded(model):
    CachedModel(model)


def all_by_column(model):
    for weight in model.parameters():
        if weight.ndim == 2:
            weight.data = weight.data.t().contiguous().t()


def inside_of_a_buffer(model):
    for weight in model.parameters():
        room = torch.full([n + 3 for n in weight.shape], torch.nan, dtype=weight.dtype)
        view = room[tuple(slice(1, 1 + n) for n in weight.shape)]
        weight.data = view.copy_(weight.data)


def in_one_buffer(model):
    sizes = [weight.numel() for weight in model.parameters()]
    room = torch.cat([weight.data.flatten() for weight in model.parameters()])
    for weight, part in zip(model.parameters(), room.split(sizes), strict=True):
        weight.data = part.view(weight.shape)


def in_half_precision(model):
    model.bfloat16()


LAYOUTS = [by_row, by_column, as_decoded, all_by_column, inside_of_a_buffer, in_one_buffer, in_half_precision]


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_model_is_saved_however_its_weights_lie(layout, tied, tmp_path):
    torch.manual_seed(0)
    model = Llama(LlamaConfig(30, 16, 2, 4, 2, 24, max_seq_len=32, tie_embeddings=tied))
    layout(model.requires_grad_(False))
    weights = {name: weight.float().clone() for name, weight in model.state_dict().items()}
    path = tmp_path / "model.safetensors"
    save(model, path)
    for name, weight in load(Llama, path).state_dict().items():
        assert torch.equal(weight, weights[name]), name
    save(model, path, int8=True)
    for name, weight in load(Llama, path).state_dict().items():
        step = weights[name].abs().amax(-1, keepdim=True) / 127 if weight.ndim == 2 else 0 * weight
        assert ((weight - weights[name]).abs() <= step / 2 + 1e-7).all(), name
    save_file(to_int8(dict(model.state_dict())), path)
    assert from_int8(load_file(path)).keys() == weights.keys()


def test_weights_that_share_memory_are_saved_each_for_itself(tmp_path):
    """A head that is tied by hand, where the configuration does not say so; and tensors of any number of dimensions."""
    model = Llama(LlamaConfig(30, 16, 1, 4, 2, 24, tie_embeddings=False)).requires_grad_(False)
    model.head.weight = model.embedding.weight
    for int8 in (False, True):
        save(model, tmp_path / "model.safetensors", int8)
        loaded = load(Llama, tmp_path / "model.safetensors")
        assert torch.equal(loaded.head.weight, loaded.embedding.weight)
    vector, cube = torch.arange(6.0), torch.arange(24.0).view(1, 2, 3, 2, 2)
    weights = {"a": vector, "b": vector, "c": vector[::2], "d": cube.permute(4, 0, 1, 2, 3), "e": vector[:1].expand(5)}
    save_file(to_int8(weights), tmp_path / "all.safetensors")
    for name, weight in load_file(tmp_path / "all.safetensors").items():
        assert torch.equal(weight, weights[name])


def test_a_head_that_differs_from_its_tie_is_not_lost(tmp_path):
    model = Llama(LlamaConfig(30, 16, 1, 4, 2, 24))
    model.head.weight = torch.nn.Parameter(model.embedding.weight + 1)
    for int8 in (False, True):
        with pytest.raises(ValueError, match=r"head\.weight differs from embedding\.weight, and Llama has one weight"):
            save(model, tmp_path / "model.safetensors", int8)
    assert not list(tmp_path.iterdir())
