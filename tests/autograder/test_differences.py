"""What differs is shown where it differs first, in a message of bearable length, and with the call that led to it."""

import pytest
import torch

from autograder.checks import (
    Callback,
    CheckFailed,
    Draws,
    expect_close,
    expect_equal,
    expect_tensor,
    explained,
    fail,
    seed,
)
from autograder.checks.calls import LocalCall
from autograder.reports.feedback import said_and_values
from autograder.wire.causes import GATED, begin_here


def message_of(expect, *args, **kwargs) -> str:
    with pytest.raises(CheckFailed) as failure:
        expect(*args, **kwargs)
    return str(failure.value)


def test_a_large_tensor_shows_its_first_wrong_number_and_the_largest_deviation() -> None:
    want = torch.arange(60.0).view(3, 4, 5)
    got = want.clone()
    got[1, 2, 3], got[2, 0, 0] = 33.5, 50.0
    said = message_of(expect_close, got, want, "the scores", hint="is it transposed?")
    assert said == (
        "wrong: the scores, off by up to 10 in 2 of 60 numbers; is it transposed? (at=[1, 2, 3], got=33.5, want=33.0)"
    )
    assert said_and_values(said)[1] == {"at": "[1, 2, 3]", "got": "33.5", "want": "33.0"}


def test_a_short_row_is_shown_whole() -> None:
    said = message_of(expect_close, torch.tensor([3.0, 6.0, 3.0]), torch.tensor([3.0, 3.0, 3.0]), "the means")
    assert said.endswith("(at=[1], got=[3.0, 6.0, 3.0], want=[3.0, 3.0, 3.0])")
    assert message_of(expect_close, 3.0, 4.0, "the rate") == "wrong: the rate, off by up to 1 (got=3.0, want=4.0)"


@pytest.mark.parametrize(("bad", "said"), [(float("nan"), "NaN"), (float("inf"), "infinity")])
def test_what_is_no_number_is_shown_with_its_place(bad: float, said: str) -> None:
    got = torch.zeros(10, 10)
    got[4, 7] = bad
    message = message_of(expect_close, got, torch.zeros(10, 10), "the keys")
    assert message.startswith(said)
    assert "at=[4, 7]" in message


def test_integer_and_bool_tensors_show_their_first_wrong_entry() -> None:
    want = torch.zeros(50, 2, dtype=torch.int64)
    got = want.clone()
    got[31, 1] = 4
    assert message_of(expect_equal, got, want, "the paths") == "wrong: the paths (at=[31, 1], got=4, want=0)"
    assert "at=[31, 1], got=True, want=False" in message_of(expect_equal, got > 0, want > 0, "the mask")
    assert message_of(expect_equal, want.float(), want, "the paths").endswith(
        "(got='float32 of shape (50, 2)', want='int64 of shape (50, 2)')"
    )


def test_long_lists_show_the_first_item_that_differs() -> None:
    want = [[number, number + 1] for number in range(200)]
    got = [list(one) for one in want]
    got[150][1] = 7
    assert message_of(expect_equal, got, want, "the slots") == "wrong: the slots (at=[150, 1], got=7, want=151)"
    assert "at=[199], got='nothing', want=[199, 200]" in message_of(expect_equal, want[:-1], want, "the slots")
    assert "(got=[1, 2], want=[1, 3])" in message_of(expect_equal, [1, 2], [1, 3], "the slots")


def test_shapes_have_the_names_of_their_dimensions() -> None:
    said = message_of(expect_tensor, torch.zeros(3, 2), "the keys", shape=(None, 4), dims="S D")
    assert said == "wrong shape: the keys (got=(3, 2), want=(S=any, D=4))"
    assert "want=(any, any)" in message_of(expect_tensor, torch.zeros(3), "the paths", shape=(None, None))
    assert "want=(N=2,)" in message_of(expect_close, torch.zeros(3), torch.zeros(2), "the paths", dims="N")
    assert "should be a tensor, not a list" in message_of(expect_tensor, [1], "the keys")


def test_numbers_of_things_are_written_as_in_a_sentence() -> None:
    said = {
        "the best tree of 1 nodes": "the best tree of 1 node",
        "a prompt of 1 new tokens, 11 rows, 2.1 keys": "a prompt of 1 new token, 11 rows, 2.1 keys",
        "1 heads on 1 queries; 1 guesses, 1 pass, 1 is": "1 head on 1 query; 1 guess, 1 pass, 1 is",
        "position 1 rows": "position 1 row",
    }
    for message, wanted in said.items():
        assert message_of(fail, message) == wanted


def test_an_exception_comes_with_the_call_that_led_to_it() -> None:
    def f(shape, x, batch, model, rng, last=1):
        return shape["a"] / batch

    call = LocalCall({"f": f})
    rng = seed(Draws(b"key"))
    said = message_of(call, "f", {"a": 1}, torch.zeros(3, 4), 0, Callback(len), rng, last=5)
    assert "raised ZeroDivisionError: “division by zero” (line" in said
    assert said.endswith("The call was `f({'a': 1}, a tensor (3, 4), 0, a function, a generator, last=5)`.")
    likely = r"The call was .*\. Most likely: a batch of 0\."
    with pytest.raises(CheckFailed, match=likely), explained(ZeroDivisionError="a batch of 0"):
        call("f", {"a": 1}, 0, 0, 0, 0)
    assert len(message_of(call, "f", {str(n): n for n in range(1000)}, "x" * 1000, 0, 0, 0)) < 700


def test_a_call_shows_no_numbers_of_a_tensor_wherever_it_lies() -> None:
    """They are those of hidden checks, too."""

    def f(*inputs):
        raise ValueError("no")

    x = torch.full((2, 3), 7.0)
    said = message_of(LocalCall({"f": f}), "f", (x, x[0]), [x], {"a": (x,)}, [1, 2], (3,))
    shown = "(a tensor (2, 3), a tensor (3,)), [a tensor (2, 3)], {'a': (a tensor (2, 3),)}, [1, 2], (3,)"
    assert said.endswith(f"The call was `f({shown})`.")


def test_a_name_that_is_missing_is_no_inputs_fault() -> None:
    assert "The call was" not in message_of(LocalCall({"f": lambda x: missing_name}), "f", 1)


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        (["a"], "Begin here: the first thing in this exercise that is wrong"),
        (["The cell raised X."] * 3, "Begin here: all 3 failed checks fail for this reason"),
        (["wrong: a token at 3 (got=1, want=2)", "wrong: a token at 14 (got=[0.5], want=[3])"], "both failed checks"),
        (["wrong: a; divide by the root of D (got=1)", "wrong: b; divide by the root of D (got=2)", "c"], "2 of the 3"),
        (["wrong: a", GATED, "other", "third"], "2 of the 4 failed checks fail for this reason, the other 2 may hang"),
        (["wrong: a", "wrong: b"], "Begin here: of the 2 failed checks the other may hang on it"),
        (["one", "two", "three"], "the other 2 may hang on it"),
        (["`f` (line 3) Most likely: the scale is a row's own.", "b Most likely: the scale is a row's own."], "both"),
    ],
)  # fmt: skip
def test_how_many_checks_hang_on_the_first_is_said(messages: list[str], said: str) -> None:
    assert said in begin_here(messages)
