"""The encoder block: the checks that a student sees and runs."""

import torch

from autograder.checks import check, expect_close, expect_parts, expect_tensor, known_mistake


def plain(width=2, heads=1):
    """Weights with which both branches give 0; the gains of queries and keys are 1."""
    names = {"qkv": (3 * width, width), "out": (width, width), "up": (width, width), "down": (width, width)}
    weights = {name: torch.zeros(shape) for name, shape in names.items()}
    weights |= {f"{name}_bias": torch.zeros(shape[0]) for name, shape in names.items()}
    weights |= {"q_gain": torch.ones(width // heads), "k_gain": torch.ones(width // heads)}
    return weights | {f"norm{n}{end}": torch.full((width,), float(not end)) for n in (1, 2) for end in ("", "_bias")}


@check("block")
def branches_of_zero_leave_the_tokens_as_they_are(call, rng):
    """All matrices are 0: the output is the input, and attention is even over the tokens that are none of padding."""
    z = torch.tensor([[[1.0, 5.0], [2.0, -3.0], [9.0, 9.0]]])
    is_token = torch.tensor([[True, True, False]])
    out, attention = expect_parts(call("encoder_block", z, plain(), 1, is_token), "encoder_block", "out", "attention")
    out = expect_tensor(out, "the output", shape=(1, 3, 2), dtype="float", dims="B T D")
    guesses = {
        "the second half adds to z', the result of the first": torch.zeros(1, 2, 2),
        "a residual adds z itself, not what the norm made of it, and no norm comes after the sum": torch.tensor(
            [[[-1.0, 1.0], [1.0, -1.0]]]
        ),
    }
    expect_close(out[:, :2], z[:, :2], "the output", hint=known_mistake(out[:, :2], guesses))
    attention = expect_tensor(attention, "the attention", shape=(1, 1, 3, 3), dtype="float", dims="B H T T")
    guesses = {
        "a token sees all tokens, those after it too": torch.tensor([[1.0, 0, 0], [0.5, 0.5, 0]]),
        "give the columns of padding the score minus infinity before the softmax": torch.full((2, 3), 1 / 3),
        "rows of tokens add up to 1: hide padding before the softmax": torch.tensor([[1 / 3, 1 / 3, 0]] * 2),
    }
    got, want = attention[0, 0, :2], torch.tensor([[0.5, 0.5, 0.0]] * 2)
    expect_close(got, want, "the attention of the tokens", hint=known_mistake(got, guesses))


@check("block")
def values_are_mixed_head_by_head(call, rng):
    """Two heads of width 1, queries and keys 0, so both heads take means: of the first number, and of the second."""
    weights = plain(heads=2)
    weights["qkv"][4:] = weights["out"] = torch.eye(2)
    z = torch.tensor([[[1.0, -1.0], [-1.0, 1.0], [1.0, -1.0]]])
    out, _ = expect_parts(
        call("encoder_block", z, weights, 2, torch.ones(1, 3, dtype=torch.bool)), "encoder_block", "out", "attention"
    )
    guesses = {
        "move the heads behind the tokens again before you put them side by side": z
        + torch.tensor([[1, 1], [1, -1], [-1, -1]]) / 3,
        "the rows of qkv are those of all queries, then all keys, then all values": z + torch.tensor([0, -1 / 3]),
        "the second half adds to z', the result of the first": torch.zeros(1, 3, 2),
    }
    out, want = expect_tensor(out, "the output", shape=(1, 3, 2), dtype="float"), z + torch.tensor([1 / 3, -1 / 3])
    expect_close(out, want, "the output", 1e-4, 1e-4, known_mistake(out, guesses))


@check("block")
def queries_and_keys_are_brought_to_one_size(call, rng):
    """One head; the norm of the tokens is (1, -1) and (-1, 1), keys are 0.4 times that."""
    weights = plain()
    weights["qkv"] = torch.cat([torch.eye(2), 0.4 * torch.eye(2), torch.zeros(2, 2)])
    weights["q_gain"], weights["k_gain"] = torch.tensor([0.5, 0.5]), torch.tensor([1.0, 2.0])
    z = torch.tensor([[[1.0, -1.0], [-1.0, 1.0]]])
    got = expect_parts(
        call("encoder_block", z, weights, 1, torch.ones(1, 2, dtype=torch.bool)), "encoder_block", "out", "attention"
    )
    got = expect_tensor(got[1], "the attention", shape=(1, 1, 2, 2), dtype="float", dims="B H T T")[0, 0, 0]

    def between(product):
        """The attention where the token's own key gives this product, and the other one's minus this."""
        return torch.tensor([product, -product]).div(2**0.5).softmax(0)

    guesses = {
        "queries and keys are divided by the root of their mean square before they meet": between(0.8),
        "the gains do not replace the division by the root of the mean square": between(0.6),
        "multiply the normalised queries and keys by their gains": between(2.0),
        "divide by the root of the mean of the squares, not of their sum": between(0.75),
        "the scores are divided by the root of D / H": between(1.5 * 2**0.5),
    }
    expect_close(got, between(1.5), "the attention of the first token", 1e-4, 1e-4, known_mistake(got, guesses))
