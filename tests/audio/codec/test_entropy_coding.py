"""Bits against the entropy, and codes that come back."""

import math

import pytest
import torch

from nimblelm.audio.codec.arithmetic_coding import arithmetic_decode, arithmetic_encode, cumulative_frequencies
from nimblelm.audio.codec.code_model import CodeModel, CodeModelConfig, entropy_decode, entropy_encode


def distributions(count: int, size: int, sharpness: float) -> torch.Tensor:
    generator = torch.Generator().manual_seed(4)
    return (sharpness * torch.randn(count, size, generator=generator)).softmax(-1)


@pytest.mark.parametrize("size", [2, 37, 1024])
@pytest.mark.parametrize("sharpness", [0.0, 1.0, 8.0])
def test_symbols_come_back_and_cost_what_they_are_worth(size, sharpness):
    probs = distributions(400, size, sharpness)
    symbols = torch.multinomial(probs, 1, generator=torch.Generator().manual_seed(5))[:, 0].tolist()
    tables = [cumulative_frequencies(row) for row in probs]
    bits = arithmetic_encode(zip(symbols, tables, strict=True))
    worth = sum(math.log2(t[-1] / (t[s + 1] - t[s])) for s, t in zip(symbols, tables, strict=True))
    assert worth - 1 < len(bits) < worth + 4
    decoder = arithmetic_decode(bits)
    next(decoder)
    assert [decoder.send(table) for table in tables] == symbols


def test_what_is_all_but_impossible_costs_but_comes_back():
    probs = torch.tensor([1.0, 0.0, 0.0])
    table = cumulative_frequencies(probs)
    bits = arithmetic_encode([(1, table), (0, table), (2, table)])
    assert 30 < len(bits) < 36
    decoder = arithmetic_decode(bits)
    next(decoder)
    assert [decoder.send(table) for _ in range(3)] == [1, 0, 2]


def test_frequencies_are_whole_ordered_and_near_the_probabilities():
    probs = distributions(1, 1024, 3.0)[0]
    table = cumulative_frequencies(probs)
    steps = torch.tensor(table).diff()
    assert table[0] == 0
    assert table[-1] == 1 << 16
    assert steps.min() >= 1
    assert (steps / 65_536 - probs).abs().max() < 0.02


@pytest.fixture
def model() -> CodeModel:
    torch.manual_seed(0)
    return CodeModel(CodeModelConfig(3, 20, 8)).eval().requires_grad_(False)


def codes(frames: int = 25) -> torch.Tensor:
    return torch.randint(20, (3, frames), generator=torch.Generator().manual_seed(6))


def test_code_after_code_is_what_the_whole_predicts(model):
    log_probs, given = model(codes()[None])[0], codes()
    predictions = model.frames()
    row = next(predictions)
    for t in range(25):
        for k in range(3):
            torch.testing.assert_close(row.log(), log_probs[k, t], atol=1e-5, rtol=1e-5)
            row = predictions.send(int(given[k, t]))


def test_a_code_is_predicted_from_the_past_and_from_lower_books_only(model):
    changed = codes()
    changed[1, 10] = (changed[1, 10] + 1) % 20
    before, after = model(codes()[None])[0], model(changed[None])[0]
    same = (before == after).all(-1)
    assert same[:, :10].all()
    assert same[:2, 10].all()
    assert not same[2, 10]
    assert not same[:, 11].any()


def test_codes_are_entropy_coded_and_back(model):
    given = codes()
    bits = entropy_encode(model, given)
    assert torch.equal(entropy_decode(model, bits, 25), given)
    worth = -model(given[None])[0].gather(-1, given[..., None]).sum().item() / math.log(2)
    assert abs(len(bits) - worth) < 8


def test_what_does_not_fit_is_refused(model):
    with pytest.raises(ValueError, match=r"a distribution"):
        cumulative_frequencies(torch.tensor([0.5, 0.4]))
    with pytest.raises(ValueError, match=r"a distribution"):
        cumulative_frequencies(torch.tensor([math.nan, 1.0]))
    with pytest.raises(ValueError, match=r"symbol 2 of 2"):
        arithmetic_encode([(2, [0, 1, 2])])
    with pytest.raises(ValueError, match=r"3 codebooks of 20"):
        model(codes()[None, :2])
    with pytest.raises(ValueError, match=r"within 0 and 19"):
        entropy_encode(model, codes() + 1)
    with pytest.raises(ValueError, match=r"3 rows"):
        entropy_encode(model, codes()[:2])
    with pytest.raises(ValueError, match=r"0 frames"):
        entropy_decode(model, [], 0)


def test_frequencies_beyond_the_coders_precision_are_refused():
    """With more than a quarter of its numbers a symbol's part of the interval could be empty, and coding never end."""
    most = 1 << 30
    bits = arithmetic_encode([(0, [0, 1, most]), (1, [0, 1, most])])
    decoder = arithmetic_decode(bits)
    next(decoder)
    assert [decoder.send([0, 1, most]) for _ in range(2)] == [0, 1]
    for cumulative in ([0, 1, most + 1], [0, 1, 2**33], [0, 0]):
        with pytest.raises(ValueError, match="frequenc"):
            arithmetic_encode([(0, cumulative)])
        decoder = arithmetic_decode(bits)
        next(decoder)
        with pytest.raises(ValueError, match="frequenc"):
            decoder.send(cumulative)
