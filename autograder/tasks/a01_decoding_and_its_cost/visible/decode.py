"""Decoding with a cache: the checks that a student sees and runs."""

import torch

from autograder.checks import Callback, check, expect_equal, expect_tensor, fail


class CountingModel:
    """The token after x is x + 1, modulo 8. It knows which rows of its cache were written, and every call."""

    def __init__(self, chunk_size):
        self.rows, self.calls, self.chunk_size = [], [], chunk_size

    def __call__(self, tokens, position=None):
        if position is None:
            fail("the model was called without a position; call it as model(tokens, position)")
        if not isinstance(tokens, torch.Tensor) or tokens.ndim != 1:
            fail("the model takes a tensor of tokens (T,); x[None] makes one of a single token x", got=tokens)
        tokens = expect_tensor(tokens, "the tokens given to the model", dtype="int")
        if len(tokens) > self.chunk_size:
            fail(f"a call brought {len(tokens)} tokens, more than chunk_size = {self.chunk_size}", position=position)
        if position > len(self.rows):
            fail(
                f"the model was called at position {position}, but row {len(self.rows)} of its cache was never written"
            )
        self.calls.append((tokens.tolist(), position))
        self.rows[position:] = tokens.tolist()
        return torch.nn.functional.one_hot((tokens.long() + 1) % 8, 8).float() * 30


def decode(call, model, prompt, count, eos_token=None):
    """The new tokens as a list."""
    got = call("cached_generate", Callback(model), torch.tensor(prompt), count, eos_token, model.chunk_size)
    tokens = expect_tensor(got, "the new tokens", shape=(None,), dtype="int", dims="N").tolist()
    if tokens[: len(prompt)] == prompt and len(tokens) > count:
        fail("return the new tokens only, without the prompt", got=tokens)
    return tokens


@check("decode")
def a_counting_model_counts_on(call, rng):
    """A model that counts upwards goes on counting."""
    for prompt in ([5, 6, 7], [7]):
        got = decode(call, CountingModel(chunk_size=4), prompt, 5)
        expect_equal(got, [0, 1, 2, 3, 4], f"five new tokens after {prompt}")


@check("decode")
def the_prompt_is_read_in_chunks_and_then_token_by_token(call, rng):
    """Calls with two tokens of the prompt each, the last with what is left, then one for each token but the last."""
    model = CountingModel(chunk_size=2)
    decode(call, model, [3, 4, 5, 6, 7], 4)
    want = [([3, 4], 0), ([5, 6], 2), ([7], 4), ([0], 5), ([1], 6), ([2], 7)]
    if any(position == 0 for _, position in model.calls[1:]):
        fail("the sequence is read again from position 0: the cache keeps what was read", calls=model.calls[:3])
    hint = "each call brings what no call has brought; the prompt's last row of logits gives the first token"
    expect_equal(model.calls, want, "the calls (tokens, position) with chunks of 2", hint=hint)


@check("decode")
def the_text_ends_just_after_the_end_token(call, rng):
    """A new end token is kept and ends the answer, be it the first of all; one in the prompt does not."""
    model = CountingModel(chunk_size=4)
    got = decode(call, model, [2], 6, eos_token=3)
    hint = "the first new token, which the prompt's last call gives, may be the end token: look at it, too"
    expect_equal(got, [3], "the new tokens where the first of all is the end token", hint=hint)
    for prompt in ([0], [2, 3, 0]):
        model = CountingModel(chunk_size=4)
        got = decode(call, model, prompt, 6, eos_token=3)
        expect_equal(got, [1, 2, 3], f"the new tokens after {prompt} up to end token 3", hint="keep it, then stop")
        hint = "stop at the end token: what is read after it is discarded"
        expect_equal(len(model.calls), 3, f"the number of calls after {prompt} up to end token 3", hint=hint)
