"""The tiled forward pass: the checks that a student sees and runs."""

from autograder.checks import Callback, check, expect_close, expect_equal, fail
from autograder.tasks.a04_flash_attention.visible.shared import attention, random, tensors


class Memory:
    """The slow memory: hands out rows of q, k and v, never more than a block of them, and counts."""

    def __init__(self, q, k, v, block_m, block_n):
        self.tensors, self.limits = {"q": q, "k": k, "v": v}, {"q": block_m, "k": block_n, "v": block_n}
        self.rows = {"q": 0, "k": 0, "v": 0}
        self.fetched = []

    def fetch(self, name, start, stop):
        if name not in self.tensors:
            fail("fetch knows 'q', 'k' and 'v'", got=name)
        if not (isinstance(start, int) and isinstance(stop, int)):
            fail("fetch(name, start, stop) takes whole numbers", got=[type(start).__name__, type(stop).__name__])
        length = len(self.tensors[name])
        if not 0 <= start < stop <= length:
            fail(f"fetch({name!r}, {start}, {stop}): there are {length} rows; is the last block shorter?")
        if stop - start > self.limits[name]:
            fail(
                f"fetch({name!r}, {start}, {stop}) asks for {stop - start} rows: fast memory holds a block of "
                f"{self.limits[name]} of them, so the work has to be cut into tiles"
            )
        self.rows[name] += stop - start
        self.fetched.append((name, start, stop))
        return self.tensors[name][start:stop].clone()


def run_tiled(call, q, k, v, causal, block_m, block_n):
    memory = Memory(q, k, v, block_m, block_n)
    got = call("tiled_attention", Callback(memory.fetch), len(q), len(k), causal, block_m, block_n)
    return *tensors(got, "tiled_attention", "out", "lse"), memory


@check("tiled")
def tiles_give_what_attention_gives(call, rng):
    """Tiles of 3 queries by 2 keys: seven queries and five keys, then four queries and five keys with a causal mask."""
    for num_queries, causal in ((7, False), (4, True)):
        q, k, v = random(rng, num_queries, 4), random(rng, 5, 4), random(rng, 5, 4)
        out, lse, _ = run_tiled(call, q, k, v, causal, 3, 2)
        want, want_lse = attention(q, k, v, causal)
        hint = (
            "scale by 1/sqrt(head_dim), start each block of queries with an empty state, mind the last, shorter tiles, "
            "skip a tile only where no query of the block sees it"
        )
        expect_close(out, want.float(), f"the output{', causal' if causal else ''}", atol=1e-5, hint=hint)
        expect_close(lse, want_lse.float(), "the log-sum-exp", atol=1e-5)


@check("tiled")
def the_last_query_sees_every_key(call, rng):
    """Two new queries after three cached keys and their own two: causal means j <= i + 3."""
    q, k, v = random(rng, 2, 4), random(rng, 5, 4), random(rng, 5, 4)
    out, _, _ = run_tiled(call, q, k, v, True, 2, 2)
    hint = "query i stands at position i + num_keys - num_queries"
    expect_close(out, attention(q, k, v, True)[0].float(), "the output", atol=1e-5, hint=hint)


@check("tiled")
def queries_are_fetched_once(call, rng):
    """Fetched rows: every query once, and no tile that the causal mask hides as a whole."""
    q, k, v = random(rng, 8, 4), random(rng, 8, 4), random(rng, 8, 4)
    *_, memory = run_tiled(call, q, k, v, True, 2, 2)
    expect_equal(memory.rows["q"], 8, "rows of q fetched", hint="one fetch for each block, outside the loop over keys")
    expect_equal(memory.rows["k"], 20, "rows of k fetched", hint="block b needs keys up to its last row: 2+4+6+8")
