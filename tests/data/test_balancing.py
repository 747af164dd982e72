"""MetaCLIP's balancing: matches by hand, and how many of a common and of a rare entry are kept."""

import pytest
import torch

from nimblelm.data.balancing import balanced, keep_probabilities, matches


def test_entries_are_whole_words_in_any_case():
    captions = ["A Red apple", "pineapples", "red-hot C++ (apple)", "nothing"]
    assert matches(captions, ["apple", "red", "c++", "red apple"]) == [[0, 1, 3], [], [0, 1, 2], []]


def test_all_of_a_rare_entry_is_kept_and_the_limit_of_a_common_one():
    found = [[0]] * 4000 + [[1]] * 50 + [[0, 1]] * 10 + [[]] * 30
    assert keep_probabilities(found, 3, 200).tolist() == [200 / 4010, 1.0, 1.0]
    kept = balanced(found, 3, 200, torch.Generator().manual_seed(0))
    assert set(range(4000, 4060)) <= set(kept), "the rare entry keeps its pairs, also those of the common one"
    assert not set(range(4060, 4090)) & set(kept), "what matches nothing is dropped"
    assert 160 < len([one for one in kept if one < 4000]) < 240


def test_a_pair_of_two_common_entries_has_two_chances():
    found = [[0, 1]] * 8000
    kept = len(balanced(found, 2, 800, torch.Generator().manual_seed(1))) / 8000
    assert kept == pytest.approx(1 - 0.9**2, abs=0.015)


def test_what_is_no_limit_and_no_entry_is_refused():
    with pytest.raises(ValueError, match="limit of 0"):
        keep_probabilities([[0]], 1, 0)
    with pytest.raises(ValueError, match="entries 0 to 3 are not numbers below 3"):
        balanced([[0, 3]], 3, 5, torch.Generator())
