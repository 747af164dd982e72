"""Our Q-Former against its twin, transformers' Blip2QFormerModel, and its three losses against brute force."""

import copy

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from transformers import Blip2QFormerConfig, Blip2QFormerModel

from nimblelm.multimodal.blip2 import Queries, QueriesConfig, RepresentationLearning
from nimblelm.multimodal.qformer import WEIGHT_NAMES, QFormer, QFormerConfig, from_qformer
from nimblelm.multimodal.qformer_losses import (
    contrastive_loss,
    hard_negatives,
    matching_loss,
    query_text_similarities,
    text_generation_mask,
)
from nimblelm.nn.attend import masked
from nimblelm.nn.checkpoint import load_weights
from nimblelm.nn.weight_names import renamed
from tests.language.perturbed import PRECISIONS, perturbed

SHAPES = [  # heads, width, layers, d_ff, width of the image, cross-attention every
    (3, 18, 3, 11, 7, 2),
    (1, 10, 2, 17, 10, 1),
    (4, 12, 4, 30, 5, 3),
]


def twin_of(shape=SHAPES[0], text=True, **changes) -> Blip2QFormerModel:
    heads, width, layers, d_ff, image, every = shape
    torch.manual_seed(0)
    config = dict(hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=d_ff)
    config |= dict(encoder_hidden_size=image, cross_attention_frequency=every, layer_norm_eps=1e-3)
    return perturbed(Blip2QFormerModel(Blip2QFormerConfig(use_qformer_text_input=text, **config | changes)))


def inputs(shape, dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(2, 7, shape[1], generator=generator, dtype=torch.float64)
    image = torch.randn(2, 6, shape[4], generator=generator, dtype=torch.float64)
    return x.to(dtype), image.to(dtype)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("num_queries", [7, 4])
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@torch.no_grad()
def test_states_agree_with_the_twin(shape, num_queries, dtype, tolerance):
    twin, (x, image) = twin_of(shape, text=num_queries < 7).to(dtype), inputs(shape, dtype)
    there = torch.tensor([[1] * 7, [1, 1, 1, 1, 1, 0, 0]])
    seen = torch.tensor([[1] * 6, [1, 1, 1, 1, 0, 0]])
    if num_queries < 7:  # the twin makes its mask of the image for all seven, and fails
        seen[:] = 1
    want = twin(
        query_embeds=x,
        query_length=num_queries,
        attention_mask=there,
        encoder_hidden_states=image,
        encoder_attention_mask=seen if num_queries == 7 else None,
    ).last_hidden_state
    attend, attend_image = masked(there.bool()[:, None, None]), masked(seen.bool()[:, None, None])
    got = from_qformer(twin)(x, image, num_queries, attend, attend_image)
    torch.testing.assert_close(got, want, atol=tolerance, rtol=tolerance)


def test_gradients_agree_and_saved_names_load(tmp_path):
    twin, (x, image) = twin_of(), inputs(SHAPES[0])
    model = from_qformer(copy.deepcopy(twin)).requires_grad_(True)
    twin(query_embeds=x, query_length=4, encoder_hidden_states=image).last_hidden_state.square().sum().backward()
    model(x, image, 4).square().sum().backward()
    want = renamed({name: one.grad for name, one in twin.named_parameters()}, WEIGHT_NAMES)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, want[name], atol=1e-9, rtol=1e-7)
    twin.save_pretrained(tmp_path)
    other = QFormer(model.config).double()
    load_weights(other, renamed(load_file(tmp_path / "model.safetensors"), WEIGHT_NAMES))
    assert torch.equal(other(x, image, 4), model(x, image, 4))


def test_what_does_not_fit_is_refused():
    model, (x, image) = from_qformer(twin_of(text=False)), inputs(SHAPES[0])
    with pytest.raises(ValueError, match="7 queries were given and no image"):
        model(x)
    with pytest.raises(ValueError, match="3 embeddings of text were given, the model reads none"):
        model(x, image, 4)
    with pytest.raises(ValueError, match="num_queries 8 is not between 0 and the 7"):
        model(x, image, 8)
    with pytest.raises(ValueError, match="hidden_act 'relu'"):
        from_qformer(twin_of(hidden_act="relu"))
    with pytest.raises(ValueError, match="cross_attention_every 0"):
        QFormerConfig(cross_attention_every=0)
    with pytest.raises(ValueError, match="sizes of 1 or more"):
        QueriesConfig(num_queries=0)


def test_the_best_query_counts_and_both_ways_are_told_apart():
    torch.manual_seed(0)
    queries, texts = F.normalize(torch.randn(3, 4, 5), dim=2), F.normalize(torch.randn(3, 5), dim=1)
    similar = query_text_similarities(queries, texts)
    for i in range(3):
        for j in range(3):
            assert similar[i, j] == pytest.approx(max(float(q @ texts[j]) for q in queries[i]), abs=1e-6)
    smooth, total = torch.full((3,), 0.1 / 3), 0.0
    for logits in (similar / 0.07, similar.T / 0.07):
        for i in range(3):
            target = smooth.clone()
            target[i] += 0.9
            total -= float((target * logits[i].log_softmax(0)).sum()) / 6
    assert float(contrastive_loss(similar)) == pytest.approx(total, abs=1e-5)


def test_hard_negatives_are_other_texts_the_more_alike_the_likelier():
    similar = torch.tensor([[0.9, 0.8, 0.1], [0.2, 0.9, 0.2], [0.7, 0.1, 0.9]])
    generator = torch.Generator().manual_seed(0)
    drawn = torch.stack([hard_negatives(similar, generator, 0.5) for _ in range(2000)])
    assert not (drawn == torch.arange(3)).any()
    want = float(torch.tensor([0.8, 0.1]).div(0.5).softmax(0)[0])
    assert float((drawn[:, 0] == 1).float().mean()) == pytest.approx(want, abs=0.03)
    assert float((drawn[:, 1] == 0).float().mean()) == pytest.approx(0.5, abs=0.04)


def test_matching_averages_the_logits_of_the_queries():
    logits = torch.randn(4, 3, 2, generator=torch.Generator().manual_seed(0))
    truth = torch.tensor([True, False, False, True])
    want = F.cross_entropy(logits.mean(1), truth.long())
    torch.testing.assert_close(matching_loss(logits, truth), want)


def test_words_see_queries_and_the_words_before_them_and_queries_see_no_word():
    want = torch.tensor([[1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]]).bool()
    assert torch.equal(text_generation_mask(2, 2), want)


def test_the_first_stage_learns_and_no_word_leaks_into_its_own_prediction():
    torch.manual_seed(0)
    shape = QFormerConfig(16, 2, 2, 16, 6, norm_eps=1e-5)
    model = RepresentationLearning(Queries(QueriesConfig(shape, 3, 5, 8)), vocab_size=12)
    features, captions = torch.randn(4, 5, 6), torch.randint(1, 12, (4, 6))
    there = torch.ones(4, 6, dtype=torch.bool)
    there[1, 4:] = False
    optimizer, generator = torch.optim.Adam(model.parameters(), 3e-3), torch.Generator().manual_seed(0)
    losses = []
    for _ in range(60):
        found = model.losses(features, captions, there, generator)
        losses.append({name: value.item() for name, value in found.items()})
        optimizer.zero_grad()
        torch.stack(list(found.values())).sum().backward()
        optimizer.step()
    assert all(losses[-1][name] < losses[0][name] for name in ("contrast", "matching", "generation"))
    changed = captions.clone()
    changed[:, 5] = 1  # the last word is predicted, never read
    asked = model.queries.queries.expand(4, -1, -1)
    states = []
    for words in (captions, changed):
        x = torch.cat([asked, model.embedding(words) + model.positions[:6]], 1)
        attend = masked(text_generation_mask(3, 6)[None, None])
        states.append(model.queries.qformer(x, features + model.queries.places, 3, attend)[:, :-1])
    assert torch.equal(states[0], states[1])
