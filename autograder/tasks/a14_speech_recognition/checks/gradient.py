"""The gradient of a trellis: the hidden checks."""

import math

import torch

from autograder.checks import check, expect_close, expect_tensor, integer
from autograder.tasks.a14_speech_recognition.oracles import backward_nodes, forward_nodes, log_softmax, states_of


def trellis_of(rng, labels, frames, blank, size, thrown=0.0, sharp=2.0):
    """Log-probabilities, alpha and beta; some nodes are thrown away, in pairs of frames that keep a way through."""
    log_probs = log_softmax(rng, frames, size, sharp)
    alpha, _ = forward_nodes(log_probs, labels, [], blank)
    beta = backward_nodes(log_probs, labels, blank)
    away = torch.rand(alpha.shape, generator=rng()) < thrown
    away[:, 1::2] &= torch.rand(alpha[:, 1::2].shape, generator=rng()) < 0.5
    away[-1] = False
    return log_probs, alpha.masked_fill(away, -math.inf), beta.masked_fill(away, -math.inf)


def gradient_by_nodes(log_probs, alpha, beta, labels, blank):
    """The sum, node after node, of ratios to the last frame's sum."""
    both, states = alpha + beta, states_of(labels, blank)
    total, want = both[-1].logsumexp(0), log_probs.exp()
    for t in range(len(both)):
        for s, label in enumerate(states):
            want[t, label] -= math.exp(float(both[t, s] - total))
    return want


@check("gradient", points=1)
def pruned_trellises_node_by_node(call, rng):
    """Labels that occur twice, any label the blank, a third of the nodes thrown away."""
    for labels in ([1, 2, 1], [3, 3], [2, 1, 3, 2]):
        blank = integer(rng, 0, 4)
        renamed = [(label + blank) % 5 for label in labels]
        log_probs, alpha, beta = trellis_of(rng, renamed, 10, blank, 5, 0.33)
        got = expect_tensor(call("gradient", log_probs, alpha, beta, renamed, blank), "the gradient", shape=(10, 5))
        expect_close(got, gradient_by_nodes(log_probs, alpha, beta, renamed, blank), "the gradient", 1e-8, 1e-6)


@check("gradient", points=1)
def a_long_sound_keeps_its_gradient(call, rng):
    """Three hundred frames: alpha and beta alone are 0 as plain numbers."""
    labels = torch.randint(1, 5, (20,), generator=rng()).tolist()
    log_probs, alpha, beta = trellis_of(rng, labels, 300, 0, 5, 0.05, 12.0)
    got = expect_tensor(call("gradient", log_probs, alpha, beta, labels, 0), "the gradient", shape=(300, 5))
    expect_close(got, gradient_by_nodes(log_probs, alpha, beta, labels, 0), "the gradient", 1e-7, 1e-5)
    both = alpha + beta
    share = (both - both[-1].logsumexp(0)).exp()[:, 1::2]
    want = (torch.arange(300.0, dtype=torch.float64)[:, None] * share).sum(0) / share.sum(0)
    expect_close(call("times", alpha, beta), want, "the times", 1e-4, 1e-5)


@check("gradient", points=1)
def labels_that_no_path_says(call, rng):
    """Every node of one label thrown away: its time is nan, those of the others stay."""
    labels = [1, 2, 3]
    _, alpha, beta = trellis_of(rng, labels, 9, 0, 4)
    gone = integer(rng, 0, 2)
    alpha[:, 2 * gone + 1] = -math.inf
    got = expect_tensor(call("times", alpha, beta), "the times", shape=(3,), dtype="float")
    share = (alpha + beta)[:, 1::2].exp()
    want = (torch.arange(9.0, dtype=torch.float64)[:, None] * share).sum(0) / share.sum(0)
    others = [i for i in range(3) if i != gone]
    expect_close(got[others], want[others], "the times of the others", 1e-6, 1e-5)
    expect_close(got.isnan().long(), want.isnan().long(), "which times are nan")


@check("gradient", points=1)
def nothing_left_and_nothing_said(call, rng):
    """No path: zeros. No labels: only blanks are wanted, and there are no times."""
    log_probs, alpha, beta = trellis_of(rng, [1, 2], 6, 0, 3)
    alpha[-1] = -math.inf
    expect_close(call("gradient", log_probs, alpha, beta, [1, 2], 0), torch.zeros(6, 3), "the gradient where p is 0")
    log_probs, alpha, beta = trellis_of(rng, [], 5, 2, 3)
    want = log_probs.exp() - torch.tensor([0.0, 0.0, 1.0])
    expect_close(call("gradient", log_probs, alpha, beta, [], 2), want, "the gradient without labels", 1e-8, 1e-6)
    expect_tensor(call("times", alpha, beta), "the times of no labels", shape=(0,), dtype="float")
