"""Decoding with a cache: the hidden checks."""

import functools

import torch

from autograder.checks import Callback, Remote, Trial, check, expect_equal, expect_tensor, fail, integer, speed_check
from autograder.tasks.a01_decoding_and_its_cost.oracles import VOCAB_SIZE, HeldModel

COUNTED = "calls are counted only where they give the right tokens"


def call_decoder(call, model, prompt, count, eos=None):
    got = call("cached_generate", Callback(model), torch.tensor(prompt), count, eos, model.chunk_size)
    return expect_tensor(got, "the new tokens", shape=(None,), dtype="int").tolist()


def random_prompt(rng, length):
    return torch.randint(0, VOCAB_SIZE, (length,), generator=rng()).tolist()


@check("decode", points=1)
def the_text_is_that_of_greedy_decoding(call, rng):
    """Random models and prompts: the tokens of decoding without a cache."""
    for length in (1, 2, 3, *(integer(rng, 4, 20) for _ in range(6))):
        model = HeldModel(rng, chunk_size=integer(rng, 1, 4))
        prompt = random_prompt(rng, length)
        expect_equal(
            call_decoder(call, model, prompt, 25),
            model.greedy(prompt, 25),
            f"25 new tokens after a prompt of {length} in chunks of {model.chunk_size}",
            hint="which row of the logits belongs to the token written last, and at which position?",
        )


@check("decode", points=1)
def the_number_of_new_tokens_is_exact(call, rng):
    """As many tokens as were asked for, one included."""
    for count in (1, 2, 9) * 3:
        model, prompt = HeldModel(rng, chunk_size=4), random_prompt(rng, 6)
        expect_equal(call_decoder(call, model, prompt, count), model.greedy(prompt, count), f"{count} new tokens")


@check("decode", points=1)
def the_end_token_ends_the_text(call, rng):
    """The answer ends just after the first new end token; one in the prompt does not count."""
    for count in (15, VOCAB_SIZE - 1) * 4:  # the smaller so few that some token does not come
        model, prompt = HeldModel(rng, chunk_size=3), random_prompt(rng, 5)
        free = model.greedy(prompt, count)
        absent = next((token for token in range(VOCAB_SIZE) if token not in free), prompt[0])
        for eos in sorted({0, *free[:4], prompt[0], prompt[-1], absent}):
            want = free[: free.index(eos) + 1] if eos in free else free
            hint = "keep it and stop; look at new tokens only; 0 is a token like any other"
            if len(want) == 1:
                hint = "the first new token of all is the end token: look at what the prompt's last call gives, too"
            got = call_decoder(call, model, prompt, count, eos)
            expect_equal(got, want, f"the answer up to end token {eos}", hint=hint)


@check("decode", points=1)
def the_prompt_is_prefilled_in_chunks(call, rng):
    """The first calls bring the prompt in full chunks, the last one what is left; later calls a single token each."""
    for chunk_size, length in ((4, 8), (3, 7), (9, 4), *((integer(rng, 2, 6), integer(rng, 7, 30)) for _ in range(4))):
        model, prompt = HeldModel(rng, chunk_size), random_prompt(rng, length)
        got = call_decoder(call, model, prompt, 8)
        want = [(prompt[i : i + chunk_size], i) for i in range(0, length, chunk_size)]
        what = f"the first {len(want)} calls (tokens, position) for a prompt of {length} in chunks of {chunk_size}"
        hint = "a pass over a chunk is as deep as one over a single token: fill each but the last"
        expect_equal(model.calls[: len(want)], want, what, hint=hint)
        later = [len(tokens) for tokens, _ in model.calls[len(want) :]]
        expect_equal(later, [1] * len(later), "tokens of later calls")
        expect_equal(got, model.greedy(prompt, 8), "the answer of these calls", hint=COUNTED)


@check("decode", points=1)
def no_token_is_read_twice(call, rng):
    """The judge counts: prompt and new tokens but the last, once each."""
    for count in (1, 12):
        model, prompt = HeldModel(rng, chunk_size=4), random_prompt(rng, 10)
        got = call_decoder(call, model, prompt, count)
        read = sum(len(tokens) for tokens, _ in model.calls)
        expect_equal(
            read,
            len(prompt) + count - 1,
            "tokens read in all calls",
            hint="what the cache holds is not read again, and nobody needs the last token's row",
        )
        expect_equal(got, model.greedy(prompt, count), "the answer of these calls", hint=COUNTED)
    free, prompt = [0], [0]
    while free[-1] in [0, *prompt]:  # an end token in the prompt, or of number 0, is another check's
        model, prompt = HeldModel(rng, chunk_size=2), random_prompt(rng, 4)
        free = model.greedy(prompt, 5)
    written = call_decoder(call, model, prompt, 12, free[-1])
    read = sum(len(tokens) for tokens, _ in model.calls)
    hint = "stop at the end token: what is read and written after it is discarded"
    what = f"tokens read for an answer of {len(written)} that an end token ends"
    expect_equal(read, len(prompt) + len(written) - 1, what, hint=hint)
    expect_equal(written, free[: free.index(free[-1]) + 1], "the answer of these calls", hint=COUNTED)


@functools.cache
def timed_model():
    from nimblelm.inference.speculative.agreeing_pair import agreeing_pair

    return agreeing_pair(num_layers=2).target


@speed_check(
    "decode",
    function="cached_generate",
    points=3,
    thresholds=[(1.0, 0), (2.5, 3)],
    baselines={
        "reading the whole sequence for each token": ":rereading_generate",
        "our cached decoding": "nimblelm.inference.decoding.autoregressive:generate",
    },
)
def decoding_is_faster_than_reading_everything_again(rng):
    """Time on a transformer of two layers, by the judge's clock."""
    count, model = 24, Remote(":small_model", keep=True)
    prompt = torch.randint(0, timed_model().config.vocab_size, (160,), generator=rng())

    def verify(got):
        tokens = expect_tensor(got, "the new tokens", shape=(count,), dtype="int").long()
        with torch.inference_mode():
            logits = timed_model()(torch.cat([prompt, tokens])[None, :-1])[0, len(prompt) - 1 :]
        behind = (logits.max(-1).values - logits.gather(1, tokens[:, None])[:, 0]).max()
        if behind > 1e-3:  # ties that rounding decides are nobody's mistake
            fail("the timed answer is not the greedy one of the model")

    return Trial(
        args=(model, prompt, count, None, 64),
        verify=verify,
        baseline_args={"our cached decoding": (model, prompt, count)},
    )
