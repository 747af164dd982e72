"""Peak memory of calls whose peak is known."""

import torch

from nimblelm.measure.peak_memory import peak_bytes


def test_tensors_held_together_add_up():
    assert peak_bytes(lambda: (torch.zeros(1000), torch.zeros(500, dtype=torch.float64))) == 8000


def test_what_was_freed_does_not_count_again():
    def call():
        for _ in range(5):
            torch.zeros(1000)

    assert peak_bytes(call) == 4000


def test_views_and_results_in_place_cost_nothing():
    x = torch.zeros(1000)
    assert peak_bytes(lambda: x.view(10, 100).add_(1)[3:].T) == 0


def test_a_temporary_counts_while_it_lives():
    x = torch.zeros(1000)
    assert peak_bytes(lambda: (x * 2).sum()) == 4004
    assert peak_bytes(lambda: (x * 2 + 1) * 3) == 8000  # the first is freed before the third is made


def test_inputs_do_not_count_and_nothing_is_left_behind():
    x = torch.zeros(1000)
    first = peak_bytes(lambda: x + 1)
    assert [first, peak_bytes(lambda: x + 1)] == [4000, 4000]
