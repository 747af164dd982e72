"""How the functions of `nimblelm.compression` are called with tensors.

Long because the room has many functions, each a row.
"""

from dataclasses import replace

import torch
from torch import nn

from nimblelm.compression import lora, qlora
from nimblelm.compression.distillation import distilbert, masking, sequence_level, soft_targets
from nimblelm.compression.pruning import (
    hard_concrete,
    magnitude,
    overparameterized,
    semi_structured,
    shearing,
    sparse_decoding,
    structured,
    wanda,
)
from nimblelm.compression.quantization import absmax, double, gptq, nf4, outliers, packed, simulated
from nimblelm.kernels.weight_only_matmul import quantize_int4, quantize_int8
from nimblelm.nn.norms import RMSNorm
from tests.tensor_variants import Arguments, Case, Exempt
from tests.variants.inference import TARGET

NOT_YET: tuple[str, ...] = ()
FLOAT32 = (torch.float32,)
CODES = torch.arange(6 * 32).reshape(6, 32)


def random(**shapes: tuple[int, ...]) -> Arguments:
    generator = torch.Generator().manual_seed(5)
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


LABELS = torch.tensor([[3, -100, 0], [-100, 6, 1]])
IS_TOKEN = torch.tensor([[True, True, True], [False, True, True]])


def a_masked_batch(tokens):
    may_mask = torch.ones(tokens.shape, dtype=torch.bool)
    return masking.mask_tokens(tokens, may_mask, 4, 30, torch.Generator().manual_seed(0), 0.5)


def three_losses(**tensors):
    return distilbert.triple_loss(**tensors, labels=LABELS, is_token=IS_TOKEN)


def blended(**tensors):
    return soft_targets.blended_loss(**tensors, labels=LABELS[0])


def written_log_probs() -> Arguments:
    tokens = torch.tensor([[1, 2], [3, 4], [1, 2], [5, 6]])
    return {"tokens": tokens, "log_probs": torch.tensor([[-0.5, -1.0], [-4.0, -4.0], [0.0, 0.0], [-2.0, -1.0]])}


def of_weight(function, num_columns: int = 64) -> Case:
    """A weight and what it is rounded to."""
    return Case(lambda weight: function(weight).dequantize(), lambda: random(weight=(6, num_columns)))


def product_of(make, exact_weight) -> Case:
    """A layer made from a fixed weight, whose product is taken with activations in bfloat16."""
    layer = make(random(weight=(32, 128))["weight"])
    return Case(
        layer.forward,
        lambda: random(x=(2, 3, 128)),
        lambda x: x @ exact_weight(layer).double().T,
        tolerance=800.0,  # of float32's limit: activations are rounded to bfloat16
        dtypes=FLOAT32,
    )


def a_quantized(values, scales):
    return absmax.Quantized(values, scales, None, 8).dequantize()


def two_scales(values, steps, mean):
    return double.DoubleScales(values, steps, mean).dequantize()


def an_nf4(packed, scales):
    return nf4.NF4Weight(packed, scales, (2, 128)).dequantize()


def exact_nf4(packed, scales):
    codes = torch.tensor([c for byte in packed.tolist() for c in (byte // 16, byte % 16)])
    return nf4.nf4_levels().double()[codes].view(2, 128) * scales.double().repeat_interleave(64).view(2, 128)


def hessian_of(x):
    moments = gptq.InputMoments(x.shape[-1])
    moments.add(x)
    return moments.hessian


def inverse(hessian):
    factor = gptq.inverse_factor(hessian @ hessian.mT + torch.eye(len(hessian)))
    return factor.T @ factor


def adapted(x, A, B):
    layer = lora.LoRALinear(nn.Linear(8, 6, bias=False).to(x.dtype), 3, 6.0)
    layer.base.weight.data = torch.eye(6, 8, dtype=x.dtype)
    layer.A.data, layer.B.data = A, B
    return layer(x), layer.delta()


def normed(x, gain):
    norm = RMSNorm(8)
    norm.weight.data = gain
    return packed.LeanRMSNorm(norm)(x)


def drawn(log_alpha):
    noise = torch.linspace(0.05, 0.95, log_alpha.numel(), dtype=log_alpha.dtype).view(log_alpha.shape)
    return hard_concrete.sample_mask(log_alpha, noise=noise)


def norms_of(x):
    seen = wanda.InputNorms(x.shape[-1])
    seen.add(x)
    return seen.norms


def two_of_four(values, places):
    return semi_structured.TwoOfFour(values, places).dense()


def half_of(weight):
    return weight * magnitude.largest(weight.abs(), weight.numel() // 2)


def of_four(weight):
    return semi_structured.compress_two_of_four(weight * semi_structured.nm_mask(weight.abs())).dense()


def layer_importance(tokens):
    return structured.importance(TARGET, tokens).layers


FROZEN = nf4.quantize_nf4(random(weight=(6, 64))["weight"])
HALVED = lambda scores: wanda.row_masks(scores, 0.5)  # noqa: E731
WEIGHTS = Exempt("weights of a model's layers, which PyTorch lays out")

CASES: dict[str, Case | Exempt] = {
    "compression.quantization.absmax.quantize_absmax": of_weight(lambda w: absmax.quantize_absmax(w, 8, 16)),
    "compression.quantization.absmax.quantize_zero_point": of_weight(lambda w: absmax.quantize_zero_point(w, 8, 16)),
    "compression.quantization.absmax.zero_point_grid": Case(
        lambda groups: absmax.zero_point_grid(groups, 8), lambda: random(groups=(6, 16)), dtypes=FLOAT32
    ),
    "compression.quantization.absmax.Quantized.dequantize": Case(
        a_quantized,
        lambda: {"values": (CODES - 96).to(torch.int16), "scales": torch.arange(1.0, 7.0)},
        lambda values, scales: values.double() * scales.double()[:, None],
        own_dtype=frozenset({"values", "scales"}),
    ),
    "compression.quantization.absmax.stack_rows": Exempt("joins whole tensors"),
    "compression.quantization.double.quantize_scales": Case(
        lambda scales: double.quantize_scales(scales).dequantize(), lambda: {"scales": random(s=(300,))["s"].abs()}
    ),
    "compression.quantization.double.DoubleScales.dequantize": Case(
        two_scales,
        lambda: {"values": CODES[:5].flatten().to(torch.int8), "steps": torch.ones(1), "mean": torch.tensor(200.0)},
        lambda values, steps, mean: (mean.double() + steps.double() * values.double()).clamp(min=0),
        own_dtype=frozenset({"values", "steps", "mean"}),
    ),
    "compression.quantization.nf4.quantize_nf4": of_weight(nf4.quantize_nf4),
    "compression.quantization.nf4.NF4Weight.dequantize": Case(
        an_nf4,
        lambda: {"packed": (CODES.flatten()[:128] * 37 % 256).to(torch.uint8), "scales": torch.arange(1.0, 5.0)},
        exact_nf4,
        own_dtype=frozenset({"packed", "scales"}),
    ),
    "compression.quantization.outliers.outlier_features": Case(
        lambda x: outliers.outlier_features(x, 1.5), lambda: random(x=(4, 16)), dtypes=FLOAT32
    ),
    "compression.quantization.outliers.vectorwise_int8_product": Case(
        outliers.vectorwise_int8_product, lambda: random(x=(4, 32), weight=(5, 32))
    ),
    "compression.quantization.outliers.llm_int8_product": Case(
        lambda x, weight: outliers.llm_int8_product(x, weight, 2.0), lambda: random(x=(4, 32), weight=(5, 32))
    ),
    "compression.quantization.gptq.InputMoments.add": Case(hessian_of, lambda: random(x=(3, 7, 5)), tolerance=10.0),
    "compression.quantization.gptq.inverse_factor": Case(
        inverse, lambda: random(hessian=(5, 5)), dtypes=FLOAT32, tolerance=50.0
    ),
    "compression.quantization.gptq.gptq": Case(
        lambda weight: gptq.gptq(weight, torch.eye(16).double(), 8).dequantize(), lambda: random(weight=(5, 16))
    ),
    "compression.quantization.packed.Int8Linear.__init__": WEIGHTS,
    "compression.quantization.packed.Int4Linear.__init__": WEIGHTS,
    "compression.quantization.packed.BFloat16Linear.__init__": WEIGHTS,
    "compression.quantization.packed.BFloat16Linear.forward": product_of(
        packed.BFloat16Linear, lambda layer: layer.weight
    ),
    "compression.quantization.packed.Int8Linear.forward": product_of(
        packed.int8_linear, lambda layer: layer.weight.dequantize()
    ),
    "compression.quantization.packed.Int4Linear.forward": product_of(
        packed.int4_linear, lambda layer: layer.weight.dequantize()
    ),
    "compression.quantization.packed.int8_linear": Case(
        lambda weight: packed.int8_linear(weight).weight.dequantize(),
        lambda: random(weight=(6, 64)),
        lambda weight: quantize_int8(weight).dequantize(torch.float64),
    ),
    "compression.quantization.packed.int4_linear": Case(
        lambda weight: packed.int4_linear(weight).weight.dequantize(),
        lambda: random(weight=(32, 64)),
        lambda weight: quantize_int4(weight, 64).dequantize(torch.float64),
    ),
    "compression.quantization.packed.one_query_or_causal": Case(
        packed.one_query_or_causal, lambda: random(q=(2, 1, 4, 8), k=(2, 7, 2, 8), v=(2, 7, 2, 8))
    ),
    "compression.quantization.packed.LeanRMSNorm.forward": Case(
        normed, lambda: random(x=(2, 3, 8), gain=(8,)), dtypes=FLOAT32
    ),
    "compression.quantization.packed.PackedAttention.__init__": WEIGHTS,
    "compression.quantization.packed.packed_for_decoding": WEIGHTS,
    "compression.quantization.packed.PackedAttention.qkv": Exempt("hands x to a layer that is tested"),
    "compression.quantization.simulated.gptq_model": Case(
        lambda tokens: simulated.gptq_model(TARGET, tokens, 8).model.head.weight,
        lambda: {"tokens": CODES % 20},
        dtypes=FLOAT32,
    ),
    "compression.lora.LoRALinear.forward": Case(
        adapted, lambda: random(x=(2, 3, 8), A=(3, 8), B=(6, 3)), dtypes=FLOAT32
    ),
    "compression.lora.load_adapter": WEIGHTS,
    "compression.qlora.FrozenProduct.forward": Exempt("called by NF4Linear.forward"),
    "compression.qlora.FrozenProduct.backward": Exempt("called by autograd"),
    "compression.qlora.NF4Linear.__init__": WEIGHTS,
    "compression.qlora.NF4Linear.forward": Case(
        lambda x: qlora.NF4Linear(replace(FROZEN)).forward(x),
        lambda: random(x=(2, 3, 64)),
        lambda x: x @ FROZEN.dequantize(torch.float64).T,
    ),
    "compression.distillation.soft_targets.distillation_losses": Case(
        lambda student_logits, teacher_logits: soft_targets.distillation_losses(student_logits, teacher_logits, 2.0),
        lambda: random(student_logits=(2, 3, 7), teacher_logits=(2, 3, 7)),
    ),
    "compression.distillation.soft_targets.distillation_loss": Case(
        soft_targets.distillation_loss, lambda: random(student_logits=(2, 3, 7), teacher_logits=(2, 3, 7))
    ),
    "compression.distillation.soft_targets.distillation_gradient": Case(
        soft_targets.distillation_gradient, lambda: random(student_logits=(2, 3, 7), teacher_logits=(2, 3, 7))
    ),
    "compression.distillation.soft_targets.blended_loss": Case(
        blended, lambda: random(student_logits=(3, 7), teacher_logits=(3, 7))
    ),
    "compression.distillation.soft_targets.labels_that_count": Case(
        lambda labels, logits: soft_targets.labels_that_count(labels, logits),
        lambda: {"labels": LABELS} | random(logits=(2, 3, 7)),
    ),
    "compression.distillation.masking.mask_tokens": Case(a_masked_batch, lambda: {"tokens": CODES % 30}),
    "compression.distillation.distilbert.triple_loss": Case(
        three_losses,
        lambda: random(
            student_logits=(2, 3, 7), teacher_logits=(2, 3, 7), student_states=(2, 3, 5), teacher_states=(2, 3, 5)
        ),
    ),
    "compression.distillation.distilbert.TripleLoss.total": Exempt("weighs three numbers"),
    "compression.distillation.sequence_level.sequence_targets": Case(
        lambda prompts, continuations: sequence_level.sequence_targets(prompts, continuations, eos_token=9),
        lambda: {"prompts": CODES[:3, :4] % 20, "continuations": CODES[3:, 4:9] % 20},
    ),
    "compression.distillation.sequence_level.kept_sequences": Case(
        lambda tokens, log_probs: sequence_level.kept_sequences(tokens, log_probs, 0.5),
        written_log_probs,
        fixed=frozenset({"log_probs"}),
    ),
    "compression.pruning.hard_concrete.sample_mask": Case(drawn, lambda: random(log_alpha=(3, 5)), dtypes=FLOAT32),
    "compression.pruning.hard_concrete.open_probability": Case(
        hard_concrete.open_probability, lambda: random(log_alpha=(3, 5))
    ),
    "compression.pruning.hard_concrete.settled_mask": Case(
        lambda log_alpha: hard_concrete.settled_mask(log_alpha, 2), lambda: random(log_alpha=(3, 5))
    ),
    "compression.pruning.hard_concrete.lagrangian": Case(
        lambda sparsity, multipliers: hard_concrete.lagrangian(sparsity, 0.4, multipliers),
        lambda: random(sparsity=(6,), multipliers=(2,)),
    ),
    "compression.pruning.magnitude.largest": Case(
        lambda scores: magnitude.largest(scores, 7), lambda: random(scores=(4, 6)), dtypes=FLOAT32
    ),
    "compression.pruning.magnitude.layer_masks": Exempt("hands each weight to largest"),
    "compression.pruning.magnitude.global_masks": Exempt("hands all weights to largest"),
    "compression.pruning.semi_structured.nm_mask": Case(
        semi_structured.nm_mask, lambda: random(scores=(4, 16)), dtypes=FLOAT32
    ),
    "compression.pruning.semi_structured.compress_two_of_four": Case(
        of_four, lambda: random(weight=(4, 16)), dtypes=FLOAT32
    ),
    "compression.pruning.semi_structured.TwoOfFour.dense": Case(
        two_of_four,
        lambda: {"values": random(v=(2, 8))["v"], "places": torch.tensor([[0xC4, 0xE4], [0x94, 0x44]]).byte()},
        own_dtype=frozenset({"places"}),
    ),
    "compression.pruning.wanda.InputNorms.add": Case(norms_of, lambda: random(x=(3, 7, 5))),
    "compression.pruning.wanda.wanda_scores": Case(
        wanda.wanda_scores, lambda: {"weight": random(w=(4, 6))["w"], "norms": random(n=(6,))["n"].abs()}
    ),
    "compression.pruning.wanda.row_masks": Case(
        lambda scores: wanda.row_masks(scores, 0.5), lambda: random(scores=(4, 16)), dtypes=FLOAT32
    ),
    "compression.pruning.wanda.wanda_model": Case(
        lambda tokens: (
            wanda.wanda_model(TARGET, tokens, lambda s: wanda.row_masks(s, 0.5)).blocks[0].mlp.down_proj.weight
        ),
        lambda: {"tokens": CODES % 20},
        dtypes=FLOAT32,
    ),
    "compression.pruning.structured.importance": Case(layer_importance, lambda: {"tokens": CODES % 20}, dtypes=FLOAT32),
    "compression.pruning.structured.block_influence": Case(
        lambda tokens: structured.block_influence(TARGET, tokens), lambda: {"tokens": CODES % 20}, dtypes=FLOAT32
    ),
    "compression.pruning.shearing.reweighted": Case(
        lambda losses, references: shearing.reweighted(torch.tensor([0.5, 0.25, 0.25]), losses, references),
        lambda: random(losses=(3,), references=(3,)),
    ),
    "compression.pruning.overparameterized.quadratic_network": Case(
        overparameterized.quadratic_network, lambda: random(x=(7, 5), W=(3, 5))
    ),
    "compression.pruning.overparameterized.fit_quadratic": Case(
        lambda x, y, W: overparameterized.fit_quadratic(x, y, W, 3, 0.01),
        lambda: random(x=(7, 5), y=(7,), W=(3, 5)),
        dtypes=FLOAT32,
    ),
    "compression.pruning.sparse_decoding.SparseLinear.__init__": WEIGHTS,
    "compression.pruning.sparse_decoding.SparseLinear.forward": Case(
        lambda x: sparse_decoding.SparseLinear(half_of(random(weight=(6, 8))["weight"]).to(x.dtype)).forward(x),
        lambda: random(x=(1, 2, 8)),
        lambda x: x @ half_of(random(weight=(6, 8))["weight"]).double().T,
        dtypes=FLOAT32,
    ),
    "compression.pruning.sparse_decoding.bitmap_bytes": Exempt("counts entries"),
    "compression.pruning.slicing.StructuredMasks.all_open": WEIGHTS,
    "compression.pruning.slicing.check_masks": WEIGHTS,
    "compression.pruning.slicing.masked_gains": WEIGHTS,
    "compression.pruning.slicing.masked_model": WEIGHTS,
    "compression.pruning.slicing.masked_weights": WEIGHTS,
    "compression.pruning.slicing.sliced_model": WEIGHTS,
    "compression.pruning.structured.most_important": Exempt("hands rows to largest"),
    "compression.quantization.simulated.Statistics.add": Exempt("a protocol"),
    "compression.quantization.simulated.block_by_block": Exempt("called by gptq_model and wanda_model"),
    "compression.pruning.held.apply_masks": Exempt("sets entries of a model's own parameters to 0"),
    "compression.pruning.held.hold_masks": Exempt("sets entries of a model's own parameters to 0"),
    "compression.pruning.held.share_of_zeros": Exempt("counts entries"),
}
