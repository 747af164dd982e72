"""What the visible checks of several exercises share."""

import torch

from autograder.checks import Remote, expect_tensor, fail

P = torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1], [0.5, 0.25, 0.25], [0.2, 0.2, 0.6]])
Q = torch.tensor([[0.25, 0.5, 0.25], [0.4, 0.2, 0.4], [0.25, 0.25, 0.5]])
GREEDY, AT_ONE = (Remote("nimblelm.inference.decoding.sampling:Sampling", temperature) for temperature in (0.0, 1.0))


def markov(*distribution):
    """A model that has the same distribution after every token."""
    return Remote("nimblelm.inference.speculative.markov:MarkovModel", torch.tensor([distribution] * len(distribution)))


SEVERAL = (
    "several blocks came at once, and the chapter's loop is over the tokens of one; work along the last dimensions and "
    "leave the leading ones alone"
)


ONE_BLOCK = dict.fromkeys(("RuntimeError", "IndexError", "ValueError"), SEVERAL)


class CountingModel:
    """The likeliest token after x is x + step, modulo 8. It knows which rows of its cache were written."""

    def __init__(self, name, step, sequence=()):
        self.name, self.step, self.rows, self.calls = name, step, list(sequence), []

    def __call__(self, tokens, position=None):
        if position is None:
            fail(f"the {self.name} was called without a position; call it as {self.name}(tokens, position)")
        if not isinstance(tokens, torch.Tensor) or tokens.ndim != 1:
            fail(f"the {self.name} takes a tensor of tokens (T,); x[None] makes one of a single token x", got=tokens)
        if len(tokens) == 0:
            fail(f"the {self.name} was called without a token: where there is nothing to read, do not call it")
        if position < 0:
            fail(f"the {self.name} was called at position {position}: one token has no token before it")
        if position > len(self.rows):
            self._unwritten(position)
        self.calls.append((tokens.tolist(), position))
        self.rows[position:] = tokens.tolist()
        return 2.0 * torch.nn.functional.one_hot((tokens.long() + self.step) % 8, 8)

    def _unwritten(self, position):
        if not self.calls and not self.rows:
            why = "read the prompt, all but its last token, before the first round"
        elif self.name == "draft":
            why = (
                "after a full acceptance the draft has not read its own last proposal, so a round begins with the last "
                "two tokens of the sequence, and each call goes on behind all tokens of the call before"
            )
        else:
            why = "its block begins with the last token of the sequence, at position n - 1"
        row = f"row {len(self.rows)} of its cache was never written"
        fail(f"the {self.name} was called at position {position}, but {row}: {why}")


def tokens_of(got, what) -> list:
    return expect_tensor(got, what, shape=(None,), dtype="int").tolist()
