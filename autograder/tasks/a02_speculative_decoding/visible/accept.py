"""The acceptance rule: the checks that a student sees and runs."""

import torch

from autograder.checks import check, expect_equal, expect_tensor, explained, fail
from autograder.tasks.a02_speculative_decoding.visible.shared import ONE_BLOCK, P, Q


def _given(*args):
    """Without the last argument where it is None: a single block may come without its length."""
    return args[:-1] if args[-1] is None else args


def kept_of_one(call, p, q, tokens, uniforms, length=None):
    """How many tokens of a single block are kept, as a number where it is one."""
    got = call("accept", *_given(p, q, tokens, uniforms, length))
    if isinstance(got, torch.Tensor) and got.ndim:
        shape = tuple(got.shape)
        fail("one block came, so one number goes back, a tensor of shape (): count along the last dimension", got=shape)
    return int(got) if isinstance(got, torch.Tensor) and not got.is_floating_point() else got


def kept_of_several(call, p, q, tokens, uniforms, lengths=None):
    """How many tokens of each block are kept, (...) for tokens (..., G)."""
    with explained(**ONE_BLOCK):
        got = call("accept", *_given(p, q, tokens, uniforms, lengths))
    blocks = tuple(tokens.shape[:-1])
    if isinstance(got, int):
        fail("one number came back for several blocks: each has its own", got=got, blocks=blocks)
    return expect_tensor(got, "the numbers of kept tokens", shape=blocks, dtype="int").long()


@check("accept")
def a_block_is_kept_up_to_its_first_rejection(call, rng):
    """A block of three whose second token is rejected keeps one token."""
    got = kept_of_one(call, P, Q, torch.tensor([0, 2, 1]), torch.tensor([0.9, 0.5, 0.1]))
    if got == 2:
        fail("the second token is rejected, so neither it nor what follows it counts", got=got, want=1)
    if isinstance(got, int) and got > 3:
        fail("more than were drafted: a (G, 1) and a (G,) tensor give a (G, G) one; bring p, q and u to (G,)", got=got)
    if got == 0:
        fail("the first token has p/q = 2, so it is kept whatever u is; is the ratio or the comparison turned round?")
    expect_equal(got, 1, "number of kept tokens")


@check("accept")
def the_given_uniform_decides(call, rng):
    """A token with p/q = 1/2 is kept for u = 0.4 and rejected for u = 0.6."""
    for uniform, want in ((0.4, 1), (0.6, 0)):
        got = kept_of_one(call, P[:2], Q[:1], torch.tensor([1]), torch.tensor([uniform]))
        hint = "p/q alone does not decide, nor which token is likeliest: compare it with the u that is given, draw none"
        expect_equal(got, want, f"number of kept tokens for p/q = 0.5 and u = {uniform}", hint=hint)


@check("accept")
def each_token_is_verified_by_itself(call, rng):
    """Two tokens with p/q = 1/2: u = (0.4, 0.4) keeps both, u = (0.4, 0.6) the first alone."""
    for uniforms, want, hint in (
        ((0.4, 0.4), 2, "each token has a ratio of its own; where each has a number too, do not multiply"),
        ((0.4, 0.6), 1, "each token has a uniform number of its own"),
    ):
        got = kept_of_one(call, P[[0, 0, 0]], Q[[0, 0]], torch.tensor([1, 1]), torch.tensor(uniforms))
        expect_equal(got, want, f"number of kept tokens for u = {uniforms}", hint=hint if got == 3 - want else "")


@check("accept")
def one_number_serves_a_block(call, rng):
    """One u for two tokens with p/q = 1/2 is compared with 1/2, then with 1/4; for p/q = 2, 1/2, 2 with 1, 1/2, 1/2."""
    for uniform, want in ((0.2, 2), (0.4, 1), (0.6, 0)):
        got = kept_of_one(call, P[[0, 0, 0]], Q[[0, 0]], torch.tensor([1, 1]), torch.tensor([uniform]))
        hint = "one number for the block: compare it with the product of min(1, p/q) over this token and all before it"
        expect_equal(got, want, f"number of kept tokens for p/q = 0.5, 0.5 and the one u = {uniform}", hint=hint)
    for uniform, want in ((0.4, 3), (0.7, 1)):
        got = kept_of_one(call, P[[0, 0, 0, 0]], Q[[0, 0, 0]], torch.tensor([0, 1, 0]), torch.tensor([uniform]))
        hint = "the products are 1, 1/2 and 1/2: limit each ratio to 1 before you multiply"
        expect_equal(got, want, f"number of kept tokens for p/q = 2, 0.5, 2 and the one u = {uniform}", hint=hint)


@check("accept")
def an_impossible_token_is_never_kept(call, rng):
    """With greedy distributions (a single 1 in each row) what disagrees is rejected, even for u = 0."""
    rows = torch.eye(4)
    got = kept_of_one(call, rows[[2, 1, 3, 0]], rows[[2, 0, 3]], torch.tensor([2, 0, 3]), torch.zeros(3))
    hint = "strictly u < p/q, so 0 < 0 rejects; where 0/0 comes up, look at the drafted token's own p and q only"
    expect_equal(got, 1, "number of kept tokens", hint=hint)


@check("accept")
def all_tokens_can_be_kept(call, rng):
    """A block whose every p/q lies above u is kept whole."""
    got = kept_of_one(call, P, Q, torch.tensor([0, 1, 1]), torch.tensor([0.99, 0.99, 0.99]))
    expect_equal(
        got, 3, "number of kept tokens", hint="u < p/q holds for all three; the last row of target_probs plays no part"
    )


@check("accept")
def several_blocks_are_verified_at_once(call, rng):
    """Three blocks (3, G) keep one, three and no tokens; as (1, 3, G) the same; cut to (3, 1) at most one."""
    tokens = torch.tensor([[0, 2, 1], [0, 1, 1], [1, 1, 1]])
    uniforms = torch.tensor([[0.9, 0.5, 0.1], [0.99, 0.99, 0.99], [0.6, 0.1, 0.1]])
    block = P.expand(3, 4, 3), Q.expand(3, 3, 3), tokens, uniforms
    hint = "each block is counted up to its own first rejection"
    expect_equal(kept_of_several(call, *block), torch.tensor([1, 3, 0]), "kept tokens of three blocks", hint=hint)
    got = kept_of_several(call, *(x[None] for x in block))
    expect_equal(got, torch.tensor([[1, 3, 0]]), "kept tokens of (1, 3) blocks", hint=hint)
    single = block[0][:, :2], block[1][:, :1], tokens[:, :1], uniforms[:, :1]
    hint = "`squeeze()` drops every dimension of size 1, `squeeze(-1)` the last alone"
    expect_equal(kept_of_several(call, *single), torch.tensor([1, 1, 0]), "kept tokens of blocks of one", hint=hint)


@check("accept")
def padding_is_never_kept(call, rng):
    """Three blocks that would be kept whole, of lengths 2, 0 and 3 in rows of three."""
    tokens, uniforms = torch.tensor([[0, 1, 1]] * 3), torch.full((3, 3), 0.1)
    lengths = torch.tensor([2, 0, 3])
    got = kept_of_several(call, P.expand(3, 4, 3), Q.expand(3, 3, 3), tokens, uniforms, lengths)
    hint = "only the first `lengths` tokens of a row were drafted: the comparison counts where the position is below"
    expect_equal(got, lengths, "kept tokens of blocks of lengths 2, 0 and 3", hint=hint)
