"""No range check of the library lets nan pass, and no infinity where a finite number is meant.

Long because every public function that takes numbers has its row.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nimblelm.audio.ast import ASTConfig
from nimblelm.audio.codec.balancer import Balancer
from nimblelm.audio.codec.bottleneck_transformer import BottleneckConfig
from nimblelm.audio.codec.losses import mel_loss
from nimblelm.audio.codec.residual_vq import bit_rate_bps, num_codebooks_for
from nimblelm.audio.features.griffin_lim import griffin_lim
from nimblelm.audio.features.mel import mel_filters
from nimblelm.audio.features.mel_spectrum import compressed
from nimblelm.audio.features.sampling import alias_hz
from nimblelm.audio.features.voice_activity import louder_than_noise, stretches
from nimblelm.audio.recognition.beam_search import BeamConfig
from nimblelm.audio.recognition.conformer import ConformerBlock
from nimblelm.audio.recognition.hmm import Gaussians, HMMRecogniser
from nimblelm.audio.recognition.recogniser import RecogniserConfig
from nimblelm.audio.recognition.rescoring import rescored
from nimblelm.audio.recognition.wav2vec2 import Wav2Vec2Config
from nimblelm.compression import lora, qlora
from nimblelm.compression.distillation import distilbert, masking, sequence_level, soft_targets, synthetic
from nimblelm.compression.pruning import (
    hard_concrete,
    lottery,
    magnitude,
    overparameterized,
    shearing,
    sparse_decoding,
    wanda,
)
from nimblelm.compression.quantization import gptq, outliers
from nimblelm.control import cart_pole, imitation, trpo
from nimblelm.data.voices import clip
from nimblelm.data.voices.strings import joined
from nimblelm.inference.decoding.sampling import Sampling
from nimblelm.inference.medusa import search
from nimblelm.inference.medusa.tree import CandidateTree
from nimblelm.inference.medusa.verification import Typical, typical_path, typical_threshold
from nimblelm.inference.serving.loop import AffineCost
from nimblelm.inference.serving.scheduler import Request
from nimblelm.inference.speculative.adaptive_length import AdaptiveLength
from nimblelm.inference.speculative.agreeing_pair import agreeing_pair
from nimblelm.inference.speculative.speedup import best_draft_length, expected_tokens, predicted_speedup
from nimblelm.language.bert import BertConfig
from nimblelm.language.gpt_neox import GPTNeoXConfig
from nimblelm.language.llama import LlamaConfig
from nimblelm.language.ngram import Mixture, NGram
from nimblelm.language.opt import OPTConfig
from nimblelm.language.t5 import T5Config
from nimblelm.measure import energy, latency, memory, roofline, timing
from nimblelm.multimodal.qformer import QFormerConfig
from nimblelm.multimodal.qformer_losses import contrastive_loss, hard_negatives
from nimblelm.nn.codebook_update import CodebookUpdate
from nimblelm.nn.encoder_block import EncoderBlock
from nimblelm.nn.norms import RMSNorm
from nimblelm.nn.positions import rotary_table
from nimblelm.nn.vector_quantization import Codebook
from nimblelm.vision.clip import CLIPConfig, TowerConfig, encoder_blocks
from nimblelm.vision.preprocessing import normalize
from nimblelm.vision.rollout import attention_rollout
from nimblelm.vision.siglip import SigLIPConfig
from nimblelm.vision.vit import ViTConfig
from tests.public_numbers import takes_numbers

SITE = energy.Site(0.5, 0.4, 2.0)
ROOF = roofline.Roofline(1e9, 1e8)
POLICY, JUDGE, SEEDED = nn.Linear(4, 2), nn.Linear(6, 1), torch.Generator().manual_seed(0)
TREE = CandidateTree(((0,), (0, 0)))
RATES = [[0.5, 0.2], [0.3, 0.1]]
PROBS = torch.tensor([[0.5, 0.5], [0.9, 0.1]])
PATH = {"tokens": torch.tensor([0, 1]), "probs": PROBS, "paths": torch.tensor([[0, 1]])}


LOGITS = {"student_logits": torch.ones(2, 3), "teacher_logits": torch.ones(2, 3)}
STATES = {name: torch.ones(1, 2, 3) for name in (*LOGITS, "student_states", "teacher_states")}


def layers() -> nn.Module:
    return nn.ModuleDict({"q_proj": nn.Linear(64, 64, bias=False)})


# name -> (function, arguments of a call that is right)
CASES: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "inference.speculative.adaptive_length.AdaptiveLength": (
        AdaptiveLength,
        {"round_costs": {1: 1.0, 2: 1.5}, "assumed_rate": 0.5, "assumed_counts": 2.0, "memory": 0.9},
    ),
    "compression.lora.LoRALinear": (lora.LoRALinear, {"base": nn.Linear(64, 64), "rank": 2, "alpha": 4.0}),
    "compression.lora.check_adapter": (lora.check_adapter, {"base": nn.Linear(64, 64), "rank": 2, "alpha": 4.0}),
    "compression.lora.add_lora": (lambda alpha: lora.add_lora(layers(), 2, alpha), {"alpha": 4.0}),
    "compression.qlora.add_qlora": (lambda alpha: qlora.add_qlora(layers(), 2, alpha), {"alpha": 4.0}),
    "compression.distillation.soft_targets.distillation_losses": (
        soft_targets.distillation_losses,
        {**LOGITS, "temperature": 2.0},
    ),
    "compression.distillation.soft_targets.distillation_loss": (
        soft_targets.distillation_loss,
        {**LOGITS, "temperature": 2.0},
    ),
    "compression.distillation.soft_targets.distillation_gradient": (
        soft_targets.distillation_gradient,
        {**LOGITS, "temperature": 2.0},
    ),
    "compression.distillation.soft_targets.blended_loss": (
        soft_targets.blended_loss,
        {**LOGITS, "labels": torch.zeros(2, dtype=torch.long), "temperature": 2.0, "alpha": 0.5},
    ),
    "compression.distillation.masking.mask_tokens": (
        lambda rate: masking.mask_tokens(torch.ones(2, 3).long(), torch.ones(2, 3).bool(), 0, 9, SEEDED, rate),
        {"rate": 0.15},
    ),
    "compression.distillation.distilbert.triple_loss": (
        distilbert.triple_loss,
        {**STATES, "labels": torch.zeros(1, 2).long(), "is_token": torch.ones(1, 2).bool(), "temperature": 2.0},
    ),
    "compression.distillation.distilbert.TripleLoss.total": (
        distilbert.TripleLoss(*torch.ones(3)).total,
        {"weights": [5.0, 2.0, 1.0]},
    ),
    "compression.distillation.sequence_level.kept_sequences": (
        sequence_level.kept_sequences,
        {"tokens": torch.ones(2, 3).long(), "log_probs": -torch.ones(2, 3), "share": 0.5},
    ),
    "compression.distillation.synthetic.deduplicated": (
        synthetic.deduplicated,
        {"texts": [["a"], ["b"]], "threshold": 0.5},
    ),
    "compression.distillation.synthetic.best": (
        synthetic.best,
        {"texts": [["a"], ["b"]], "score": lambda text: 1.0, "share": 0.5},
    ),
    "compression.pruning.hard_concrete.lagrangian": (
        hard_concrete.lagrangian,
        {"sparsity": torch.ones(2), "target": 0.5, "multipliers": torch.ones(2)},
    ),
    "compression.pruning.hard_concrete.ramped": (hard_concrete.ramped, {"target": 0.5, "step": 1, "warmup_steps": 2}),
    "compression.pruning.lottery.find_tickets": (
        lottery.find_tickets,
        {"start": {"a": torch.ones(4)}, "train": lambda weights, masks: weights, "rounds": 1, "share": 0.5},
    ),
    "compression.pruning.lottery.next_masks": (
        lottery.next_masks,
        {"trained": {"a": torch.ones(4)}, "masks": {"a": torch.ones(4, dtype=torch.bool)}, "share": 0.5},
    ),
    "compression.pruning.magnitude.kept_of": (magnitude.kept_of, {"total": 4, "sparsity": 0.5}),
    "compression.pruning.magnitude.layer_masks": (
        magnitude.layer_masks,
        {"weights": {"a": torch.ones(4)}, "sparsity": 0.5},
    ),
    "compression.pruning.magnitude.global_masks": (
        magnitude.global_masks,
        {"weights": {"a": torch.ones(4)}, "sparsity": 0.5},
    ),
    "compression.pruning.magnitude.cubic_sparsity": (
        magnitude.cubic_sparsity,
        {"final": 0.5, "step": 1, "steps": 2},
    ),
    "compression.pruning.overparameterized.fit_quadratic": (
        overparameterized.fit_quadratic,
        {"x": torch.ones(2, 3), "y": torch.ones(2), "W": torch.ones(2, 3), "steps": 2, "rate": 0.1},
    ),
    "compression.pruning.shearing.reweighted": (
        shearing.reweighted,
        {"weights": torch.ones(2) / 2, "losses": torch.ones(2), "references": torch.ones(2), "floor": 0.1},
    ),
    "compression.pruning.sparse_decoding.bitmap_bytes": (
        sparse_decoding.bitmap_bytes,
        {"weight": torch.ones(2, 3), "bytes_each": 4.0},
    ),
    "compression.pruning.wanda.row_masks": (wanda.row_masks, {"scores": torch.ones(2, 4), "sparsity": 0.5}),
    "compression.quantization.gptq.inverse_factor": (gptq.inverse_factor, {"hessian": torch.eye(4), "damping": 0.01}),
    "compression.quantization.gptq.gptq": (
        gptq.gptq,
        {"weight": torch.ones(2, 4), "hessian": torch.eye(4), "damping": 0.01},
    ),
    "audio.ast.ASTConfig": (ASTConfig, {"num_classes": 2, "norm_eps": 1e-5}),
    "audio.recognition.beam_search.BeamConfig": (BeamConfig, {"alpha": 0.5, "bonus": 1.0, "min_log_prob": -9.0}),
    "audio.recognition.conformer.ConformerBlock": (
        ConformerBlock,
        {"d_model": 4, "num_heads": 2, "d_ff": 8, "kernel_size": 3, "dropout": 0.1},
    ),
    "audio.recognition.hmm.HMMRecogniser": (
        HMMRecogniser,
        {
            "words": Gaussians(torch.ones(1, 1, 2), torch.ones(1, 1, 2)),
            "silence": Gaussians(torch.ones(1, 2), torch.ones(1, 2)),
        }
        | {"model": lambda labels: [-1.0, -1.0], "lm_weight": 1.0, "bonus": 0.0},
    ),
    "audio.recognition.recogniser.RecogniserConfig": (RecogniserConfig, {"dropout": 0.1}),
    "audio.recognition.rescoring.rescored": (
        rescored,
        {"found": [], "model": lambda labels: [-1.0], "weight": 0.5, "length_bonus": 1.0},
    ),
    "audio.recognition.wav2vec2.Wav2Vec2Config": (Wav2Vec2Config, {"norm_eps": 1e-5}),
    "language.ngram.NGram": (NGram, {"sentences": [[1]], "order": 2, "vocab_size": 3, "discount": 0.5}),
    "language.ngram.Mixture": (Mixture, {"models": [len, len], "weights": [0.5, 0.5]}),
    "audio.codec.balancer.Balancer": (
        Balancer,
        {"weights": {"a": 0.5, "b": 1.0}, "total_norm": 1.0, "decay": 0.9},
    ),
    "audio.codec.bottleneck_transformer.BottleneckConfig": (BottleneckConfig, {"rope_base": 1e4, "norm_eps": 1e-5}),
    "audio.codec.losses.mel_loss": (
        mel_loss,
        {"x": torch.ones(1, 500), "decoded": torch.ones(1, 500), "n_ffts": (64,), "num_mels": 4, "alpha": 1.0},
    ),
    "audio.codec.residual_vq.bit_rate_bps": (
        bit_rate_bps,
        {"num_codebooks": 2, "codebook_size": 16, "frames_per_s": 50.0},
    ),
    "audio.codec.residual_vq.num_codebooks_for": (
        num_codebooks_for,
        {"bit_rate": 400.0, "codebook_size": 16, "frames_per_s": 50.0},
    ),
    "audio.features.griffin_lim.griffin_lim": (
        griffin_lim,
        {"magnitude": torch.ones(5, 9), "window": torch.ones(8), "hop_length": 2, "length": 16, "num_iterations": 1}
        | {"momentum": 0.5},
    ),
    "audio.features.mel.mel_filters": (
        mel_filters,
        {"num_mels": 2, "n_fft": 16, "sample_rate_hz": 16_000, "scale": "htk", "area_norm": True}
        | {"low_hz": 100.0, "high_hz": 7000.0},
    ),
    "audio.features.mel_spectrum.compressed": (compressed, {"mel": torch.ones(2, 3), "floor": 1e-10}),
    "audio.features.sampling.alias_hz": (alias_hz, {"frequency_hz": 3000.0, "sample_rate_hz": 4000.0}),
    "audio.features.voice_activity.louder_than_noise": (
        louder_than_noise,
        {"energy_db": torch.ones(4), "margin_db": 9.0, "quantile": 0.1},
    ),
    "audio.features.voice_activity.stretches": (stretches, {"active": torch.ones(2) > 0, "frames_per_s": 100.0}),
    "multimodal.qformer.QFormerConfig": (
        QFormerConfig,
        {"d_model": 8, "num_layers": 1, "num_heads": 2, "d_ff": 8, "d_context": 4, "norm_eps": 1e-5},
    ),
    "multimodal.qformer_losses.contrastive_loss": (
        contrastive_loss,
        {"similarities": torch.eye(3), "temperature": 0.07},
    ),
    "multimodal.qformer_losses.hard_negatives": (
        hard_negatives,
        {"similarities": torch.eye(3), "generator": torch.Generator(), "temperature": 0.07},
    ),
    "nn.codebook_update.CodebookUpdate": (
        CodebookUpdate,
        {"codebook": Codebook(4, 2), "decay": 0.9, "dead_below": 1.0},
    ),
    "data.voices.strings.joined": (joined, {"words": [clip("june", "fr", "number 4")], "gaps_s": [0.1, 0.2]}),
    "inference.speculative.agreeing_pair.agreeing_pair": (agreeing_pair, {"num_layers": 1, "disagreement": 0.01}),
    "inference.medusa.search.node_probability": (search.node_probability, {"accuracies": RATES, "choice": (0, 0)}),
    "inference.medusa.search.expected_tokens": (search.expected_tokens, {"accuracies": RATES, "tree": TREE}),
    "inference.medusa.search.best_tree": (search.best_tree, {"accuracies": RATES, "size": 3}),
    "inference.medusa.search.best_size": (search.best_size, {"accuracies": RATES, "pass_costs": {1: 1.0, 2: 1.1}}),
    "inference.medusa.verification.typical_threshold": (
        typical_threshold,
        {"probs": PROBS, "epsilon": 0.1, "delta": 0.3},
    ),
    "inference.medusa.verification.typical_path": (typical_path, {**PATH, "epsilon": 0.1, "delta": 0.3}),
    "inference.medusa.verification.Typical": (Typical, {"temperature": 1.0, "epsilon": 0.1, "delta": 0.3}),
    "inference.decoding.sampling.Sampling": (Sampling, {"temperature": 0.5, "top_p": 0.9}),
    "inference.serving.scheduler.Request": (
        Request,
        {"name": "a", "prompt_length": 1, "max_new_tokens": 1, "arrival_s": 0.5},
    ),
    "inference.serving.loop.AffineCost": (AffineCost, {"pass_s": 1.0, "token_s": 0.1, "row_s": 0.01}),
    "vision.clip.CLIPConfig": (CLIPConfig, {"image_size": 8, "patch_size": 4, "norm_eps": 1e-6}),
    "vision.clip.encoder_blocks": (
        lambda **eps: encoder_blocks(TowerConfig(4, 1, 2, 8), **eps, activation=F.gelu),
        {"norm_eps": 1e-6},
    ),
    "vision.siglip.SigLIPConfig": (SigLIPConfig, {"image_size": 8, "patch_size": 4, "norm_eps": 1e-6}),
    "vision.vit.ViTConfig": (ViTConfig, {"image_size": 8, "patch_size": 4, "norm_eps": 1e-6}),
    "vision.rollout.attention_rollout": (attention_rollout, {"maps": [torch.ones(1, 1, 2, 2) / 2], "residual": 0.5}),
    "vision.preprocessing.normalize": (
        normalize,
        {"images": torch.zeros(1, 3, 2, 2, dtype=torch.uint8), "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)},
    ),
    "control.cart_pole.play": (lambda **number: cart_pole.play(POLICY, 1, SEEDED, **number), {"spread": 0.1}),
    "control.trpo.conjugate_gradient": (
        lambda **number: trpo.conjugate_gradient(lambda x: x, torch.ones(2), **number),
        {"tolerance": 1e-9},
    ),
    "control.trpo.trust_region_step": (
        lambda **numbers: trpo.trust_region_step(
            POLICY, torch.randn(4, 4, generator=SEEDED), torch.tensor([0, 1, 0, 1]), torch.ones(4), **numbers
        ),
        {"max_kl": 0.01, "entropy_weight": 0.0},
    ),
    "control.imitation.rewards_to_go": (
        imitation.rewards_to_go,
        {"rewards": torch.ones(1, 2), "alive": torch.ones(1, 2, dtype=torch.bool), "discount": 0.9},
    ),
    "control.imitation.gail_iteration": (
        lambda **numbers: imitation.gail_iteration(
            POLICY, JUDGE, torch.optim.SGD(JUDGE.parameters(), 0.1), torch.randn(3, 6), 2, SEEDED, **numbers
        ),
        {"discount": 0.9, "entropy_weight": 1e-3, "spread": 0.1},
    ),
    "inference.speculative.speedup.expected_tokens": (expected_tokens, {"acceptance_rate": 0.5, "draft_length": 3}),
    "inference.speculative.speedup.predicted_speedup": (
        predicted_speedup,
        {"acceptance_rate": 0.5, "draft_length": 3, "cost_ratio": 0.1, "verify_ratio": 1.1},
    ),
    "inference.speculative.speedup.best_draft_length": (best_draft_length, {"acceptance_rate": 0.5, "cost_ratio": 0.1}),
    "language.bert.BertConfig": (
        BertConfig,
        {"vocab_size": 9, "d_model": 8, "num_layers": 1, "num_heads": 2, "d_ff": 8, "norm_eps": 1e-5},
    ),
    "language.opt.OPTConfig": (
        OPTConfig,
        {"vocab_size": 9, "d_model": 8, "num_layers": 1, "num_heads": 2, "d_ff": 8, "norm_eps": 1e-5},
    ),
    "language.gpt_neox.GPTNeoXConfig": (
        GPTNeoXConfig,
        {"vocab_size": 9, "d_model": 8, "num_layers": 1, "num_heads": 1, "d_ff": 8}
        | {"rotary_share": 0.5, "rope_base": 100.0, "norm_eps": 1e-5},
    ),
    "language.t5.T5Config": (
        T5Config,
        {"vocab_size": 9, "d_model": 8, "num_layers": 1, "num_decoder_layers": 1, "num_heads": 2, "head_dim": 3}
        | {"d_ff": 8, "norm_eps": 1e-5},
    ),
    "measure.energy.Training": (energy.Training, {"model": "m", "gpu_hours": 1.0, "gpu_kw": 0.7}),
    "measure.energy.Site": (energy.Site, {"gpu_kw": 0.5, "carbon_kg_per_kwh": 0.4, "water_l_per_kwh": 2.0}),
    "measure.energy.Site.footprint": (SITE.footprint, {"energy_mwh": 1.0}),
    "measure.energy.Site.joules_per_token": (SITE.joules_per_token, {"tokens_per_s": 10.0}),
    "measure.energy.Site.inference": (SITE.inference, {"num_tokens": 1.0, "tokens_per_s": 10.0}),
    "measure.energy.Site.days_until_inference_equals": (
        SITE.days_until_inference_equals,
        {"training_mwh": 1.0, "tokens_per_day": 1.0, "tokens_per_s": 10.0},
    ),
    "measure.latency.RequestTimes": (latency.RequestTimes, {"arrival_s": 0.0, "token_times_s": [1.0, 2.0]}),
    "measure.memory.kv_cache_bytes": (
        memory.kv_cache_bytes,
        {"num_layers": 1, "num_kv_heads": 1, "head_dim": 1, "num_tokens": 1, "bytes_per_element": 2, "scale_bytes": 0},
    ),
    "measure.memory.most_sequences": (
        memory.most_sequences,
        {"memory_bytes": 9.0, "weight_bytes": 1.0, "sequence_bytes": 2.0},
    ),
    "measure.roofline.Work": (lambda **sizes: roofline.Work(**sizes).intensity, {"flops": 1.0, "num_bytes": 1.0}),
    "measure.roofline.Roofline": (roofline.Roofline, {"peak_flops": 1.0, "bandwidth_bytes": 1.0}),
    "measure.roofline.DecoderShape": (
        roofline.DecoderShape,
        {"num_weights": 1, "num_layers": 1, "num_heads": 1, "num_kv_heads": 1, "head_dim": 1, "bytes_per_element": 2},
    ),
    "measure.roofline.matmul_work": (
        roofline.matmul_work,
        {"rows": 1, "inner": 1, "columns": 1, "bytes_per_element": 4},
    ),
    "measure.timing.ratio_interval": (timing.ratio_interval, {"numerator": [1.0, 2.0], "denominator": [1.0, 2.0]}),
    "nn.encoder_block.EncoderBlock": (EncoderBlock, {"d_model": 4, "num_heads": 2, "d_ff": 8, "norm_eps": 1e-6}),
    "nn.norms.RMSNorm": (RMSNorm, {"d_model": 4, "eps": 1e-5}),
    "nn.positions.rotary_table": (rotary_table, {"max_seq_len": 4, "head_dim": 4, "base": 100.0}),
    "language.llama.LlamaConfig": (
        LlamaConfig,
        {"vocab_size": 9, "d_model": 8, "num_layers": 1, "num_heads": 2, "num_kv_heads": 1, "d_ff": 8}
        | {"rope_base": 100.0, "norm_eps": 1e-5},
    ),
}
NAN_ONLY: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {  # an infinity has a meaning
    "compression.quantization.outliers.outlier_features": (
        outliers.outlier_features,
        {"x": torch.ones(2, 4), "threshold": 6.0},
    ),
    "compression.quantization.outliers.llm_int8_product": (
        outliers.llm_int8_product,
        {"x": torch.ones(2, 4), "weight": torch.ones(3, 4), "threshold": 6.0},
    ),
    "measure.roofline.Roofline.attainable": (ROOF.attainable, {"intensity": 1.0}),
}
NOT_CHECKED = {
    "audio.recognition.beam_search.Hypothesis": "a result",
    "audio.recognition.ctc.Trellis": "a result",
    "audio.recognition.whisper_decoding.Segment": "a result",
    "inference.speculative.acceptance_stats.AcceptanceStats": "a result",
    "inference.decoding.divergence.Divergence": "a result; first_divergence refuses logits that are not finite",
    "inference.serving.loop.Step": "a result; serve refuses passes whose time is not finite",
    "measure.energy.DevelopmentImpact": "a published row",
    "measure.energy.Footprint": "a result",
}


def poisoned(value: Any, poison: float) -> Any:
    """The value with one number of it replaced."""
    if isinstance(value, Mapping):
        first, *_ = value
        return {**value, first: poison}
    if isinstance(value, list | tuple):
        return type(value)([poisoned(value[0], poison), *value[1:]])
    return poison


def test_every_function_of_real_numbers_is_here():
    scales = {name for name, arguments in takes_numbers().items() if arguments == ["scale"]}  # nan comes out as nan
    known = CASES.keys() | NAN_ONLY.keys() | NOT_CHECKED.keys()
    assert takes_numbers().keys() - scales == known


@pytest.mark.parametrize("name", [*CASES, *NAN_ONLY])
def test_nan_and_infinities_are_refused(name):
    function, arguments = (CASES | NAN_ONLY)[name]
    function(**arguments)
    for argument in takes_numbers()[name]:
        for poison in (math.nan, -math.inf, *([math.inf] if name in CASES else [])):
            with pytest.raises(ValueError, match=r"nan|inf|in order|not positive|must|least probability"):
                print(
                    name, argument, poison, function(**{**arguments, argument: poisoned(arguments[argument], poison)})
                )
