"""Rules of renaming that would lose or misplace weights."""

import pytest
import torch

from nimblelm.nn.weight_names import renamed


@pytest.mark.parametrize("rows", [4, 7])
def test_parts_that_are_not_equal_are_refused(rows):
    with pytest.raises(ValueError, match=f"the {rows} rows of qkv.weight are not 3 equal parts"):
        renamed({"qkv.weight": torch.ones(rows, 2)}, {"qkv": "q + k + v"})


def test_two_weights_of_one_name_are_refused():
    with pytest.raises(ValueError, match=r"b.weight is renamed to q.weight"):
        renamed({"a.weight": torch.ones(2), "b.weight": torch.ones(2)}, {"a": "q", "b": "q"})
