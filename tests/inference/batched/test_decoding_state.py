"""How sequences grow: counts, limits, the end of text, and what the report says of it."""

import torch

from nimblelm.inference.batched.decoding_state import DecodingState, report_row


def started(history: int = 2, max_new_tokens=(10, 10, 10), max_draft_length: int = 3) -> DecodingState:
    """Three sequences of 1, 2 and 4 tokens."""
    state = DecodingState.allocate(3, history, max_draft_length, torch.device("cpu"))
    prompts = torch.tensor([[1, 0, 0, 0], [2, 3, 0, 0], [4, 5, 6, 7]])
    state.begin(prompts, torch.tensor([1, 2, 4]), torch.tensor(max_new_tokens))
    return state


def reports(state: DecodingState, draft_length: int):
    return [report_row(numbers, draft_length) for numbers in state.report.tolist()]


def test_texts_begin_with_the_ends_of_their_prompts():
    assert started().recent[1:].tolist() == [[2, 3], [6, 7]]
    assert started(history=4).recent[2].tolist() == [4, 5, 6, 7]
    assert started().length.tolist() == [1, 2, 4]
    assert started().limit.tolist() == [11, 12, 14]


def test_each_text_grows_by_its_own_count():
    state = started(history=3)
    block = torch.arange(30, 42).reshape(3, 4)
    state.advance(block, torch.tensor([1, 4, 2]), None, block[:, :3])
    assert state.length.tolist() == [2, 6, 6]
    assert state.recent[1:].tolist() == [[35, 36, 37], [7, 38, 39]]
    assert state.recent[0].tolist()[1:] == [1, 30]
    assert [r.grown for r in reports(state, 3)] == [1, 4, 2]
    assert [r.num_accepted for r in reports(state, 3)] == [0, 3, 1]
    assert [r.tokens for r in reports(state, 3)] == [[30], [34, 35, 36, 37], [38, 39]]
    assert reports(state, 3)[2].draft_tokens == [38, 39, 40]


def test_a_limit_cuts_a_block_and_a_finished_text_stands_still():
    state = started(max_new_tokens=(2, 3, 1))
    block = torch.arange(30, 42).reshape(3, 4)
    state.advance(block, torch.tensor([4, 4, 4]), None)
    assert state.length.tolist() == state.limit.tolist() == [3, 5, 5]
    assert state.recent.tolist() == [[30, 31], [35, 36], [7, 38]]
    before = [part.clone() for part in state[:3]]
    state.advance(block + 1, torch.tensor([2, 1, 4]), 31)
    assert all(torch.equal(a, b) for a, b in zip(before, state[:3], strict=True))
    assert [r.grown for r in reports(state, 0)] == [0, 0, 0]


def test_the_first_end_of_text_within_the_count_ends_a_text():
    state = started()
    block = torch.tensor([[9, 8, 9, 8], [8, 8, 8, 9], [8, 9, 9, 8]])
    state.advance(block, torch.tensor([4, 3, 4]), 9)
    assert state.length.tolist() == [2, 5, 6]
    assert state.limit.tolist() == [2, 12, 6]
    assert state.recent.tolist() == [[1, 9], [8, 8], [8, 9]]
    assert [r.grown for r in reports(state, 0)] == [1, 3, 2]


def test_an_end_of_text_past_the_limit_does_not_count():
    state = started(max_new_tokens=(1, 10, 2))
    state.advance(torch.tensor([[8, 9], [8, 9], [8, 9]]), torch.tensor([2, 2, 2]), 9)
    assert state.length.tolist() == [2, 4, 6]
    assert state.limit.tolist() == [2, 4, 6]
