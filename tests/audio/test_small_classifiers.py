"""The pooled and the framewise classifier, by their definitions."""

import pytest
import torch

from nimblelm.audio.frame_classifier import FrameClassifier, FrameClassifierConfig
from nimblelm.audio.pooled_mlp import PooledMLP, PooledMLPConfig, statistics


def random(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def test_statistics_are_those_of_the_own_frames_in_any_order():
    x, lengths = random(3, 4, 9), torch.tensor([9.0, 1.0, 5.0])
    x[1, :, 1:], x[2, :, 5:] = 1e6, float("nan")
    got = statistics(x, lengths)
    for row, length in enumerate([9, 1, 5]):
        own = x[row, :, :length]
        torch.testing.assert_close(got[row], torch.cat([own.mean(1), own.std(1, correction=0)]))
    mixed = x[:1, :, torch.randperm(9, generator=torch.Generator().manual_seed(1))]
    torch.testing.assert_close(statistics(mixed), got[:1])


@pytest.mark.parametrize("lengths", [[0.0], [10.0], [float("nan")]])
def test_lengths_out_of_range_are_refused(lengths):
    with pytest.raises(ValueError, match="within 1 and 9"):
        statistics(random(1, 4, 9), torch.tensor(lengths))


def test_the_pooled_classifier_sees_what_the_training_set_was_scaled_by():
    torch.manual_seed(0)
    model, pooled = PooledMLP(PooledMLPConfig(4, 3)), random(50, 8) * 7 + 3
    model.fit_statistics(pooled)
    scaled = (pooled - pooled.mean(0)) / pooled.std(0)
    torch.testing.assert_close(model(pooled), model.head(model.up_proj(scaled).relu()))


def test_a_frame_is_judged_by_its_neighbourhood_alone():
    torch.manual_seed(0)
    model, x = FrameClassifier(FrameClassifierConfig(3, 2, context=2)), random(1, 3, 12)
    before, changed = model(x), x.clone()
    changed[..., 6] += 1
    moved = (model(changed) - before).abs().amax((0, 1)) > 1e-6
    assert moved.nonzero()[:, 0].tolist() == [4, 5, 6, 7, 8]
    row = torch.nn.functional.pad(x, (2, 2))[0, :, 5:10]
    hidden = (model.context.weight * row).sum((1, 2)) + model.context.bias
    want = model.head.weight[..., 0] @ hidden.relu() + model.head.bias
    torch.testing.assert_close(before[0, :, 5], want)


def test_a_negative_context_is_refused():
    with pytest.raises(ValueError, match="context -1"):
        FrameClassifierConfig(3, context=-1)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_long_and_loud_utterances_have_statistics_in_half_precision(dtype):
    """3001 frames about 300 sum to 900,000, and bfloat16 has no 3001."""
    x, lengths = (300 + random(1, 4, 3_005)).to(dtype), torch.tensor([3001.0])
    x[..., 3001:] = -1
    got, want = statistics(x, lengths), statistics(x.double(), lengths)
    assert got.dtype == dtype
    torch.testing.assert_close(got.double(), want, rtol=1e-2, atol=1e-2)
