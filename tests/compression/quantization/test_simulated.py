"""A whole model rounded: what is touched, what it weighs, and that GPTQ gains where rounding loses."""

import torch
import torch.nn.functional as F

from nimblelm.compression.quantization.absmax import quantize_absmax, quantize_zero_point
from nimblelm.compression.quantization.simulated import gptq_model, projections, simulate
from nimblelm.data.corpus import held_out_texts
from nimblelm.inference.speculative.pair import load_pair, load_pair_tokenizer
from tests.compression.quantization.test_packed import model


def test_projections_and_the_embedding_are_rounded_and_counted():
    source = model()
    rounded = simulate(source, lambda name, weight: quantize_absmax(weight, 4, 32))
    count = 0
    for name, layer in projections(rounded.model):
        want = quantize_absmax(source.get_submodule(name).weight, 4, 32)
        assert torch.equal(layer.weight, want.dequantize())
        count += want.size_bytes
    assert len(projections(source)) == 2 * 6
    embedding = quantize_absmax(source.embedding.weight)
    assert torch.equal(rounded.model.head.weight, embedding.dequantize())
    gains = 4 * sum(p.numel() for p in source.parameters() if p.ndim == 1)
    assert rounded.weights.keys() == {"embedding", *(name for name, _ in projections(source))}
    assert rounded.size_bytes == count + embedding.size_bytes + gains


def test_gptq_loses_less_than_rounding_on_the_target():
    target, tokenizer = load_pair().target, load_pair_tokenizer()
    target.blocks = target.blocks[:2]  # two layers are enough to see it
    texts = [torch.tensor(tokenizer.encode(text.text).ids[:192]) for text in held_out_texts()[:6]]
    calibration, judged = torch.stack(texts[:4]), torch.stack(texts[4:])
    with torch.inference_mode():
        states = target.states(target.embed(judged))
        error = {
            name: (rounded.states(rounded.embed(judged)) - states).square().mean().item()
            for name, rounded in {
                "gptq": gptq_model(target, calibration, 3, 128).model,
                "rounded": simulate(target, lambda name, weight: quantize_zero_point(weight, 3, 128)).model,
            }.items()
        }
    assert error["gptq"] < 0.7 * error["rounded"]
    assert F.mse_loss(states, states) == 0
