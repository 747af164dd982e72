"""Reformer and Smyrf: one cluster is full attention, many are masked attention, and Reformer's layer is the twin."""

import pytest
import torch
from transformers import ReformerConfig
from transformers.models.reformer.modeling_reformer import LSHSelfAttention

from nimblelm.nn.long_range.clusters import cluster_attention
from nimblelm.nn.long_range.reformer import lsh_attention, lsh_buckets
from nimblelm.nn.long_range.smyrf import asymmetric_transforms, smyrf_attention
from tests.nn.long_range.cases import dense, tensors


def shared_full(qk, v, causal=False):
    """Attention with shared queries and keys that sees itself only where there is nothing else."""
    keys = qk / qk.norm(dim=-1, keepdim=True)
    length = qk.shape[1]
    scores = torch.einsum("bihd,bjhd->bhij", qk, keys)
    if causal:
        scores = scores.masked_fill(torch.ones(length, length, dtype=torch.bool).triu(1), -1e9)
    scores = scores.masked_fill(torch.eye(length, dtype=torch.bool), -1e5)
    return torch.einsum("bhij,bjhd->bihd", scores.softmax(-1), v)


@pytest.mark.parametrize("rounds", [1, 3])
@pytest.mark.parametrize("causal", [False, True])
def test_lsh_with_one_bucket_is_full_attention(rounds, causal):
    qk, _, v = tensors(20)
    buckets = torch.zeros(rounds, 2, 2, 20, dtype=torch.int64)
    torch.testing.assert_close(lsh_attention(qk, v, buckets, 1, causal), shared_full(qk, v, causal))


@pytest.mark.parametrize("decoder", [False, True])
def test_lsh_equals_the_layer_of_reformer(decoder):
    torch.manual_seed(0)
    config = ReformerConfig(
        hidden_size=32, num_attention_heads=2, attention_head_size=16, attn_layers=["lsh"], num_hashes=1,
        lsh_attn_chunk_length=8, lsh_num_chunks_before=1, lsh_num_chunks_after=0, num_buckets=4, is_decoder=decoder,
        lsh_attention_probs_dropout_prob=0.0, axial_pos_embds=False, max_position_embeddings=64,
    )  # fmt: skip
    layer = LSHSelfAttention(config).eval()
    x = 3 * torch.randn(2, 40, 32)
    with torch.no_grad():
        theirs = layer(x, num_hashes=1)
        qk, v = (project(x).unflatten(-1, (2, 16)) for project in (layer.query_key, layer.value))
        ours = lsh_attention(qk, v, theirs.buckets.permute(2, 0, 1, 3), 5, decoder)
    assert theirs.buckets.unique().numel() == 4
    torch.testing.assert_close(ours.flatten(2), theirs.hidden_states, atol=1e-5, rtol=1e-5)


def test_near_vectors_share_a_bucket_more_often_than_far_ones():
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(1, 500, 1, 16, generator=rng)
    near, far = x + 0.2 * torch.randn(x.shape, generator=rng), torch.randn(x.shape, generator=rng)
    rotations = torch.randn(8, 16, 4, generator=rng)
    own, *others = (lsh_buckets(y, rotations) for y in (x, near, far))
    near_share, far_share = ((own == other).float().mean() for other in others)
    assert near_share > 0.6
    assert far_share < 0.2  # an eighth by chance
    assert torch.equal(lsh_buckets(5 * x, rotations), own)


def test_transforms_turn_products_into_distances():
    q, k, _ = tensors(9, keys=7)
    far_q, far_k = asymmetric_transforms(q, k)
    distance = (far_q[:, :, None] - far_k[:, None]).square().sum(-1)  # (B, T, S, H)
    product = torch.einsum("bihd,bjhd->bijh", q, k)
    bound = q.square().sum(-1).amax(1) + k.square().sum(-1).amax(1)
    torch.testing.assert_close(distance, 2 * bound[:, None, None] - 2 * product)


def test_smyrf_with_one_cluster_is_full_attention():
    q, k, v = tensors(18, keys=12)
    directions = torch.randn(3, 10, dtype=torch.float64)
    torch.testing.assert_close(smyrf_attention(q, k, v, directions, 1), dense(q, k, v))


def test_smyrf_clusters_are_masked_attention():
    q, k, v = tensors(24, heads=1, batch=1)
    directions = torch.randn(1, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    rank_q, rank_k = ((x[0, :, 0] @ directions[0]).argsort().argsort() // 6 for x in asymmetric_transforms(q, k))
    seen = rank_q[:, None] == rank_k
    torch.testing.assert_close(smyrf_attention(q, k, v, directions, 4), dense(q, k, v, seen))


def test_more_rounds_come_closer_to_full_attention():
    q, k, v = (2 * x for x in tensors(128, dim=8))
    full = dense(q, k, v)
    errors = []
    for rounds in (1, 16):
        directions = torch.randn(rounds, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        errors.append((smyrf_attention(q, k, v, directions, 8) - full).square().mean().sqrt())
    assert errors[1] < 0.7 * errors[0]


def test_chunks_must_divide_the_length():
    q, k, v = tensors(10)
    order = torch.arange(10).expand(2, 2, 10)
    with pytest.raises(ValueError, match="3 chunks do not divide 10"):
        cluster_attention(q, k, v, order, order, 3, False, 1.0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("causal", [False, True])
def test_lsh_attention_serves_every_dtype(dtype, causal):
    qk, _, v = tensors(40)
    qk[:, 7] = 0  # of no direction
    rounded, values = qk.to(dtype), v.to(dtype)
    buckets = lsh_buckets(rounded, torch.randn(2, 8, 2, generator=torch.Generator().manual_seed(0)).to(dtype))
    out = lsh_attention(rounded, values, buckets, 4, causal)
    assert out.dtype == dtype
    exact = lsh_attention(rounded.double(), values.double(), buckets, 4, causal)
    torch.testing.assert_close(out.double(), exact, atol=4 * torch.finfo(dtype).eps, rtol=4 * torch.finfo(dtype).eps)


def test_small_and_large_vectors_are_normalised_and_never_see_themselves_first():
    qk, _, v = tensors(20)
    buckets = torch.zeros(1, 2, 2, 20, dtype=torch.int64)
    for size in (1e-9, 1e7):
        torch.testing.assert_close(
            lsh_attention(size * qk, v, buckets, 1), _without_self(size * qk, v), atol=1e-6, rtol=1e-6
        )


def _without_self(qk, v):
    keys = qk / qk.norm(dim=-1, keepdim=True)
    return dense(qk, keys, v, ~torch.eye(20, dtype=torch.bool), scale=1.0)


@pytest.mark.parametrize("rounds", [1, 3])
def test_a_position_that_is_alone_sees_itself_with_weight_one(rounds):
    qk, _, v = tensors(20)
    buckets = torch.zeros(rounds, 2, 2, 20, dtype=torch.int64)
    out = lsh_attention(qk.float(), v.float(), buckets, 1, causal=True)
    torch.testing.assert_close(out[:, 0].double(), v[:, 0], atol=1e-6, rtol=1e-6)


def test_transforms_keep_the_small_coordinates_of_long_queries():
    q, k, _ = (x.float() for x in tensors(9))
    q, k = 1e5 * torch.nn.functional.normalize(q, dim=-1), 1e-2 * k
    far_q, _ = asymmetric_transforms(q, k)
    last = far_q[..., -1]
    bound = k.double().square().sum(-1).amax(1, keepdim=True)
    gap = q.square().sum(-1).amax(1, keepdim=True) - q.square().sum(-1)
    torch.testing.assert_close(last.double(), (gap.double() + bound).sqrt(), atol=0, rtol=1e-5)
