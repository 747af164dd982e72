"""The checks that a student sees and runs: one small case each, and a guess at what went wrong."""

import torch

from autograder.engine import (
    MISSING_RETURN,
    Callback,
    Remote,
    check,
    expect_close,
    expect_equal,
    expect_tensor,
    explained,
    fail,
    seed,
)

P = torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1], [0.5, 0.25, 0.25], [0.2, 0.2, 0.6]])
Q = torch.tensor([[0.25, 0.5, 0.25], [0.4, 0.2, 0.4], [0.25, 0.25, 0.5]])
GREEDY, AT_ONE = (Remote("nimblelm.inference.sampling:Sampling", temperature) for temperature in (0.0, 1.0))


def markov(*law):
    """A model that has the same law after every token."""
    return Remote("nimblelm.inference.markov:MarkovModel", torch.tensor([law] * len(law)))


def kept_of_one(call, p, q, tokens, uniforms):
    """How many tokens of a single block are kept, as a number where it is one."""
    got = call("accept", p, q, tokens, uniforms)
    if isinstance(got, torch.Tensor) and got.ndim:
        shape = tuple(got.shape)
        fail("one block came, so one number goes back, a tensor of shape (): count along the last dimension", got=shape)
    return int(got) if isinstance(got, torch.Tensor) and not got.is_floating_point() else got


def kept_of_several(call, p, q, tokens, uniforms):
    """How many tokens of each block are kept, (...) for tokens (..., G)."""
    blocks = tuple(tokens.shape[:-1])
    meaning = (
        f"draft_tokens is {tuple(tokens.shape)}, several blocks at once, and the chapter's loop is over the tokens of "
        "one; work along the last dimensions and leave the leading ones alone"
    )
    with explained(RuntimeError=meaning, IndexError=meaning, ValueError=meaning):
        got = call("accept", p, q, tokens, uniforms)
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
def each_token_is_judged_by_itself(call, rng):
    """Two tokens with p/q = 1/2: u = (0.4, 0.4) keeps both, u = (0.4, 0.6) the first alone."""
    for uniforms, want, hint in (
        ((0.4, 0.4), 2, "each token has a ratio of its own; do not multiply it by those before"),
        ((0.4, 0.6), 1, "each token has a uniform number of its own"),
    ):
        got = kept_of_one(call, P[[0, 0, 0]], Q[[0, 0]], torch.tensor([1, 1]), torch.tensor(uniforms))
        expect_equal(got, want, f"number of kept tokens for u = {uniforms}", hint=hint if got == 3 - want else "")


@check("accept")
def an_impossible_token_is_never_kept(call, rng):
    """With greedy laws (a single 1 in each row) what disagrees is rejected, even for u = 0."""
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
def several_blocks_are_judged_at_once(call, rng):
    """Three blocks (3, G) keep one, three and no tokens; as (1, 3, G) they keep the same."""
    tokens = torch.tensor([[0, 2, 1], [0, 1, 1], [1, 1, 1]])
    uniforms = torch.tensor([[0.9, 0.5, 0.1], [0.99, 0.99, 0.99], [0.6, 0.1, 0.1]])
    block = P.expand(3, 4, 3), Q.expand(3, 3, 3), tokens, uniforms
    hint = "each block is counted up to its own first rejection"
    expect_equal(kept_of_several(call, *block), torch.tensor([1, 3, 0]), "kept tokens of three blocks", hint=hint)
    got = kept_of_several(call, *(x[None] for x in block))
    expect_equal(got, torch.tensor([[1, 3, 0]]), "kept tokens of (1, 3) blocks", hint=hint)


@check("residual")
def a_rejection_draws_from_the_residual(call, rng):
    """After a rejection comes max(0, p - q) at that position, divided by its sum."""
    for kept, want in ((1, [0.0, 1.0, 0.0]), (2, [1.0, 0.0, 0.0])):
        got = call("next_token_probs", P, Q, kept)
        if isinstance(got, int) or (isinstance(got, torch.Tensor) and got.ndim == 0):
            fail("return the law of the next token, a probability for each of the V tokens, not the token", got=got)
        got = expect_tensor(got, "the law of the next token", shape=(3,)).float()
        if not got.isfinite().all():
            hint = "cut p - q off below zero before you divide; uncut it sums to 0"
        elif torch.allclose(got.sum(), torch.tensor(1.0), atol=1e-4):
            hint = _mistaken_residual(got, P[kept], Q[kept])
        else:
            hint = "a law sums to 1: divide by the sum"
        expect_close(got, torch.tensor(want), f"the law after {kept} kept tokens", hint=hint)


def _mistaken_residual(got, p, q) -> str:
    """What a law is that should be the residual, as far as it can be guessed."""
    guesses = {
        "this is p itself, and tokens that the draft offers often would come out too often": p,
        "this is made of q - p; it is the target's surplus that is missing, p - q": (q - p).clamp(min=0),
        "|p - q| also has what the draft offers too often; cut below zero instead": (p - q).abs(),
        "where p is the larger, q still has to be taken away from it": p.where(p >= q, 0),
        "a softmax gives mass to tokens that the residual rules out; divide by the sum": (p - q).clamp(min=0).exp(),
    }
    fitting = [hint for hint, law in guesses.items() if torch.allclose(got, law / law.sum(), atol=1e-4)]
    return fitting[0] if fitting else "row num_accepted of both tables is the rejected position"


@check("residual")
def a_full_acceptance_draws_the_bonus_token(call, rng):
    """After a full acceptance comes the target's law at the position after the block."""
    meaning = (
        "all three drafted tokens were kept, so no position was rejected, and draft_probs has no row num_accepted; "
        "look for this case first"
    )
    with explained(IndexError=meaning):
        got = call("next_token_probs", P, Q, 3)
    expect_close(got, P[3], "the law of the bonus token", hint="it is the last row of target_probs, taken as it is")


@check("residual")
def an_empty_residual_leaves_the_target(call, rng):
    """Where p equals q, exactly or up to rounding, nothing is left to divide: the law is p."""
    hint = "the residual sums to 0 there: do not divide by it, return p as it came (p -= q changes it)"
    expect_close(call("next_token_probs", P, P[:3], 0), P[0], "the law where p equals q", hint=hint)
    got = call("next_token_probs", P.nextafter(torch.zeros(())), P[:3], 0)
    expect_close(got, P[0], "the law where each p lies one rounding step below q", hint="look at the residual's sum")


@check("residual")
def only_a_sum_of_zero_is_empty(call, rng):
    """Where p lies above q by a single rounding step at one token, all of the residual lies there."""
    p = P.clone()
    p[0, 1] = p[0, 1].nextafter(torch.ones(()))
    got = call("next_token_probs", p, P[:3], 0)
    hint = "this residual sums to 3e-8, which is not 0: divide by it, there is no threshold"
    expect_close(got, torch.tensor([0.0, 1.0, 0.0]), "the law where p lies a rounding step above q", hint=hint)


class CountingModel:
    """The likeliest token after x is x + step, modulo 8. It knows which rows of its cache were written."""

    def __init__(self, name, step, text=()):
        self.name, self.step, self.rows, self.calls = name, step, list(text), []

    def __call__(self, tokens, position=None):
        if position is None:
            fail(f"the {self.name} was called without a position; call it as {self.name}(tokens, position)")
        if not isinstance(tokens, torch.Tensor) or tokens.ndim != 1:
            fail(f"the {self.name} takes a tensor of tokens (T,); x[None] makes one of a single token x", got=tokens)
        if len(tokens) == 0:
            fail(f"the {self.name} was called without a token: where there is nothing to read, do not call it")
        if position < 0:
            fail(f"the {self.name} was called at position {position}: a text of one token has no token before its last")
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
                "two tokens of the text, and each call goes on behind all tokens of the call before"
            )
        else:
            why = "its block begins with the last token of the text, at position n - 1"
        row = f"row {len(self.rows)} of its cache was never written"
        fail(f"the {self.name} was called at position {position}, but {row}: {why}")


ALL_DRAFTED = "draft_tokens are all that were drafted, kept or not, and nothing else"
NOT_A_LAW = "logits that did not go through `probabilities(logits, sampling)`"
ONE_MORE = "tokens are the kept ones and one more, without the text before"


def run_round(call, target, draft, text, length):
    """The fields of one greedy round; both caches must hold the text but for its last token, as it was before."""
    before = len(draft.calls)
    models = Callback(target), Callback(draft)
    nothing = "nothing was drafted, so there is nothing to stack, to judge or to subtract"
    flat = "a token without a dimension where one of shape (1,) is needed; x[None] gives it one"
    row = f"the target gives {length + 1} rows for {length} drafted tokens, numbered 0 to {length}"
    with explained(
        RuntimeError=flat if length else nothing,
        IndexError=row if length else nothing,
        ValueError=NOT_A_LAW if length else nothing,
    ):
        got = _round(call("speculative_round", *models, torch.tensor(text), length, GREEDY, None))
    read = sum(len(tokens) for tokens, _ in draft.calls[before:])
    if read > length + 2:
        fail("the draft reads too much: the last two tokens of the text, then each new one", got=read, want=length + 1)
    for model in (target, draft):
        if length and model.rows[: len(text) - 1] != text[:-1]:
            fail(f"the {model.name}'s cache no longer holds the text; did a block start at the wrong position?")
    tokens, drafted = _tokens(got["tokens"], "Round.tokens"), _tokens(got["draft_tokens"], "Round.draft_tokens")
    if len(drafted) != length:
        fail(ALL_DRAFTED, got=drafted, drafted=length)
    if len(tokens) != got["num_accepted"] + 1:
        fail(ONE_MORE, got=tokens, kept=got["num_accepted"])
    return tokens, got["num_accepted"], drafted


def _round(got):
    if got is None:
        fail(f"`speculative_round` returned None{MISSING_RETURN}")
    if not isinstance(got, dict) or not {"tokens", "num_accepted", "draft_tokens"} <= got.keys():
        fail("return Round(tokens, num_accepted, draft_tokens)", got=type(got).__name__)
    return got


@check("round")
def a_draft_that_agrees_gives_the_whole_block_and_a_bonus(call, rng):
    """Target and draft both count upwards: a draft of three yields four tokens, and so does the next round."""
    text = [5, 6, 7, 0]
    target, draft = CountingModel("target", 1, text[:-1]), CountingModel("draft", 1, text[:-1])
    for want in ([1, 2, 3, 4], [5, 6, 7, 0]):
        before = len(target.calls)
        tokens, kept, _ = run_round(call, target, draft, text, 3)
        expect_equal(len(target.calls) - before, 1, "calls of the target in a round", hint="one checks the whole block")
        block, position = target.calls[-1]
        expect_equal(position, len(text) - 1, "position of the target's block", hint="that of the text's last token")
        expect_equal(block, [text[-1], *want[:3]], "the target's block", hint="the last token, then the drafted ones")
        hint = "greedy laws agree here; did both models' logits go through `probabilities(logits, sampling)`?"
        expect_equal(kept, 3, "number of kept tokens", hint=hint)
        expect_equal(tokens, want, "the new tokens, the bonus token included")
        text = text + tokens


@check("round")
def a_draft_that_disagrees_gives_the_targets_token(call, rng):
    """The target counts by one, the draft by two: one token comes, the target's. All that was drafted is returned."""
    for text, want_drafted, want in (([3, 4], [6, 0, 2], [5]), ([4], [6, 0, 2], [5])):
        target, draft = CountingModel("target", 1, text[:-1]), CountingModel("draft", 2, text[:-1])
        tokens, kept, drafted = run_round(call, target, draft, text, 3)
        expect_equal(drafted, want_drafted, "the drafted tokens", hint="each goes on from the one before")
        expect_equal(kept, 0, "number of kept tokens")
        expect_equal(tokens, want, "the new tokens")


@check("round")
def a_draft_length_of_zero_is_a_plain_step(call, rng):
    """Nothing is drafted and nothing judged: one token comes, from the target."""
    target, draft = CountingModel("target", 1, [3]), CountingModel("draft", 1, [3])
    tokens, kept, drafted = run_round(call, target, draft, [3, 4], 0)
    expect_equal((tokens, kept, drafted), ([5], 0, []), "new tokens, number kept, drafted tokens")


def expect_a_greedy_round(call):
    """What is wrong with any round is said in the words of a greedy one, before rounds are drawn."""
    run_round(call, CountingModel("target", 1, [1]), CountingModel("draft", 1, [1]), [1, 0], 2)


def sampled_rounds(call, count, *request):
    """The fields of many rounds that drafted two tokens each, one below the other."""
    with explained(ValueError=NOT_A_LAW):
        got = _round(call.many("speculative_round", count, *request))
    if got["draft_tokens"].shape != (count, 2) or (got["draft_tokens"] < 0).any():
        fail(ALL_DRAFTED)
    if got["tokens"].shape[1] <= got["num_accepted"].max():
        fail(ONE_MORE)
    return got


@check("round")
def a_sampled_round_draws_from_both_laws(call, rng):
    """At temperature 1 the target says 0 and 1 alike, the draft says 0 three times in four: a rejected 0 gives 1."""
    expect_a_greedy_round(call)
    request = markov(0.5, 0.5), markov(0.75, 0.25), torch.tensor([1, 0]), 2, AT_ONE, seed(rng)
    got, again = (sampled_rounds(call, 200, *request) for _ in range(2))
    drafted, kept = got["draft_tokens"], got["num_accepted"]
    following = got["tokens"].gather(1, kept[:, None])[:, 0]
    if (drafted == drafted[0]).all():
        fail("200 rounds drafted the same tokens: sample them from the draft's law, and never seed the generator")
    if not all(torch.equal(got[name], again[name]) for name in got):
        fail("the same generator gave other rounds: hand `generator` to everything that is random")
    if (following[kept < 2] == 0).any():
        fail("a token 0 was rejected and 0 came in its place: draw it from your next_token_probs, not from p")
    if (following[kept == 2] == 0).all() or (following[kept == 2] == 1).all():
        fail("the token after a full acceptance is always the same: draw it from its law")
    if not (kept[(drafted == 0).all(1)] == 1).any():
        fail("of two drafted zeros either both were kept or none: each needs a uniform number of its own")


@check("round")
def a_draft_equal_to_the_target_is_always_kept(call, rng):
    """At temperature 1/2 target and draft have one law, so p/q = 1 and every drafted token is kept."""
    expect_a_greedy_round(call)
    half = Remote("nimblelm.inference.sampling:Sampling", 0.5)
    request = markov(0.75, 0.25), markov(0.75, 0.25), torch.tensor([1, 0]), 2, half, seed(rng)
    kept = sampled_rounds(call, 100, *request)["num_accepted"]
    hint = "judge a token by the law that it was drawn from: both models' logits go through `probabilities`, once"
    expect_equal(int((kept < 2).sum()), 0, "rounds of 100 in which a token was rejected", hint=hint)


def decode(call, target, draft, prompt, max_new_tokens, length, eos_token=None):
    models = Callback(target), Callback(draft)
    got = call("speculative_generate", *models, torch.tensor(prompt), max_new_tokens, length, GREEDY, None, eos_token)
    tokens = _tokens(got, "the result")
    if not target.calls:
        fail("the target was never called: a text comes by rounds, and each asks it once")
    if tokens[: len(prompt)] == prompt and len(tokens) > max_new_tokens:
        fail("return the new tokens only, without the prompt", got=tokens)
    if len(tokens) > max_new_tokens:
        fail(f"{len(tokens)} tokens came, {max_new_tokens} were asked for", got=tokens)
    if max(position + len(block) for block, position in target.calls) > len(prompt) + max_new_tokens - 1:
        fail("a round drafted more than can still be used: with r tokens to come, draft at most r - 1")
    return tokens


@check("decoder")
def the_text_is_that_of_plain_decoding(call, rng):
    """A target that counts upwards goes on counting, whatever the draft proposes and however short the prompt is."""
    for step in (1, 2):
        for prompt in ([6, 7], [7]):
            got = decode(call, CountingModel("target", 1), CountingModel("draft", step), prompt, 6, 3)
            expect_equal(got, [0, 1, 2, 3, 4, 5], f"six new tokens after {prompt}, the draft counting by {step}")


@check("decoder")
def a_good_draft_saves_passes_of_the_target(call, rng):
    """With a draft of three that agrees, eight tokens take the prompt's pass and two more."""
    target = CountingModel("target", 1)
    decode(call, target, CountingModel("draft", 1), [5, 6, 7], 8, 3)
    expect_equal(len(target.calls), 3, "calls of the target", hint="read the prompt once, then draft in every round")


@check("decoder")
def the_prompt_is_prefilled_but_for_its_last_token(call, rng):
    """The first call of either model reads the prompt at position 0, all but its last token."""
    target, draft = CountingModel("target", 1), CountingModel("draft", 1)
    decode(call, target, draft, [5, 6, 7], 8, 3)
    for model in (target, draft):
        hint = "a round begins with the last token of the text: leave it to the first round"
        what = f"the first call of the {model.name} (tokens, position)"
        expect_equal(model.calls[0] if model.calls else None, ([5, 6], 0), what, hint=hint)


@check("decoder")
def the_text_ends_just_after_the_end_token(call, rng):
    """A new end token in the middle of a kept block ends the text there, one in the prompt does not."""
    hint = "keep the end token, drop what follows; look for it among the new tokens, in the whole block"
    for prompt in ([0], [3, 0]):
        got = decode(call, CountingModel("target", 1), CountingModel("draft", 1), prompt, 7, 5, eos_token=3)
        expect_equal(got, [1, 2, 3], f"the new tokens after {prompt} up to end token 3", hint=hint)
    got = decode(call, CountingModel("target", 1), CountingModel("draft", 1), [5], 7, 5, eos_token=0)
    expect_equal(got, [6, 7, 0], "the new tokens after [5] up to end token 0", hint="0 is a token, not `no end token`")


@check("decoder")
def the_generator_reaches_every_round(call, rng):
    """At temperature 1 two generators give two texts, and the same generator gives the same text again."""
    models = markov(0.25, 0.25, 0.25, 0.25), markov(0.4, 0.3, 0.2, 0.1)
    first, second = seed(rng), seed(rng)
    one, same, other = (
        _tokens(call("speculative_generate", *models, torch.tensor([1, 0]), 12, 3, AT_ONE, each, None), "the result")
        for each in (first, first, second)
    )
    if one != same:
        fail("the same generator gave another text: hand `generator` to every round", got=same, want=one)
    if one == other:
        fail("two generators gave the same text: hand `sampling` and `generator` on as they came, never seed", got=one)


@check("speedup")
def formulas_give_hand_computed_values(call, rng):
    """Small cases that can be worked out by hand."""
    rate = call("token_acceptance_rate", [3, 0, 2])
    expect_close(rate, 5 / 3, "TAR of 3, 0 and 2 kept tokens", hint="their sum over the number of rounds")
    got = call("expected_tokens", 0.5, 2)
    expect_close(got, 1.75, "expected tokens for a = 1/2 and G = 2", hint="the sum 1 + 1/2 + 1/4 has G + 1 terms")
    with explained(ZeroDivisionError="the closed form is 0/0 for a = 1; every token is kept there, so count them"):
        got = call("expected_tokens", 1.0, 3)
    expect_close(got, 4.0, "expected tokens for a = 1 and G = 3", hint="the closed form is 0/0 there")
    got = call("predicted_speedup", 0.5, 2, 0.25)
    expect_close(got, 1.75 / 1.5, "speedup", hint="1.75 tokens for two draft steps of 0.25 and a check of 1")


@check("speedup")
def the_best_draft_length_is_from_zero_to_the_maximum(call, rng):
    """Length 0 where drafting costs more than it yields, or just as much; the maximum where each token more pays."""
    hint = "compare predicted speedups, not tokens, and return the length; 0 and the maximum are allowed"
    expect_equal(call("best_draft_length", 0.1, 0.5, 8), 0, "best length for a = 0.1 and c = 0.5", hint=hint)
    expect_equal(call("best_draft_length", 0.9, 0.01, 4), 4, "best length for a = 0.9 and c = 0.01", hint=hint)
    hint = "lengths 0 and 1 both give a speedup of 1; of equally good lengths take the smallest"
    expect_equal(call("best_draft_length", 0.5, 0.5, 3), 0, "best length for a = c = 0.5", hint=hint)


def _tokens(got, what) -> list:
    return expect_tensor(got, what, shape=(None,), dtype="int").tolist()
