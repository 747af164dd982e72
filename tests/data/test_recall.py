"""The recall task: every question has one answer, and it stands where the distance says."""

import torch

from nimblelm.data.recall import recall_batch


def test_answers_are_the_values_of_the_pairs_at_that_distance():
    batch = recall_batch(5, 24, 6, torch.Generator().manual_seed(0))
    for row in range(5):
        values = dict(zip(batch.keys[row, :24].tolist(), batch.values[row, :24].tolist(), strict=True))
        assert sorted(values) == list(range(24))
        for question, key in enumerate(batch.keys[row, 24:].tolist()):
            assert batch.answers[row, question] == values[key]
            place = 24 + question - batch.distances[row, question]
            assert batch.keys[row, place] == key
    assert (batch.values[:, 24:] == 6).all()


def test_distances_reach_from_near_to_far():
    batch = recall_batch(50, 24, 6, torch.Generator().manual_seed(0))
    assert batch.distances.min() < 4
    assert batch.distances.max() > 44
