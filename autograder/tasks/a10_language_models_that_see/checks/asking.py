"""Queries that ask an image: the hidden checks."""

import torch

from autograder.checks import check, expect_close, integer
from autograder.tasks.a10_language_models_that_see.oracles import normal, softmax
from autograder.tasks.a10_language_models_that_see.visible.asking import asked, looked


def by_hand(queries, image, w_q, w_k, w_v, w_o, heads, kv_heads):
    """Query by query, head by head, in float64."""
    found = torch.zeros(queries.shape, dtype=torch.float64)
    d, e = w_k.shape[1] // kv_heads, w_v.shape[1] // kv_heads
    for b in range(len(queries)):
        keys, values = image[b].double() @ w_k.double(), image[b].double() @ w_v.double()
        for i, query in enumerate(queries[b].double()):
            q, gathered = query @ w_q.double(), []
            for h in range(heads):
                own = h // (heads // kv_heads)
                scores = keys[:, own * d : (own + 1) * d] @ q[h * d : (h + 1) * d] / d**0.5
                chances = torch.tensor(softmax(scores.tolist()), dtype=torch.float64)
                gathered.append(chances @ values[:, own * e : (own + 1) * e])
            x = query + torch.cat(gathered) @ w_o.double()
            found[b, i] = (x - x.mean()) / (x.var(correction=0) + 1e-5).sqrt()
    return found


def expect_asked(call, rng, heads, kv_heads, patches, num_queries=3, batch=2, width=6, d=3, e=2, v=4, times=1):
    image = normal(rng, batch, patches, v)
    w_k, w_v = normal(rng, v, kv_heads * d), normal(rng, v, kv_heads * e)
    state = looked(call, image.clone(), w_k, w_v)
    for _ in range(times):
        queries, w_q, w_o = (
            normal(rng, batch, num_queries, width),
            normal(rng, width, heads * d),
            normal(rng, heads * e, width),
        )
        got = asked(call, queries, state, w_q, w_o, heads, kv_heads)
        want = by_hand(queries, image, w_q, w_k, w_v, w_o, heads, kv_heads)
        expect_close(got, want, f"{num_queries} queries, {heads} heads over {kv_heads}", 1e-4, 1e-3)


@check("asking", points=2)
def every_head_has_its_own(call, rng):
    """One head and several, one query and several, one patch and many."""
    expect_asked(call, rng, 1, 1, 5)
    expect_asked(call, rng, 3, 3, integer(rng, 4, 9))
    expect_asked(call, rng, 2, 2, 1, num_queries=1)


@check("asking", points=2)
def heads_are_shared(call, rng):
    """Two or more query heads read one key-value head, and it is kept once."""
    expect_asked(call, rng, 4, 2, 6)
    expect_asked(call, rng, 3, 1, integer(rng, 4, 9))


@check("asking", points=2)
def one_look_serves_many_questions(call, rng):
    """Three layers of queries ask what was kept of one image."""
    expect_asked(call, rng, 2, 1, 7, times=3)
    expect_asked(call, rng, 2, 2, 40, times=2)
