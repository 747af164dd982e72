"""The labels and the counts of the heads' training."""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "training"))

from nimblelm.inference.medusa.heads import MedusaConfig, MedusaHeads
from train_medusa import NUM_HEADS, PROMPT, TOP, ahead, top_accuracies


def test_head_k_is_to_guess_the_token_k_places_after_the_next():
    tokens = torch.arange(20).repeat(2, 1) + torch.tensor([[0], [100]])
    labels = ahead(tokens)
    assert labels.shape == (2, 20 - 1 - NUM_HEADS, NUM_HEADS)
    for t in range(labels.shape[1]):
        for k in range(1, NUM_HEADS + 1):
            assert labels[1, t, k - 1] == 100 + t + 1 + k


def test_accuracies_count_written_places_only():
    torch.manual_seed(0)
    length = PROMPT + 12
    tokens, states = torch.randint(30, (3, length)), torch.randn(3, length, 8)
    heads = MedusaHeads(MedusaConfig(NUM_HEADS, 8, 30))
    got = top_accuracies(heads, tokens, states)
    assert got.shape == (NUM_HEADS, TOP)
    for k in range(NUM_HEADS):
        hits = [
            int(heads(states[row, t])[k].argmax()) == int(tokens[row, t + 2 + k])
            for row in range(3)
            for t in range(PROMPT, length - 1 - NUM_HEADS)
        ]
        torch.testing.assert_close(got[k, 0], torch.tensor(hits).float().mean())
