"""The committed pair: it loads, it fits its budget, it knows held-out code, and its draft knows its target."""

import json

import pytest
import torch
import torch.nn.functional as F

from nimblelm.data.corpus import held_out_texts
from nimblelm.inference.acceptance_stats import AcceptanceStats
from nimblelm.inference.autoregressive import generate
from nimblelm.inference.cache import CachedModel
from nimblelm.inference.pair import PAIR_FOLDER, load_model, load_pair, load_pair_tokenizer, save_model
from nimblelm.inference.sampling import GREEDY, Sampling
from nimblelm.inference.speculative import speculative_generate
from nimblelm.nn.transformer import Transformer, TransformerConfig


@pytest.fixture(scope="module")
def pair():
    return load_pair()


@pytest.fixture(scope="module")
def texts():
    tokenizer = load_pair_tokenizer()
    return [torch.tensor(tokenizer.encode(text.text).ids) for text in held_out_texts()]


def test_weights_fit_their_budget_and_name_their_training():
    files = [path for path in PAIR_FOLDER.iterdir() if path.suffix == ".safetensors"]
    assert len(files) == 2
    assert sum(path.stat().st_size for path in files) < 24e6
    log = json.loads((PAIR_FOLDER / "log.json").read_text())
    assert log["target"][-1]["held_out_loss"] < log["target"][0]["held_out_loss"]
    assert log["seed"]


def test_the_loss_on_held_out_code_is_that_of_the_log(pair, texts):
    """The committed excerpts are a part of what the log measured, so the two agree roughly, not exactly."""
    logged = json.loads((PAIR_FOLDER / "log.json").read_text())["target"][-1]["held_out_loss"]
    with torch.inference_mode():
        losses = [F.cross_entropy(pair.target(text[None, :511])[0], text[1:512]) for text in texts]
    assert abs(torch.stack(losses).mean().item() - logged) < 0.4


def test_greedy_texts_are_equal_and_sampled_drafts_are_mostly_kept(pair, texts):
    target, draft = CachedModel(pair.target), CachedModel(pair.draft)
    rounds = []
    for text in texts[:3]:
        prompt = text[:60]
        output = speculative_generate(target, draft, prompt, 60, 5, GREEDY)
        assert torch.equal(output.tokens, generate(target, prompt, 60))
        generator = torch.Generator().manual_seed(0)
        rounds += speculative_generate(target, draft, prompt, 60, 5, Sampling(), generator).rounds
    assert AcceptanceStats.from_rounds(rounds).acceptance_rate > 0.5


def test_what_was_saved_is_what_is_loaded(tmp_path):
    torch.manual_seed(0)
    for tied in (True, False):
        model = Transformer(TransformerConfig(30, 16, 2, 4, 2, 24, max_seq_len=32, tie_embeddings=tied))
        save_model(model, tmp_path / "model.safetensors")
        tokens = torch.arange(12)[None]
        assert torch.equal(load_model(tmp_path / "model.safetensors")(tokens), model(tokens))
