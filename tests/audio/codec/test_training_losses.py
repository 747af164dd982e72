"""The codec's losses against their formulas, the balancer against gradients taken one by one."""

import math

import pytest
import torch
from torch import nn

from nimblelm.audio.codec.balancer import Balancer
from nimblelm.audio.codec.discriminator import DiscriminatorConfig, Judged, MultiScaleSTFTDiscriminator
from nimblelm.audio.codec.losses import adversarial_loss, discriminator_loss, feature_loss, mel_loss, time_loss


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def judged(*logits: float) -> list[Judged]:
    return [Judged(torch.full((1, 1, 2, 2), one), [torch.full((1, 3), one)]) for one in logits]


def test_hinge_losses_by_hand():
    real, fake = judged(2.0, 0.5), judged(-3.0, 0.25)
    assert adversarial_loss(fake).item() == pytest.approx((4 + 0.75) / 2)
    assert discriminator_loss(real, fake).item() == pytest.approx(((0 + 0) + (0.5 + 1.25)) / 2)
    assert feature_loss(real, fake).item() == pytest.approx((5 / 2 + 0.25 / 0.5) / 2)


def test_features_of_the_real_sound_get_no_gradient():
    real = [Judged(torch.zeros(1, 1, 1, 1), [torch.ones(1, 3, requires_grad=True)])]
    fake = [Judged(torch.zeros(1, 1, 1, 1), [torch.zeros(1, 3, requires_grad=True)])]
    feature_loss(real, fake).backward()
    assert real[0].features[0].grad is None
    assert fake[0].features[0].grad is not None


def test_reconstruction_losses_vanish_only_where_nothing_differs():
    x, y = random(2, 4_000), random(2, 4_000, seed=1)
    assert time_loss(x, x).item() == 0
    assert mel_loss(x, x).item() == pytest.approx(1e-6, abs=1e-6)
    assert time_loss(x, y).item() == pytest.approx((x - y).abs().mean().item())
    assert mel_loss(x, y).item() > 0.1


def test_the_mel_loss_is_deaf_to_phase_and_the_time_loss_is_not():
    t = torch.arange(8_000) / 16_000
    x, shifted = (0.3 * torch.sin(2 * math.pi * 500 * t + p)[None] for p in (0.0, math.pi))
    other = 0.3 * torch.sin(2 * math.pi * 900 * t)[None]
    assert mel_loss(x, shifted) < 0.2 * mel_loss(x, other)
    assert time_loss(x, shifted) > time_loss(x, other)


def test_gradients_of_the_mel_loss_are_finite_in_silence():
    x, y = torch.zeros(1, 3_000), torch.zeros(1, 3_000, requires_grad=True)
    mel_loss(x, y).backward()
    assert y.grad.isfinite().all()


def test_discriminators_learn_to_tell_noise_from_a_tone():
    torch.manual_seed(0)
    judges = MultiScaleSTFTDiscriminator(DiscriminatorConfig((256, 64), 4))
    optimizer = torch.optim.Adam(judges.parameters(), 1e-2)
    tone = 0.3 * torch.sin(torch.arange(1_500) * 0.3).expand(4, -1)
    for i in range(60):
        loss = discriminator_loss(judges(tone), judges(random(4, 1_500, seed=i)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.7  # it begins at 2
    assert len(judges(tone)) == 2
    assert [len(one.features) for one in judges(tone)] == [5, 5]


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0, 2.0, 3.0]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.weight


def test_shares_are_those_of_the_weights_whatever_the_losses_scale():
    decoder, balancer = Decoder(), Balancer({"small": 1.0, "large": 3.0})
    x = random(5, 3)
    output = decoder(x)
    losses = {"small": 1e-4 * output.square().sum(), "large": 1e6 * (output - 1).abs().sum()}
    gradients = {name: torch.autograd.grad(loss, output, retain_graph=True)[0] for name, loss in losses.items()}
    norms = {name: g.norm(dim=1).mean() for name, g in gradients.items()}
    want = sum(share * gradients[n] / norms[n] for n, share in (("small", 0.25), ("large", 0.75)))
    told = balancer.backward(losses, output)
    torch.testing.assert_close(decoder.weight.grad, (want * x).sum(0))
    assert told == pytest.approx({name: norm.item() for name, norm in norms.items()})


def test_the_running_mean_forgets_slowly_and_begins_without_bias():
    balancer, seen = Balancer({"a": 1.0}, decay=0.5), []
    for scale in (1.0, 3.0):
        weight = torch.ones(1, 1, requires_grad=True)
        output = 1 * weight
        balancer.backward({"a": scale * output.sum()}, output)
        seen.append(weight.grad.item())
    assert seen == pytest.approx([1.0, 3 / ((0.5 * 1 + 3) / 1.5)])
    again = Balancer({"a": 1.0}, decay=0.5)
    again.load_state_dict(balancer.state_dict())
    assert again.state_dict() == balancer.state_dict()


def test_what_does_not_fit_is_refused():
    output = torch.ones(1, 1, requires_grad=True)
    with pytest.raises(ValueError, match=r"must be some of"):
        Balancer({"a": 1.0}).backward({"b": output.sum()}, output)
    with pytest.raises(ValueError, match=r"one of them above 0"):
        Balancer({"a": 0.0})
    with pytest.raises(ValueError, match=r"decay 1"):
        Balancer({"a": 1.0}, decay=1.0)
    with pytest.raises(ValueError, match=r"the same shape"):
        time_loss(torch.zeros(1, 4), torch.zeros(1, 5))
    with pytest.raises(ValueError, match=r"alpha -1"):
        mel_loss(random(1, 4_000), random(1, 4_000), alpha=-1.0)
    with pytest.raises(ValueError, match=r"\[0\] discriminators"):
        adversarial_loss([])
    with pytest.raises(ValueError, match=r"as many of both"):
        discriminator_loss(judged(1.0), judged(1.0, 2.0))
    with pytest.raises(ValueError, match=r"n_ffts"):
        DiscriminatorConfig(())
    with pytest.raises(ValueError, match=r"too short"):
        MultiScaleSTFTDiscriminator(DiscriminatorConfig((256,), 2))(torch.zeros(1, 100))


def test_a_balancer_that_cannot_go_on_has_changed_nothing():
    """A gradient that is not finite would stay in the running means for ever; and neither may one loss of two count."""
    balancer, x = Balancer({"a": 1.0, "b": 1.0}), torch.ones(2, 3, requires_grad=True)
    output = 2 * x
    balancer.backward({"a": output.sum(), "b": output.square().sum()}, output)
    before = balancer.state_dict()
    output, x.grad = 2 * x, None
    with pytest.raises(ValueError, match="'b'"):
        balancer.backward({"a": output.sum(), "b": (output * torch.nan).sum()}, output)
    with pytest.raises(RuntimeError):
        balancer.backward({"a": output.sum(), "b": torch.ones((), requires_grad=True)}, output)
    assert balancer.state_dict() == before
    assert x.grad is None


def test_a_norm_beyond_half_precision_is_still_a_norm():
    x = torch.ones(1, 4, dtype=torch.float16, requires_grad=True)
    output = x * 1
    norms = Balancer({"a": 1.0}).backward({"a": (output * 60_000.0).sum()}, output)
    assert norms["a"] == pytest.approx(120_000, rel=1e-3)
    assert torch.allclose(x.grad, torch.full_like(x, 0.5))
