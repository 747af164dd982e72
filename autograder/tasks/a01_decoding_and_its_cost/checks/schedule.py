"""Who is in the next pass: the hidden checks."""

import torch

from autograder.checks import check, expect_equal, fail, integer
from autograder.tasks.a01_decoding_and_its_cost.visible.schedule import plan


def expected_plan(running, waiting, max_running, budget, tile):
    """The plan by its rules: of the counts that are allowed the largest, from the numbers of tokens and of slots."""
    counts = {name: 1 for name, pending in running if pending == 1}
    names = {name for name, _ in running}
    for name, pending in [one for one in running if one[1] > 1] + waiting:
        allowed = [0, *range(tile, pending, tile), pending]
        count = max(one for one in allowed if one + sum(counts.values()) <= budget)
        if count and (name in names or len(names) < max_running):
            counts[name], names = count, names | {name}
    return list(counts.items())


def random_queues(rng, writing=0.5):
    """Running and waiting requests, the most that may run, a budget and a tile."""
    max_running = integer(rng, 1, 6)
    names = iter(["abcdefghijklmnop"[i] for i in torch.randperm(16, generator=rng())])  # arrival is no alphabet
    pending = lambda share: 1 if float(torch.rand((), generator=rng())) < share else integer(rng, 2, 20)  # noqa: E731
    running = [(next(names), pending(writing)) for _ in range(integer(rng, 0, max_running))]
    waiting = [(next(names), pending(0.2)) for _ in range(integer(rng, 0, 5))]
    return running, waiting, max_running, integer(rng, max_running, 24), integer(rng, 2, 6)


@check("schedule", points=2)
def plans_follow_the_three_rules(call, rng):
    """Random queues: order and counts are those of the rules."""
    for _ in range(40):
        case = random_queues(rng)
        expect_equal(
            plan(call, *case),
            expected_plan(*case),
            f"the plan for running {case[0]}, waiting {case[1]}, at most {case[2]}, budget {case[3]}, tile {case[4]}",
        )


@check("schedule", points=1)
def nobody_who_writes_waits(call, rng):
    """Between any number of long prompts, the running requests with one pending token get it, and come first.

    What their whole tiles leave of the budget goes to a short prompt behind them.
    """
    for _ in range(10):
        size = integer(rng, 2, 6)
        names = ["abcdefg"[i] for i in torch.randperm(7, generator=rng())[:size]]
        writing = set(names[1 : 1 + integer(rng, 1, size - 1)])
        running = [(name, 1 if name in writing else 50) for name in names] + [("z", 2)]
        case = running, [], size + 1, len(writing) + 4 * integer(rng, 1 + len(names) // 4, 4) + integer(rng, 2, 3), 4
        got = plan(call, *case)
        served = [one for one in running if one[0] in writing]
        if missed := [one for one in served if one not in got]:
            fail(
                "a running request with one pending token got nothing: serve those first, wherever they are listed",
                plan=got,
                name=missed[0][0],
            )
        expect_equal(got[: len(served)], served, "the first of the plan")
        expect_equal(got, expected_plan(*case), f"the plan for running {running}, budget {case[3]}, tile 4")


@check("schedule", points=1)
def the_budget_is_kept_and_used_up(call, rng):
    """Never more tokens than the budget, nobody more than is pending, and as many as whole tiles and ends allow."""
    for _ in range(240):
        running, waiting, _most, budget, tile = case = random_queues(rng, writing=0.2)
        got = plan(call, *case)
        total = sum(count for _, count in got)
        if total > budget:
            fail("the pass is over its budget: cut the prompt to what is left", got=total, budget=budget)
        pending = dict(running + waiting)
        if strange := [name for name, count in got if count > pending.get(name, 0)]:
            fail("a request has more tokens in the plan than are pending", name=strange[0], plan=got)
        if cut := [(name, count) for name, count in got if count < pending[name] and count % tile]:
            fail("a prompt is cut in the midst of a tile", cut=cut[0], tile=tile, plan=got)
        want = sum(count for _, count in expected_plan(*case))
        expect_equal(total, want, "tokens of the pass", hint="what is left of the budget goes on to the next request")


@check("schedule", points=1)
def places_are_taken_in_the_order_of_arrival(call, rng):
    """No more requests than slots, the oldest that can be given tokens first, and none with 0 tokens."""
    for _ in range(120):
        running, waiting, most, *_ = case = random_queues(rng)
        got = plan(call, *case)
        if any(count < 1 for _, count in got):
            fail("a request is listed with no tokens: leave it out", plan=got)
        admitted = [name for name, _ in got if name in dict(waiting)]
        if len(admitted) + len(running) > max(most, len(running)):
            fail("more requests run than there are slots", got=len(admitted) + len(running), want=most)
        want = [name for name, _ in expected_plan(*case) if name in dict(waiting)]
        expect_equal(sorted(admitted), sorted(want), "the admitted requests", hint="whole tiles or all that is pending")
        expect_equal(admitted, want, "the admitted requests, in order of arrival")


@check("schedule", points=2)
def a_whole_service_ends_as_it_should(call, rng):
    """Pass after pass until all is written: the passes are those of the rules, and every prompt is read once."""
    for most, budget, tile in ((2, 4, 3), (3, 16, 5), (1, 24, 16), (3, 48, 16)):
        pending = {name: integer(rng, 1, 20) for name in "dbeac"}
        left, prompt = {name: integer(rng, 1, 4) for name in pending}, dict(pending)
        running, waiting, read = [], list(pending), dict.fromkeys(pending, 0)
        tokens = {name: prompt[name] + left[name] - 1 for name in prompt}
        for _ in range(200):
            if not running and not waiting:
                break
            queued = [(name, pending[name]) for name in running], [(name, pending[name]) for name in waiting]
            got, want = plan(call, *queued, most, budget, tile), expected_plan(*queued, most, budget, tile)
            expect_equal(got, want, "the plan of a pass in the midst of a service")
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
