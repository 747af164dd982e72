"""Labels of a conversation: the checks that a student sees and runs."""

import torch

from autograder.checks import MISSING_RETURN, CheckFailed, check, expect_equal, expect_tensor, fail

END = 2


def labelled(call, tokens, speaker, max_length):
    got = call("conversation_labels", tokens.clone(), speaker.clone(), END, max_length)
    return expect_tensor(got, "the labels", shape=(min(len(tokens), max_length),), dtype="int", dims="T")


def expect_refused(call, tokens, speaker, max_length, why):
    try:
        got = call("conversation_labels", tokens.clone(), speaker.clone(), END, max_length)
    except CheckFailed as failure:
        if failure.raised != "ValueError":
            raise
        return
    if got is None:
        fail(f"the labels are None{MISSING_RETURN} No label survives ({why}), so a ValueError is due")
    fail(f"no label survives ({why}), and nothing was raised: a ValueError is due", got=got)


@check("labels")
def a_conversation_of_two_turns(call, rng):
    """user 5 6, assistant 7 8, end; user 9, assistant 7, end."""
    tokens = torch.tensor([5, 6, 7, 8, END, 9, 7, END])
    speaker = torch.tensor([1, 1, 2, 2, 0, 1, 2, 0])
    got = labelled(call, tokens, speaker, 20)
    want = [-100, -100, 7, 8, END, -100, 7, END]
    hint = (
        "the end token behind an answer is learned too"
        if got.tolist() == [-100, -100, 7, 8, -100, -100, 7, -100]
        else ""
    )
    expect_equal(got.tolist(), want, "the labels", hint)


@check("labels")
def nothing_survives_the_cut(call, rng):
    """The answer begins behind max_length."""
    tokens, speaker = torch.tensor([5, 6, 9, 7, END]), torch.tensor([1, 1, 1, 2, 0])
    expect_refused(call, tokens, speaker, 3, "the answer is cut off")
    expect_equal(labelled(call, tokens, speaker, 4).tolist(), [-100, -100, -100, 7], "the labels of 4 tokens")
