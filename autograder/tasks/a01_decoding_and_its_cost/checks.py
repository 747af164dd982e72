"""The hidden checks. Inputs come from the run's key, expected values are computed in the judge, after the answer."""

import functools

import torch

from autograder.engine import (
    Callback,
    Remote,
    Trial,
    check,
    expect_close,
    expect_equal,
    expect_parts,
    expect_tensor,
    fail,
    speed_check,
)
from autograder.tasks.a01_decoding_and_its_cost.models import VOCAB_SIZE, HeldModel, attention_by_loops, slots_of
from autograder.tasks.a01_decoding_and_its_cost.visible import attend, extend, lists, plan, quantized


def integer(rng, low, high):
    """A random whole number from low to high, both included."""
    return int(torch.randint(low, high + 1, (), generator=rng))


# ---------------------------------------------------------------- attention through a cache


def attention_case(rng, length, position, num_heads=4, num_kv_heads=2, head_dim=8, rows=40, leftovers=5.0):
    """q, k, v, keys, values; rows after the block hold leftovers."""
    q = torch.randn(length, num_heads, head_dim, generator=rng)
    k, v = torch.randn(2, length, num_kv_heads, head_dim, generator=rng)
    keys, values = torch.randn(2, rows, num_kv_heads, head_dim, generator=rng)
    keys[position:], values[position:] = leftovers, leftovers
    return q, k, v, keys, values


@check("attend", points=1)
def one_token_sees_all_before_it_and_itself(call, rng):
    """A single token at any position, against attention written as loops in float64."""
    for position, head_dim in ((0, 8), (1, 5), (integer(rng, 2, 30), 8), (39, 16)):
        case = attention_case(rng, 1, position, head_dim=head_dim)
        out, *_ = attend(call, *case, position)
        expect_close(
            out,
            attention_by_loops(*case, position),
            f"a token at position {position}, heads of {head_dim}",
            atol=1e-4,
            rtol=1e-4,
            hint="it sees rows 0 to position, its own among them; scores are divided by the root of D",
        )


@check("attend", points=1)
def a_block_behind_a_cache_is_causal(call, rng):
    """Several tokens behind a cache: token i sees the rows up to position + i."""
    for length, position, low in ((2, 7, 0), (5, 1, 20), (integer(rng, 3, 9), integer(rng, 5, 25), 0)):
        case = attention_case(rng, length, position)
        if low:  # all scores lie far below zero, where a row that is hidden by a finite score would win
            q, k, _, keys, _ = case
            q[..., 0], k[..., 0], keys[..., 0] = low, -low, -low
        out, *_ = attend(call, *case, position)
        for i in range(length):
            want = attention_by_loops(*case, position)[i]
            expect_close(
                out[i],
                want,
                f"token {i} of a block of {length} at position {position}",
                atol=1e-4,
                rtol=1e-4,
                hint="the mask starts at the block's position, not at row 0 of the cache",
            )


@check("attend", points=1)
def a_window_ends_at_the_tokens_own_row(call, rng):
    """With a window each token sees that many rows at most, the last of them its own."""
    for length, position, window in (
        (1, 9, 4),
        (6, 0, 1),
        (integer(rng, 3, 9), integer(rng, 9, 25), integer(rng, 2, 8)),
    ):
        case = attention_case(rng, length, position)
        out, *_ = attend(call, *case, position, window)
        if position and torch.allclose(out.double(), attention_by_loops(*case, position), atol=1e-4):
            fail("the window was ignored: this is the chapter's attention, which sees all rows before", window=window)
        expect_close(
            out,
            attention_by_loops(*case, position, window),
            f"a block of {length} at position {position} with window {window}",
            atol=1e-4,
            rtol=1e-4,
            hint="a token at row p sees the rows p - window + 1 to p, as far as there are any",
        )


@check("attend", points=1)
def a_prefill_is_a_block_at_position_zero(call, rng):
    """The whole prompt at once, in an empty cache."""
    for length, head_dim in ((1, 4), (integer(rng, 4, 20), 12)):
        case = attention_case(rng, length, 0, head_dim=head_dim)
        out, *_ = attend(call, *case, 0)
        expect_close(out, attention_by_loops(*case, 0), f"a prompt of {length}", atol=1e-4, rtol=1e-4)


@check("attend", points=1)
def neighbouring_heads_share_a_key_value_head(call, rng):
    """Groups of several sizes, and one key-value head for all."""
    for num_heads, num_kv_heads in ((6, 2), (4, 1), (6, 3), (3, 3)):
        position = integer(rng, 1, 20)
        case = attention_case(rng, 2, position, num_heads, num_kv_heads)
        out, *_ = attend(call, *case, position)
        expect_close(
            out,
            attention_by_loops(*case, position),
            f"{num_heads} heads on {num_kv_heads}",
            atol=1e-4,
            rtol=1e-4,
            hint="head h uses key-value head h // (H / Hkv)",
        )


@check("attend", points=1)
def only_the_blocks_rows_change_and_leftovers_play_no_part(call, rng):
    """The cache holds the new rows in their places and nothing else changed; NaN behind the block does no harm."""
    length, position = integer(rng, 2, 6), integer(rng, 3, 20)
    q, k, v, keys, values = attention_case(rng, length, position, leftovers=float("nan"))
    out, new_keys, new_values = attend(call, q, k, v, keys, values, position)
    for name, new, old, block in (("keys", new_keys, keys, k), ("values", new_values, values, v)):
        want = old.clone()
        want[position : position + length] = block
        expect_close(
            new[: position + length],
            want[: position + length],
            f"the cached {name}",
            hint="the new rows belong at position .. position + T - 1",
        )
        if not bool(new[position + length :].isnan().all()):
            fail(f"rows after the block changed in the cached {name}")
    expect_close(
        out,
        attention_by_loops(q, k, v, keys, values, position),
        "the output beside NaN leftovers",
        atol=1e-4,
        rtol=1e-4,
        hint="leave rows after the block out; a weight of 0 times NaN is NaN",
    )


# ---------------------------------------------------------------- decoding with a cache


COUNTED = "calls are counted only where they give the right text"


def call_decoder(call, model, prompt, count, eos=None):
    got = call("cached_generate", Callback(model), torch.tensor(prompt), count, eos)
    return expect_tensor(got, "the new tokens", shape=(None,), dtype="int").tolist()


def random_prompt(rng, length):
    return torch.randint(0, VOCAB_SIZE, (length,), generator=rng).tolist()


@check("decode", points=1)
def the_text_is_that_of_greedy_decoding(call, rng):
    """Random models and prompts: the tokens of decoding without a cache."""
    for length in (1, 2, 3, *(integer(rng, 4, 20) for _ in range(6))):
        model = HeldModel(rng)
        prompt = random_prompt(rng, length)
        expect_equal(
            call_decoder(call, model, prompt, 25),
            model.greedy(prompt, 25),
            f"25 new tokens after a prompt of {length}",
            hint="which row of the logits belongs to the token written last, and at which position?",
        )


@check("decode", points=1)
def the_number_of_new_tokens_is_exact(call, rng):
    """As many tokens as were asked for, one included."""
    for count in (1, 2, 9) * 3:
        model, prompt = HeldModel(rng), random_prompt(rng, 6)
        expect_equal(call_decoder(call, model, prompt, count), model.greedy(prompt, count), f"{count} new tokens")


@check("decode", points=1)
def the_end_token_ends_the_text(call, rng):
    """The text ends just after the first new end token; one in the prompt does not count."""
    for count in (15, VOCAB_SIZE - 1) * 4:  # the smaller so few that some token does not come
        model, prompt = HeldModel(rng), random_prompt(rng, 5)
        free = model.greedy(prompt, count)
        absent = next((token for token in range(VOCAB_SIZE) if token not in free), prompt[0])
        for eos in sorted({0, *free[:4], prompt[0], prompt[-1], absent}):
            want = free[: free.index(eos) + 1] if eos in free else free
            expect_equal(
                call_decoder(call, model, prompt, count, eos),
                want,
                f"the text up to end token {eos}",
                hint="keep it and stop; look at new tokens only; 0 is a token like any other",
            )


@check("decode", points=1)
def the_prompt_is_prefilled_in_one_call(call, rng):
    """The first call reads the whole prompt, later ones a single token each."""
    for _ in range(6):
        model, prompt = HeldModel(rng), random_prompt(rng, integer(rng, 5, 30))
        got = call_decoder(call, model, prompt, 8)
        hint = "one pass over the prompt is as deep as one over a single token"
        expect_equal(model.calls[0], (prompt, 0), "the first call (tokens, position)", hint=hint)
        later = [len(tokens) for tokens, _ in model.calls[1:]]
        expect_equal(later, [1] * len(later), "tokens of later calls")
        expect_equal(got, model.greedy(prompt, 8), "the text of these calls", hint=COUNTED)


@check("decode", points=1)
def no_token_is_read_twice(call, rng):
    """The judge counts: prompt and new tokens but the last, once each."""
    for count in (1, 12):
        model, prompt = HeldModel(rng), random_prompt(rng, 10)
        got = call_decoder(call, model, prompt, count)
        read = sum(len(tokens) for tokens, _ in model.calls)
        expect_equal(
            read,
            len(prompt) + count - 1,
            "tokens read in all calls",
            hint="what the cache holds is not read again, and nobody needs the last token's row",
        )
        expect_equal(got, model.greedy(prompt, count), "the text of these calls", hint=COUNTED)
    free, prompt = [0], [0]
    while free[-1] in [0, *prompt]:  # an end token in the prompt, or of number 0, is another check's
        model, prompt = HeldModel(rng), random_prompt(rng, 4)
        free = model.greedy(prompt, 5)
    written = call_decoder(call, model, prompt, 12, free[-1])
    read = sum(len(tokens) for tokens, _ in model.calls)
    hint = "stop at the end token: what is read and written after it is thrown away"
    what = f"tokens read for a text of {len(written)} that an end token ends"
    expect_equal(read, len(prompt) + len(written) - 1, what, hint=hint)
    expect_equal(written, free[: free.index(free[-1]) + 1], "the text of these calls", hint=COUNTED)


@functools.cache
def timed_model():
    from nimblelm.inference.agreeing_pair import agreeing_pair

    return agreeing_pair(num_layers=2).target


@speed_check(
    "decode",
    function="cached_generate",
    points=3,
    knots=[(1.0, 0), (2.5, 3)],
    baselines={
        "reading the whole text for each token": ":rereading_generate",
        "our cached decoding": "nimblelm.inference.autoregressive:generate",
    },
)
def decoding_is_faster_than_reading_everything_again(rng):
    """Time on a transformer of two layers, by the judge's clock."""
    count, model = 24, Remote(":small_model", keep=True)
    prompt = torch.randint(0, timed_model().config.vocab_size, (160,), generator=rng)

    def verify(got):
        tokens = expect_tensor(got, "the new tokens", shape=(count,), dtype="int").long()
        with torch.inference_mode():
            logits = timed_model()(torch.cat([prompt, tokens])[None, :-1])[0, len(prompt) - 1 :]
        behind = (logits.max(-1).values - logits.gather(1, tokens[:, None])[:, 0]).max()
        if behind > 1e-3:  # ties that rounding decides are nobody's mistake
            fail("the timed text is not the greedy text of the model")

    return Trial(
        args=(model, prompt, count, None),
        verify=verify,
        baseline_args={"our cached decoding": (model, prompt, count)},
    )


# ---------------------------------------------------------------- a cache in blocks


@check("paged", points=2)
def extend_takes_blocks_only_when_the_last_is_full(call, rng):
    """Many small steps: blocks, free list and slots after each are those of the definition."""
    for block_size in (1, 3, 4, 6, integer(rng, 4, 16)):
        free = torch.randperm(30, generator=rng).tolist()
        blocks, length, order = [], 0, list(free)
        while length < 20:
            count = integer(rng, 0, 6) if block_size > 1 else integer(rng, 0, 3)
            request = list(blocks), length, count, list(free), block_size
            new_blocks, new_free, slots = extend(call, f"{len(free)} free blocks for {count} rows", *request)
            length += count
            used = -(-length // block_size)
            blocks, free = order[:used], order[used:]
            expect_equal(
                new_blocks,
                blocks,
                f"the blocks of {length} rows in blocks of {block_size}",
                hint="fill the last block first; take from the front, no more than needed",
            )
            expect_equal(new_free, free, "the free blocks")
            expect_equal(
                slots,
                slots_of(blocks, length, block_size)[length - count :],
                "the slots of the new rows",
                hint="row t: blocks[t // block_size] * block_size + t % block_size",
            )


@check("paged", points=1)
def extend_refuses_what_does_not_fit(call, rng):
    """None where blocks are too few, the last slot where they are just enough."""
    size = integer(rng, 2, 8)
    first, *free = torch.randperm(30, generator=rng)[:3].tolist()
    expect_equal(call("extend", [first], size, 2 * size + 1, list(free), size), None, "one row more than fits")
    blocks, left, slots = extend(call, "two free blocks", [first], size, 2 * size, list(free), size)
    expect_equal((blocks, left), ([first, *free], []), "(blocks, free) when all is taken")
    expect_equal(slots, slots_of([first, *free], 3 * size, size)[size:], "the slots")
    blocks, *_ = extend(call, "the last block is not full", [first], 1, size - 1, [], size)
    expect_equal(blocks, [first], "the blocks where the last one has room and none is free")


@check("paged", points=1)
def gather_reads_rows_in_order(call, rng):
    """Scattered blocks, lengths that end in the middle of one, no row of anybody else."""
    for block_size in (1, 4, integer(rng, 5, 9)):
        pool = torch.randn(12 * block_size, 2, 4, generator=rng)
        blocks = torch.randperm(12, generator=rng)[:5].tolist()
        for length in (1, block_size, 4 * block_size + 1, 5 * block_size):
            got = expect_tensor(call("gather", pool, blocks, length, block_size), "the rows", shape=(length, 2, 4))
            expect_close(
                got,
                pool[slots_of(blocks, length, block_size)],
                f"{length} rows in blocks of {block_size}",
                hint="in the order of the list of blocks, and no more than `length` of them",
            )


@check("paged", points=2)
def forks_share_the_blocks_that_hold_their_rows(call, rng):
    """A child has the blocks of its first rows, partly needed ones included, each with one user more."""
    for block_size in (1, integer(rng, 2, 6)):
        blocks = torch.randperm(10, generator=rng)[:4].tolist()
        for num_rows in sorted({0, 1, block_size, block_size + 1, 4 * block_size - 1, 4 * block_size}):
            counts = [integer(rng, 1, 3) if b in blocks else 0 for b in range(10)]
            got = call("fork", list(blocks), num_rows, list(counts), block_size)
            child, new_counts = lists(got, "fork", "child_blocks", "ref_counts")
            shared = blocks[: -(-num_rows // block_size)]
            expect_equal(
                child,
                shared,
                f"the child's blocks for {num_rows} rows in blocks of {block_size}",
                hint="a block of which one row is needed is shared, one of which none is needed is not",
            )
            want = [counts[b] + (b in shared) for b in range(10)]
            expect_equal(new_counts, want, "the users of each block", hint="one more for each shared block")


@check("paged", points=2)
def release_frees_what_nobody_uses(call, rng):
    """Blocks with users left stay; the others are appended to the free list in order."""
    for _ in range(6):
        order = torch.randperm(10, generator=rng).tolist()
        blocks, free = order[:5], order[5:]
        counts = [integer(rng, 1, 2) if b in blocks else 0 for b in range(10)]
        got = call("release", list(blocks), list(counts), list(free))
        got_counts, got_free = lists(got, "release", "ref_counts", "free")
        want = [counts[b] - (b in blocks) for b in range(10)]
        expect_equal(got_counts, want, "the users of each block", hint="one less for each block of the sequence")
        expect_equal(
            got_free,
            free + [b for b in blocks if want[b] == 0],
            "the free blocks",
            hint="a block is free only when its last user has gone",
        )


# ---------------------------------------------------------------- who is in the next pass


def expected_plan(running, waiting, max_running, budget):
    """The plan by its three rules, written out token by token."""
    counts = {name: 1 for name, pending in running if pending == 1}
    admitted = waiting[: max(max_running - len(running), 0)]
    for name, pending in [one for one in running if one[1] > 1] + admitted:
        for _ in range(pending):
            if sum(counts.values()) < budget:
                counts[name] = counts.get(name, 0) + 1
    return list(counts.items())


def random_queues(rng, writing=0.5):
    """Running and waiting requests, the most that may run, and a budget."""
    max_running = integer(rng, 1, 6)
    names = iter(["abcdefghijklmnop"[i] for i in torch.randperm(16, generator=rng)])  # arrival is no alphabet
    pending = lambda share: 1 if float(torch.rand((), generator=rng)) < share else integer(rng, 2, 20)  # noqa: E731
    running = [(next(names), pending(writing)) for _ in range(integer(rng, 0, max_running))]
    waiting = [(next(names), pending(0.2)) for _ in range(integer(rng, 0, 5))]
    return running, waiting, max_running, integer(rng, max_running, 24)


@check("schedule", points=2)
def plans_follow_the_three_rules(call, rng):
    """Random queues: order and counts are those of the rules."""
    for _ in range(40):
        case = random_queues(rng)
        expect_equal(
            plan(call, *case),
            expected_plan(*case),
            f"the plan for running {case[0]}, waiting {case[1]}, at most {case[2]}, budget {case[3]}",
        )


@check("schedule", points=1)
def nobody_who_writes_waits(call, rng):
    """Between any number of long prompts, the running requests with one pending token get it, and come first."""
    for _ in range(10):
        size = integer(rng, 2, 6)
        names = ["abcdefg"[i] for i in torch.randperm(7, generator=rng)[:size]]
        writing = set(names[1 : 1 + integer(rng, 1, size - 1)])
        running = [(name, 1 if name in writing else 50) for name in names]
        got = plan(call, running, [], size, size + integer(rng, 0, 8))
        served = [one for one in running if one[0] in writing]
        if missed := [one for one in served if one not in got]:
            fail(
                "a running request with one pending token got nothing: serve those first, whatever their place",
                plan=got,
                name=missed[0][0],
            )
        expect_equal(got[: len(served)], served, "the first of the plan")


@check("schedule", points=1)
def the_budget_is_kept_and_used_up(call, rng):
    """Never more tokens than the budget, nobody more than is pending, and as many as are pending or allowed."""
    for _ in range(240):
        running, waiting, most, budget = random_queues(rng, writing=0.2)
        got = plan(call, running, waiting, most, budget)
        total = sum(count for _, count in got)
        if total > budget:
            fail("the pass is over its budget: cut the prompt to what is left", got=total, budget=budget)
        pending = dict(running + waiting)
        if strange := [name for name, count in got if count > pending.get(name, 0)]:
            fail("a request has more tokens in the plan than are pending", name=strange[0], plan=got)
        allowed = sum(pending for _, pending in running + waiting[: most - len(running)])
        expect_equal(total, min(budget, allowed), "tokens of the pass", hint="what is left of the budget goes on")


@check("schedule", points=1)
def places_are_taken_in_the_order_of_arrival(call, rng):
    """No more requests than places, the oldest waiting one first, and nobody with 0 tokens."""
    for _ in range(60):
        running, waiting, most, budget = random_queues(rng)
        got = plan(call, running, waiting, most, budget)
        if any(count < 1 for _, count in got):
            fail("a request is listed with no tokens: leave it out", plan=got)
        admitted = [name for name, _ in got if name in dict(waiting)]
        if len(admitted) + len(running) > max(most, len(running)):
            fail("more requests run than there are places", got=len(admitted) + len(running), want=most)
        expect_equal(admitted, [name for name, _ in waiting][: len(admitted)], "the admitted requests, in order")
        admissible = sum(name in dict(waiting) for name, _ in expected_plan(running, waiting, most, budget))
        expect_equal(len(admitted), admissible, "the number of admitted requests", hint="places and budget are left")


@check("schedule", points=2)
def a_whole_service_ends_as_it_should(call, rng):
    """Pass after pass until all is written: the passes are those of the rules, and every prompt is read once."""
    for most, budget in ((2, 4), (3, 16), (1, 24), (3, 48)):
        pending = {name: integer(rng, 1, 20) for name in "dbeac"}
        left, prompt = {name: integer(rng, 1, 4) for name in pending}, dict(pending)
        running, waiting, read = [], list(pending), dict.fromkeys(pending, 0)
        tokens = {name: prompt[name] + left[name] - 1 for name in prompt}
        for _ in range(200):
            if not running and not waiting:
                break
            queued = [(name, pending[name]) for name in running], [(name, pending[name]) for name in waiting]
            got = plan(call, *queued, most, budget)
            expect_equal(got, expected_plan(*queued, most, budget), "the plan of a pass in the midst of a service")
            for name, count in got:
                if name in waiting:
                    waiting.remove(name)
                    running.append(name)
                read[name] += count
                pending[name] -= count
                if pending[name] == 0:
                    pending[name], left[name] = 1, left[name] - 1
                if left[name] == 0:
                    running.remove(name)
        expect_equal(read, tokens, "tokens read for each request, all passes together")


# ---------------------------------------------------------------- eight bits a number


@check("quantize", points=1)
def each_row_has_its_own_scale(call, rng):
    """Rows of very different size, in tensors of two to four dimensions."""
    for shape in ((5, 8), (3, 4, 16), (2, 3, 2, 8)):
        x = torch.randn(shape, generator=rng) * torch.logspace(-3, 3, shape[0]).view(-1, *(1,) * (len(shape) - 1))
        _, scales = quantized(call, x)
        expect_close(
            scales,
            x.double().abs().amax(-1) / 127,
            f"the scales of {shape}",
            atol=0,
            rtol=1e-4,
            hint="max |x| of the row over 127; one scale for all lets the largest row swallow the others",
        )


@check("quantize", points=1)
def codes_are_rounded_to_the_nearest(call, rng):
    """Codes against rounding in float64, near ties apart; the ends of the range are reached."""
    x = torch.randn(20, 32, generator=rng)
    codes, _ = quantized(call, x)
    exact = x.double() / (x.double().abs().amax(-1, keepdim=True) / 127)
    clear = (exact - exact.floor() - 0.5).abs() > 0.01
    wrong = (codes.double() != exact.round()) & clear
    if bool((codes.double() == exact.trunc())[clear].all()):
        fail("the numbers were cut off towards zero: round to the nearest")
    if bool(wrong.any()):
        fail("codes differ from the nearest whole number", got=codes[wrong][:4], want=exact[wrong][:4])
    expect_equal(int(codes.abs().max()), 127, "the largest absolute code")
    if int(codes.min()) < -127:
        fail("-128 has no counterpart above: codes go from -127 to 127", got=int(codes.min()))


@check("quantize", points=1)
def the_error_is_at_most_half_a_step(call, rng):
    """There and back, no number moves by more than half a scale."""
    for size, shape in ((1e-30, (30, 16)), (1e-4, (16,)), (1.0, (30, 16)), (1e4, (2, 5, 16))):
        x = size * torch.randn(shape, generator=rng)
        codes, scales = quantized(call, x)
        back = expect_tensor(call("dequantize_rows", codes, scales), "the values", shape=shape, dtype=torch.float32)
        stored = codes.double() * scales.double()[..., None]
        hint = "the values are made of the codes and scales that are given, and of nothing else"
        expect_close(back, stored, "the values of your own codes", atol=0, rtol=1e-4, hint=hint)
        off = ((stored - x).abs() / (x.double().abs().amax(-1, keepdim=True) / 254)).max()
        if not off <= 1.001:
            fail("a number moved by more than half a step", steps=float(off) / 2)


@check("quantize", points=1)
def zeros_and_outliers_are_safe(call, rng):
    """A row of zeros stays zeros; a row with one outlier keeps it exactly, and the others come back."""
    x = torch.randn(4, 8, generator=rng)
    x[1] = 0.0
    x[2, 3] = -1000.0
    codes, scales = quantized(call, x)
    back = call("dequantize_rows", codes, scales)
    expect_close(scales[1], 0.0, "the scale of a row of zeros", atol=0)
    expect_close(back[1], torch.zeros(8), "a row of zeros", hint="0/0 is NaN")
    expect_close(back[2, 3], -1000.0, "an outlier", rtol=1e-5)
    expect_equal(int(codes[2, 3]), -127, "the code of a negative largest value", hint="keep the sign")
    step = x.abs().amax(-1, keepdim=True).double() / 127
    if not bool(((codes.double() * step - x).abs() <= 1.001 * step).all()):
        fail("beside a row of zeros and one with an outlier a code is more than a whole number off", got=codes[0])


@check("quantize", points=2)
def values_are_codes_times_scales(call, rng):
    """Dequantization alone, on codes and scales of our own, up to the largest codes."""
    codes = torch.randint(-127, 128, (6, 5, 8), generator=rng).to(torch.int8)
    scales = torch.rand(6, 5, generator=rng) * 10
    got = expect_tensor(call("dequantize_rows", codes, scales), "the values", shape=(6, 5, 8), dtype=torch.float32)
    expect_close(
        got,
        codes.double() * scales.double()[..., None],
        "codes times scales",
        rtol=1e-5,
        hint="the scale belongs to the row; int8 arithmetic wraps around, so turn to float first",
    )


# ---------------------------------------------------------------- memory-bound or compute-bound


def random_shape(rng, bytes_per_element=None):
    group, num_kv_heads = integer(rng, 2, 4), (1, 3, 4)[integer(rng, 0, 2)]
    return {
        "num_weights": integer(rng, 10_000, 90_000),
        "num_layers": integer(rng, 2, 9),
        "num_heads": num_kv_heads * group,
        "num_kv_heads": num_kv_heads,
        "head_dim": 8 * integer(rng, 1, 8),
        "bytes_per_element": bytes_per_element or (1, 2, 4)[integer(rng, 0, 2)],
    }


def cache_bytes(shape, num_tokens, batch_size):
    row = shape["num_kv_heads"] * shape["head_dim"] * shape["bytes_per_element"]
    return sum(row * num_tokens * batch_size for _ in range(shape["num_layers"]) for part in ("keys", "values"))


def work(shape, batch_size, context):
    per_row = sum(2 * shape["head_dim"] for _ in range(shape["num_heads"]) for part in ("score", "weighted sum"))
    flops = batch_size * (2 * shape["num_weights"] + shape["num_layers"] * context * per_row)
    return flops, shape["num_weights"] * shape["bytes_per_element"] + cache_bytes(shape, context, batch_size)


@check("roofline", points=1)
def cache_bytes_count_keys_and_values_of_every_layer(call, rng):
    """Random shapes, with fewer key-value heads than query heads."""
    for _ in range(8):
        shape, tokens, batch = random_shape(rng), integer(rng, 1, 500), integer(rng, 1, 20)
        expect_close(
            call("kv_cache_bytes", shape, tokens, batch),
            cache_bytes(shape, tokens, batch),
            f"bytes of {tokens} tokens of {batch} sequences of {shape}",
            hint="2 x layers x key-value heads x head_dim x bytes, for each token of each sequence",
        )


@check("roofline", points=2)
def work_counts_weights_once_and_caches_for_each(call, rng):
    """FLOPs and bytes of a pass for random shapes, batches and contexts."""
    for _ in range(8):
        shape, batch, context = random_shape(rng), integer(rng, 1, 64), integer(rng, 1, 3000)
        got = call("decode_work", shape, batch, context)
        flops, num_bytes = expect_parts(got, "decode_work", "flops", "num_bytes")
        want_flops, want_bytes = work(shape, batch, context)
        expect_close(
            flops,
            want_flops,
            f"FLOPs of a batch of {batch} at context {context}",
            rtol=1e-9,
            hint="query heads attend: H D for the scores and as much for the sum, an addition each as well",
        )
        if abs(num_bytes - (batch - 1) * shape["num_weights"] * shape["bytes_per_element"] - want_bytes) < 1 < batch:
            fail("the weights were counted for each sequence: a batch reads them once")
        expect_close(num_bytes, want_bytes, f"bytes of a batch of {batch} at context {context}", rtol=1e-9)


@check("roofline", points=1)
def the_roof_is_linear_up_to_the_ridge(call, rng):
    """Attainable rates left of the ridge, on it and right of it."""
    for _ in range(6):
        peak, bandwidth = float(integer(rng, 100, 900)), float(integer(rng, 2, 50))
        for intensity in (0.1 * peak / bandwidth, peak / bandwidth, 7 * peak / bandwidth):
            num_bytes = float(integer(rng, 100, 5000))
            got = call("attainable_flops", num_bytes * intensity, num_bytes, peak, bandwidth)
            expect_close(
                got,
                min(peak, bandwidth * intensity),
                f"the rate at {intensity:.3g} FLOP/byte",
                rtol=1e-6,
                hint="intensity is FLOP per byte, and the lower line counts",
            )


@check("roofline", points=2)
def the_smallest_batch_is_found_where_there_is_one(call, rng):
    """The least batch that reaches the peak, over ridges and contexts."""
    for _ in range(12):
        shape, context = random_shape(rng), integer(rng, 1, 60)
        bandwidth = 1e6
        peak = bandwidth * 2 ** integer(rng, -1, 5) * 1.01
        works = [work(shape, batch, context) for batch in range(1, 81)]
        enough = [batch for batch, (flops, moved) in enumerate(works, start=1) if flops * bandwidth >= peak * moved]
        least = enough[0] if enough else 80
        for most in {80, least, max(least - 1, 1)}:
            got = call("smallest_compute_bound_batch", shape, context, peak, bandwidth, most)
            expect_equal(
                got,
                least if enough and least <= most else None,
                f"the least batch up to {most} at ridge {peak / bandwidth:.3g}",
                hint="max_batch_size itself counts, a batch of 1 too",
            )
        # with one byte an element and the weights of `least` caches the intensity is a whole number: no rounding
        least, group, head_dim = integer(rng, 2, 12), integer(rng, 2, 4), 8 * integer(rng, 1, 4)
        shape = {
            "num_layers": 2,
            "num_heads": 2 * group,
            "num_kv_heads": 2,
            "head_dim": head_dim,
            "bytes_per_element": 1,
        }
        shape["num_weights"] = least * cache_bytes(shape, context, 1)
        got = call("smallest_compute_bound_batch", shape, context, (least + group) * bandwidth, bandwidth, 80)
        hint = "where bytes take exactly as long as arithmetic the peak is reached: >=, not >"
        expect_equal(got, least, "the least batch where one lies exactly at the ridge", hint=hint)


@check("roofline", points=1)
def long_contexts_can_stay_memory_bound(call, rng):
    """Where the caches' own intensity lies below the ridge, no batch is large enough: None."""
    for bytes_per_element in (1, 2, 4):
        shape = random_shape(rng, bytes_per_element)
        context = 200 * shape["num_weights"] // (shape["num_layers"] * shape["head_dim"])
        own = 2 * shape["num_heads"] / shape["num_kv_heads"] / bytes_per_element  # FLOP per byte of a cache
        for ridge, want in ((0.9 * own, 1), (1.1 * own, None), (10 * own, None)):
            got = call("smallest_compute_bound_batch", shape, context, ridge * 1e9, 1e9, 300)
            expect_equal(
                got,
                want,
                f"the least batch at context {context} and ridge {ridge:.3g}",
                hint="larger batches bring more cache to read: the intensity has a limit",
            )
