"""Who is in the next pass: the checks that a student sees and runs."""

from autograder.checks import check, expect_equal, fail


def plan(call, running, waiting, max_running, budget, tile):
    """The plan as a list of tuples."""
    got = call("plan_pass", running, waiting, max_running, budget, tile)
    if got is None:
        fail("`plan_pass` returned None; is a `return` missing?")
    if not isinstance(got, list) or not all(isinstance(one, list | tuple) and len(one) == 2 for one in got):
        fail("`plan_pass` should return a list of (name, count)", got=got)
    return [tuple(one) for one in got]


@check("schedule")
def who_writes_comes_first(call, rng):
    """A running request with one pending token is served before a prompt that came earlier."""
    got = plan(call, [("a", 20), ("b", 1)], [], 4, 8, 7)
    hint = "b gets its token, a the seven that are left of the budget of 8, a whole tile"
    expect_equal(got, [("b", 1), ("a", 7)], "the plan for a: 20 pending, b: 1", hint=hint)


@check("schedule")
def waiting_requests_need_a_place_and_budget(call, rng):
    """A waiting request is admitted where a slot is free, and gets what the budget has left."""
    running, waiting = [("a", 1), ("b", 3)], [("d", 9), ("c", 2)]
    for budget, share in ((16, 9), (8, 4)):
        got = plan(call, running, waiting, 3, budget, 4)
        if "c" in dict(got):
            fail("only three requests may run: a and b hold two slots, so d, the oldest, takes the last", got=got)
        hint = f"d has 9 pending, and {budget} - 1 - 3 are left of the budget"
        want = [("a", 1), ("b", 3), ("d", share)]
        expect_equal(got, want, f"the plan with one free slot and a budget of {budget}", hint=hint)
    got = plan(call, [("a", 1), ("b", 7)], [("c", 9)], 3, 8, 4)
    expect_equal(
        got, [("a", 1), ("b", 7)], "the plan when nothing is left for c", hint="nobody is listed with 0 tokens"
    )


@check("schedule")
def prompts_are_cut_at_whole_tiles(call, rng):
    """Tiles of 4 and a budget of 10: a gets 8 of its 20 tokens, b none of its 9, and c the 2 that are left, its all."""
    got = plan(call, [("a", 20)], [("b", 9), ("c", 2)], 2, 10, 4)
    known = {
        "a chunk that does not end its prompt is a multiple of the tile": [("a", 10)],
        "what whole tiles leave of the budget goes on to the next request": [("a", 8)],
        "only what is cut is rounded: c has 2 tokens pending, and they fit": [("a", 8), ("b", 0), ("c", 0)],
        "b gets nothing, so it goes on waiting: no chunk of 2, and the slot is free for c": [("a", 8), ("b", 2)],
    }
    hint = next((words for words, value in known.items() if value == got), "b gets nothing and takes no slot")
    expect_equal(
        got, [("a", 8), ("c", 2)], "the plan for a: 20 running, b: 9 and c: 2 waiting, one free slot", hint=hint
    )
