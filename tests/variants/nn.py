"""How the functions of `nimblelm.nn` are called with tensors.

Long because the room has many functions, each a row.
"""

from functools import cache, partial

import torch
import torch.nn.functional as F

from nimblelm.nn import attend, checkpoint, contrastive, deep_belief, mlp, patches, weight_layout
from nimblelm.nn import vector_quantization as vq
from nimblelm.nn.attention import Attention
from nimblelm.nn.checkpoint import SCALES
from nimblelm.nn.codebook_update import CodebookUpdate, k_means
from nimblelm.nn.encoder_block import EncoderBlock
from nimblelm.nn.long_range import linear_attention as linear
from nimblelm.nn.long_range.block_sparse import butterfly_blocks, gathered_block_attention
from nimblelm.nn.long_range.clusters import cluster_attention, merge_rounds
from nimblelm.nn.long_range.linformer import linformer_attention
from nimblelm.nn.long_range.local_attention import local_attention
from nimblelm.nn.long_range.methods import naive_attention
from nimblelm.nn.long_range.performer import (
    log_softmax_features,
    orthogonal_directions,
    performer_attention,
    relative_spread,
)
from nimblelm.nn.long_range.precision import widened
from nimblelm.nn.long_range.reformer import lsh_attention, lsh_buckets
from nimblelm.nn.long_range.smyrf import asymmetric_transforms, smyrf_attention
from nimblelm.nn.mlp import SwiGLU
from nimblelm.nn.norms import RMSNorm
from nimblelm.nn.positions import rotary_table, rotate
from nimblelm.nn.relative_positions import RelativeBias
from nimblelm.nn.weight_names import renamed
from tests.tensor_variants import Arguments, Case, Exempt
from tests.variants.kernels import random, with_gradients

NOT_YET: tuple[str, ...] = ()


def qkv(length: int = 20, keys: int | None = None) -> Arguments:
    keys = keys or length
    return random(q=(2, length, 2, 8), k=(2, keys, 2, 8), v=(2, keys, 2, 8))


def positive(*names: str, **shapes: tuple[int, ...]) -> Arguments:
    """Random tensors; those named are positive, as features are."""
    return {name: x.abs() + 0.1 if name in names else x for name, x in random(**shapes).items()}


def gradients_of(attend) -> Case:
    """Output and gradients of self-attention; the gradient of the output comes as autograd has it, in its dtype."""
    both = with_gradients(attend)
    return Case(
        lambda q, k, v, dout: both(q, k, v, dout.to(q.dtype), None),
        lambda: qkv() | random(dout=(2, 20, 2, 8)),
        own_dtype=frozenset({"dout"}),
        tolerance=4,
    )


def module(kind, *shape):
    """A module of one set of weights, in the dtype of the tensors that it is called with."""

    @cache
    def built(dtype):
        torch.manual_seed(0)
        return kind(*shape).to(dtype).requires_grad_(False)

    return built


ATTENTION, MLP, PLAIN = module(Attention, 16, 4, 2), module(SwiGLU, 16, 24), module(mlp.MLP, 16, 24, F.gelu)
ENCODER = module(EncoderBlock, 16, 4, 20, 1e-6)
NORM, BIAS = module(RMSNorm, 16), module(RelativeBias, 3, True, 8, 10)


def grouped(length: int = 3, keys: int = 7) -> Arguments:
    return random(q=(2, length, 4, 8), k=(2, keys, 2, 8), v=(2, keys, 2, 8))


def visible() -> Arguments:
    return {"visible": torch.rand(2, 1, 3, 7, generator=torch.Generator().manual_seed(5)) < 0.6}


def recorded(q, k, v, visible):
    maps: list[torch.Tensor] = []
    return attend.recorded(maps, visible)(q, k, v), maps


def turned(x, context):
    return ATTENTION(x.dtype)(
        x, attend.causal, partial(rotate, table=rotary_table(3, 4).to(x.dtype)), context.to(x.dtype)
    )


def weights() -> Arguments:
    return random(gate=(4, 6), up=(4, 6), qkv=(6, 3), norm=(5,))


RBM = module(deep_belief.RBM, 6, 4)


def dreamt(x):
    return RBM(x.dtype).contrastive_divergence(x, torch.Generator().manual_seed(2))


def shares(**shapes: tuple[int, ...]) -> Arguments:
    return {name: x.sigmoid() for name, x in random(**shapes).items()}


def updated(x: torch.Tensor) -> list[torch.Tensor]:
    """A codebook that starts with x and learns from it twice."""
    book = vq.Codebook(3, x.shape[1]).to(x.dtype)
    update = CodebookUpdate(book, 0.5, 0.0, torch.Generator().manual_seed(0))
    update.start(x, 2)
    update.step(x, vq.nearest_codes(x, book.vectors))
    again = CodebookUpdate(book, 0.5, 0.0)
    again.load_state_dict(update.state_dict())
    again.step(x, vq.nearest_codes(x, book.vectors))
    return [book.vectors]


def clusters() -> Arguments:
    """Three groups of points, far apart."""
    return {"x": 0.1 * random(x=(12, 2))["x"] + 4 * torch.eye(3)[:, :2].repeat(4, 1)}


UPDATE = Case(updated, clusters, dtypes=(torch.float32,), fixed=frozenset({"x"}), tolerance=8)
BOOK = module(vq.Codebook, 5, 3)


def contrastive_gradients(loss, x, y, scale):
    """Value and gradients of a loss of two normalised sets of embeddings."""
    x, y = (F.normalize(one.detach(), dim=1).requires_grad_() for one in (x, y))
    scale = scale.detach().clone().requires_grad_()
    value = loss(x, y, scale, *((scale,) if loss is contrastive.siglip_loss else ()))
    return value, torch.autograd.grad(value, (x, y, scale))


CASES: dict[str, Case | Exempt] = {
    "nn.codebook_update.k_means": Case(
        lambda x: k_means(x, 3, 3, torch.Generator().manual_seed(0)),
        clusters,
        dtypes=(torch.float32,),
        fixed=frozenset({"x"}),
        tolerance=4,
    ),
    "nn.codebook_update.CodebookUpdate.start": UPDATE,
    "nn.codebook_update.CodebookUpdate.step": UPDATE,
    "nn.codebook_update.CodebookUpdate.load_state_dict": UPDATE,
    "nn.vector_quantization.squared_distances": Case(
        vq.squared_distances, lambda: random(x=(2, 4, 3), vectors=(5, 3)), tolerance=8
    ),
    "nn.vector_quantization.nearest_codes": Case(
        vq.nearest_codes, lambda: random(x=(2, 4, 3), vectors=(5, 3)), dtypes=(torch.float32,)
    ),
    "nn.vector_quantization.straight_through": Case(
        vq.straight_through, lambda: random(x=(2, 3), quantized=(2, 3)), tolerance=4
    ),
    "nn.vector_quantization.Codebook.encode": Case(
        lambda x: BOOK(x.dtype).encode(x), lambda: random(x=(2, 3, 4)), dtypes=(torch.float32,)
    ),
    "nn.vector_quantization.Codebook.decode": Case(
        lambda codes: BOOK(torch.float32).decode(codes), lambda: {"codes": torch.tensor([[0, 4, 2], [1, 1, 3]])}
    ),
    "nn.deep_belief.RBM.hidden": Case(lambda x: RBM(x.dtype).hidden(x), lambda: shares(x=(3, 6))),
    "nn.deep_belief.RBM.visible": Case(lambda x: RBM(x.dtype).visible(x), lambda: shares(x=(3, 4))),
    "nn.deep_belief.RBM.free_energy": Case(
        lambda x: RBM(x.dtype).free_energy(x), lambda: shares(x=(3, 6)), tolerance=4
    ),
    "nn.deep_belief.RBM.contrastive_divergence": Case(
        dreamt, lambda: shares(x=(3, 6)), dtypes=(torch.float32,), tolerance=50
    ),
    "nn.deep_belief.bernoulli": Case(
        lambda x: deep_belief.bernoulli(x, torch.Generator().manual_seed(2)),
        lambda: {"x": torch.tensor([[0.25, 0.5, 0.75], [0.125, 1.0, 0.0]])},
        dtypes=(torch.float32,),
    ),
    "nn.patches.patchify": Case(lambda x: patches.patchify(x, 2), lambda: random(x=(2, 3, 4, 6))),
    "nn.patches.unpatchify": Case(lambda x: patches.unpatchify(x, 2, (2, 3)), lambda: random(x=(2, 6, 12))),
    "nn.patches.interpolate_positions": Case(
        lambda x: patches.interpolate_positions(x, (2, 3), (4, 4)), lambda: random(x=(7, 5)), dtypes=(torch.float32,)
    ),
    "nn.attend.causal": Case(attend.causal, grouped),
    "nn.attend.full": Case(attend.full, grouped),
    "nn.attend.causal[windowed]": Case(lambda q, k, v: attend.windowed(4)(q, k, v), grouped),
    "nn.attend.masked": Case(
        lambda q, k, v, visible: attend.masked(visible)(q, k, v),
        lambda: grouped() | visible(),
        fixed=frozenset({"visible"}),
    ),
    "nn.attend.biased": Case(
        lambda q, k, v, bias: attend.biased(bias, scale=0.3)(q, k, v), lambda: grouped() | random(bias=(1, 4, 3, 7))
    ),
    "nn.attend.recorded": Case(recorded, lambda: grouped() | visible(), fixed=frozenset({"visible"})),
    "nn.attention.Attention.forward": Case(turned, lambda: random(x=(2, 3, 16), context=(2, 3, 16)), tolerance=4),
    "nn.checkpoint.load_weights": Case(
        lambda weight: (norm := RMSNorm(5), checkpoint.load_weights(norm, {"weight": weight}), norm.weight.detach())[2],
        lambda: random(weight=(5,)),
        dtypes=(torch.float32,),
    ),
    "nn.checkpoint.storable": Case(
        lambda matrix, vector: checkpoint.storable({"a": matrix, "b": vector, "c": vector}),
        lambda: random(matrix=(4, 6), vector=(5,)),
    ),
    "nn.checkpoint.to_int8": Case(
        lambda matrix, vector: checkpoint.to_int8({"a": matrix, "b": vector}),
        lambda: random(matrix=(4, 6), vector=(5,)),
    ),
    "nn.checkpoint.from_int8": Case(
        lambda values, scales, vector: checkpoint.from_int8({"a": values, "a" + SCALES: scales, "b": vector}),
        lambda: (
            random(vector=(5,))
            | {"values": torch.arange(-12, 12, dtype=torch.int8).view(4, 6), "scales": random(s=(4,))["s"].abs()}
        ),
        own_dtype=frozenset({"scales"}),
    ),
    "nn.long_range.block_sparse.gathered_block_attention": Case(
        lambda q, k, v, blocks: gathered_block_attention(q, k, v, blocks, 4),
        lambda: qkv() | {"blocks": butterfly_blocks(5)},
    ),
    "nn.long_range.block_sparse.gathered_block_attention[gradients]": gradients_of(
        lambda q, k, v: gathered_block_attention(q, k, v, butterfly_blocks(5), 4)
    ),
    "nn.long_range.clusters.cluster_attention": Case(
        lambda **tensors: cluster_attention(**tensors, num_chunks=4, look_back=True, scale=0.5),
        lambda: (
            qkv()
            | {"query_order": torch.randperm(20).expand(2, 2, 20), "key_order": torch.randperm(20).expand(2, 2, 20)}
        ),
        fixed=frozenset({"query_order", "key_order"}),
    ),
    "nn.long_range.clusters.merge_rounds": Case(
        lambda out, other, lse, also: merge_rounds([(out, lse), (other, also)]),
        lambda: random(out=(2, 20, 2, 8), other=(2, 20, 2, 8), lse=(2, 2, 20), also=(2, 2, 20)),
    ),
    "nn.long_range.linear_attention.elu_features": Case(linear.elu_features, lambda: random(x=(2, 20, 8))),
    "nn.long_range.linear_attention.log_elu_features": Case(linear.log_elu_features, lambda: random(x=(2, 20, 8))),
    "nn.long_range.linear_attention.kernel_attention": Case(
        linear.kernel_attention,
        lambda: positive(
            "q_features", "k_features", q_features=(2, 20, 2, 6), k_features=(2, 15, 2, 6), v=(2, 15, 2, 8)
        ),
    ),
    "nn.long_range.linear_attention.causal_kernel_attention": Case(
        lambda **tensors: linear.causal_kernel_attention(**tensors, chunk=8),
        lambda: positive(
            "q_features", "k_features", q_features=(2, 20, 2, 6), k_features=(2, 20, 2, 6), v=(2, 20, 2, 8)
        ),
    ),
    "nn.long_range.linear_attention.log_kernel_attention": Case(
        linear.log_kernel_attention, lambda: random(q_log=(2, 20, 2, 6), k_log=(2, 15, 2, 6), v=(2, 15, 2, 8))
    ),
    "nn.long_range.linear_attention.log_kernel_attention[causal]": Case(
        lambda **tensors: linear.log_kernel_attention(**tensors, causal=True),
        lambda: random(q_log=(2, 20, 2, 6), k_log=(2, 20, 2, 6), v=(2, 20, 2, 8)),
    ),
    "nn.long_range.linear_attention.linear_step": Case(
        lambda weighted, total, **new: linear.linear_step(linear.LinearState(weighted, total), **new),
        lambda: positive(
            "q_features",
            "k_features",
            "total",
            q_features=(2, 3, 6),
            k_features=(2, 3, 6),
            v=(2, 3, 8),
            weighted=(2, 3, 6, 8),
            total=(2, 3, 6),
        ),
    ),
    "nn.long_range.linear_attention.linear_attention": Case(linear.linear_attention, qkv),
    "nn.long_range.linear_attention.linear_attention[causal]": Case(
        lambda q, k, v: linear.linear_attention(q, k, v, causal=True), lambda: qkv(70)
    ),
    "nn.long_range.linear_attention.linear_attention[gradients]": gradients_of(
        lambda q, k, v: linear.linear_attention(q, k, v, causal=True)
    ),
    "nn.long_range.linformer.linformer_attention": Case(
        linformer_attention, lambda: qkv() | random(project_keys=(5, 20), project_values=(5, 20)), tolerance=2
    ),
    "nn.long_range.local_attention.local_attention": Case(lambda q, k, v: local_attention(q, k, v, 4), qkv),
    "nn.long_range.local_attention.local_attention[causal]": Case(
        lambda q, k, v: local_attention(q, k, v, 7, causal=True), qkv
    ),
    "nn.long_range.local_attention.local_attention[gradients]": gradients_of(
        lambda q, k, v: local_attention(q, k, v, 4)
    ),
    "nn.long_range.methods.naive_attention": Case(naive_attention, lambda: qkv(20, 13)),
    "nn.long_range.performer.log_softmax_features": Case(
        log_softmax_features, lambda: random(x=(2, 20, 8), directions=(6, 8)), tolerance=2
    ),
    "nn.long_range.performer.relative_spread": Case(
        lambda q, k: relative_spread(q, k, 64),
        lambda: {name: 0.5 * x for name, x in random(q=(2, 20, 8), k=(2, 20, 8)).items()},
        tolerance=10,  # exp(|q + k|^2 / 2) turns the rounding of half precision into as much more
    ),
    "nn.long_range.performer.performer_attention": Case(
        performer_attention, lambda: qkv() | {"directions": orthogonal_directions(16, 8)}
    ),
    "nn.long_range.performer.performer_attention[causal]": Case(
        lambda **tensors: performer_attention(**tensors, causal=True),
        lambda: qkv() | {"directions": orthogonal_directions(16, 8)},
    ),
    "nn.long_range.precision.widened": Case(lambda x: widened(x), lambda: random(x=(2, 3))),
    "nn.long_range.reformer.lsh_buckets": Case(lsh_buckets, lambda: random(x=(2, 20, 2, 8), rotations=(3, 8, 2))),
    "nn.long_range.reformer.lsh_attention": Case(
        lambda qk, v, buckets: lsh_attention(qk, v, buckets, 4),
        lambda: random(qk=(2, 20, 2, 8), v=(2, 20, 2, 8)) | {"buckets": torch.randint(0, 4, (2, 2, 2, 20))},
    ),
    "nn.long_range.reformer.lsh_attention[causal]": Case(
        lambda qk, v, buckets: lsh_attention(qk, v, buckets, 4, causal=True),
        lambda: random(qk=(2, 20, 2, 8), v=(2, 20, 2, 8)) | {"buckets": torch.randint(0, 4, (2, 2, 2, 20))},
    ),
    "nn.long_range.smyrf.asymmetric_transforms": Case(
        asymmetric_transforms, lambda: random(q=(2, 9, 2, 8), k=(2, 7, 2, 8))
    ),
    "nn.long_range.smyrf.smyrf_attention": Case(
        lambda **tensors: smyrf_attention(**tensors, num_clusters=1), lambda: qkv() | random(directions=(2, 10))
    ),
    "nn.long_range.smyrf.smyrf_attention[clusters]": Case(
        lambda **tensors: smyrf_attention(**tensors, num_clusters=4),
        lambda: qkv() | random(directions=(2, 10)),
        dtypes=(torch.float32,),  # rounding to another dtype turns the order of the sorted projections
        fixed=frozenset({"q", "k", "directions"}),
    ),
    "nn.mlp.SwiGLU.forward": Case(lambda x: MLP(x.dtype)(x), lambda: random(x=(2, 3, 16)), tolerance=2),
    "nn.norms.RMSNorm.forward": Case(lambda x: NORM(x.dtype)(x), lambda: random(x=(2, 3, 16))),
    "nn.positions.rotate": Case(rotate, lambda: random(x=(2, 3, 4, 8)) | {"table": rotary_table(3, 8)}),
    "nn.mlp.MLP.__init__": Exempt("the activation is a function"),
    "nn.encoder_block.EncoderBlock.__init__": Exempt("the activation is a function"),
    **{
        f"nn.contrastive.{loss.__name__}": Case(
            lambda x, y, scale, loss=loss: contrastive_gradients(loss, x, y, scale),
            lambda: random(x=(9, 5), y=(9, 5)) | {"scale": torch.tensor(3.0)},
            own_dtype=frozenset({"scale"}),
            tolerance=8,
        )
        for loss in (contrastive.clip_loss, contrastive.siglip_loss, contrastive.chunked_clip_loss)
    },
    "nn.encoder_block.EncoderBlock.forward": Case(
        lambda x: ENCODER(x.dtype)(x, attend.full), lambda: random(x=(2, 3, 16)), tolerance=8
    ),
    "nn.mlp.MLP.forward": Case(lambda x: PLAIN(x.dtype)(x), lambda: random(x=(2, 3, 16)), tolerance=4),
    "nn.relative_positions.RelativeBias.forward": Case(
        lambda queries, keys: BIAS(torch.float32)(queries, keys),
        lambda: {"queries": torch.arange(3, 8), "keys": torch.arange(9)},
        dtypes=(torch.float32,),
    ),
    "nn.relative_positions.RelativeBias.buckets": Case(
        lambda distances: BIAS(torch.float32).buckets(distances),
        lambda: {"distances": torch.arange(-12, 12).view(4, 6)},
        dtypes=(torch.float32,),
    ),
    "nn.weight_layout.by_column": Case(weight_layout.by_column, lambda: random(weight=(4, 6))),
    "nn.weight_names.renamed": Case(
        lambda **given: renamed(given, {"gate + up": "both", "qkv": "q + k + v^T", "norm": "n"}), weights
    ),
    "nn.attend.prefix_mask": Case(
        lambda p: attend.prefix_mask(p, 5), lambda: {"p": torch.tensor([0, 3, 5])}, fixed=frozenset({"p"})
    ),
}
