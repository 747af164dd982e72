"""Medusa heads: what they compute, how they begin, how they are stored."""

import json

import pytest
import torch

from nimblelm.data.corpus import held_out_texts
from nimblelm.inference.decoding.autoregressive import generate
from nimblelm.inference.decoding.cache import CachedModel
from nimblelm.inference.medusa.decoder import medusa_generate
from nimblelm.inference.medusa.heads import HEADS_FOLDER, MedusaConfig, MedusaHeads, load_heads
from nimblelm.inference.medusa.search import best_tree, load_accuracies
from nimblelm.inference.speculative.pair import load_pair, load_pair_tokenizer
from nimblelm.language.llama import Llama, LlamaConfig
from nimblelm.nn.checkpoint import load, save
from nimblelm.nn.weight_layout import store_by_column


def test_fresh_heads_equal_the_language_model_head():
    torch.manual_seed(0)
    model = Llama(LlamaConfig(50, 32, 1, 4, 2, 48))
    heads, hidden = MedusaHeads.of_model(model, 3), torch.randn(7, 32)
    for logits in heads(hidden):
        assert torch.equal(logits, model.head(hidden))


def test_fresh_heads_share_no_memory_with_the_model():
    model = Llama(LlamaConfig(50, 32, 1, 4, 2, 48))
    heads = MedusaHeads.of_model(model, 2)
    before = model.head.weight.clone()
    with torch.no_grad():
        for weight in heads.parameters():
            weight.add_(1.0)
    assert torch.equal(model.head.weight, before)


@pytest.mark.parametrize("shape", [(), (5,), (2, 3)])
def test_heads_compute_the_papers_formula(shape):
    torch.manual_seed(1)
    heads = MedusaHeads(MedusaConfig(3, 8, 11)).double()
    hidden = torch.randn(*shape, 8, dtype=torch.float64)
    logits = heads(hidden)
    assert logits.shape == (3, *shape, 11)
    for k in range(3):
        w1, b, w2 = (
            heads.get_parameter(n) for n in (f"residual.{k}.weight", f"residual.{k}.bias", f"output.{k}.weight")
        )
        z = torch.einsum("oi,...i->...o", w1, hidden) + b
        want = torch.einsum("vi,...i->...v", w2, hidden + z / (1 + (-z).exp()))
        torch.testing.assert_close(logits[k], want)


def test_stored_heads_come_back_within_half_a_step(tmp_path):
    torch.manual_seed(2)
    heads = MedusaHeads(MedusaConfig(2, 16, 40))
    save(heads, tmp_path / "heads.safetensors", int8=True)
    loaded = load(MedusaHeads, tmp_path / "heads.safetensors")
    for name, weight in heads.named_parameters():
        step = weight.detach().abs().amax(-1, keepdim=True) / 127 if weight.ndim == 2 else torch.tensor(0.0)
        assert ((loaded.get_parameter(name) - weight).abs() <= step / 2 + 1e-7).all()
    assert not any(weight.requires_grad for weight in loaded.parameters())


def test_heads_are_stored_however_their_weights_lie(tmp_path):
    torch.manual_seed(2)
    heads = MedusaHeads(MedusaConfig(2, 16, 40)).requires_grad_(False)
    heads.output[1].weight = heads.output[0].weight  # shared
    save(heads, tmp_path / "row.safetensors", int8=True)
    store_by_column(heads)
    save(heads, tmp_path / "column.safetensors", int8=True)
    by_row, by_column = (load(MedusaHeads, tmp_path / f"{name}.safetensors").state_dict() for name in ("row", "column"))
    assert all(torch.equal(by_row[name], by_column[name]) for name in by_row)


def test_hidden_states_of_another_width_are_refused():
    with pytest.raises(ValueError, match="hidden has width 9 and is"):
        MedusaHeads(MedusaConfig(1, 8, 11))(torch.zeros(9))
    with pytest.raises(ValueError, match=r"is torch.float16, the heads read \(8, torch.float32\)"):
        MedusaHeads(MedusaConfig(1, 8, 11))(torch.zeros(8).half())


def test_committed_heads_fit_the_committed_target():
    heads, config = load_heads(), load_pair().target.config
    assert (heads.config.d_model, heads.config.vocab_size) == (config.d_model, config.vocab_size)
    assert all(weight.abs().max() > 0 for weight in heads.parameters())  # trained: fresh ones have W1 = 0


def test_no_heads_are_refused():
    with pytest.raises(ValueError, match="num_heads 0 is below 1"):
        MedusaConfig(0, 8, 11)


def test_committed_heads_fit_their_budget_and_name_their_training():
    path = HEADS_FOLDER / "heads.safetensors"
    assert path.stat().st_size < 4e6
    log = json.loads((HEADS_FOLDER / "log.json").read_text())
    assert log["seed"]
    assert log["heads"][-1]["loss"] < log["heads"][0]["loss"]
    for sequence in ("greedy", "temperature 1"):
        shares = torch.tensor(load_accuracies(sequence))
        assert shares.shape == (4, 10)
        assert (shares.sum(1) <= 1).all()
    logged = [log["heads"][-1][f"held_out_top1 head {k} greedy"] for k in (1, 2, 3, 4)]
    assert [row[0] for row in load_accuracies()] == pytest.approx(logged, abs=0.02)  # stored in 8 bits since


def test_committed_heads_guess_far_better_than_fresh_ones_and_change_no_token():
    model, tokenizer, counts = load_pair().target, load_pair_tokenizer(), {}
    target, tree = CachedModel(model), best_tree(load_accuracies(), 8)
    for sequence in held_out_texts()[:3]:
        prompt = torch.tensor(tokenizer.encode(sequence.text).ids[:64])
        plain = generate(target, prompt, 24)
        for name, heads in (("committed", load_heads()), ("fresh", MedusaHeads.of_model(model, 4))):
            output = medusa_generate(target, heads, tree, prompt, 24)
            assert torch.equal(output.tokens, plain)
            counts[name] = counts.get(name, 0) + len(output.rounds)
    assert counts["committed"] < 0.75 * counts["fresh"]
