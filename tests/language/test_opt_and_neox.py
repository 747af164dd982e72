"""OPT and GPT-NeoX against their twins, OPTForCausalLM and GPTNeoXForCausalLM, every parameter perturbed."""

import pytest
import torch
from transformers import GPTNeoXConfig as TheirNeoX
from transformers import GPTNeoXForCausalLM, OPTForCausalLM
from transformers import OPTConfig as TheirOPT

from nimblelm.language.gpt_neox import GPTNeoXConfig, from_gpt_neox
from nimblelm.language.opt import OPTConfig, from_opt
from nimblelm.nn.attend import masked
from tests.language.perturbed import PRECISIONS, perturbed, tokens_of


def opt_twin(heads=3, width=24, d_ff=29, **changes) -> OPTForCausalLM:
    torch.manual_seed(0)
    config = TheirOPT(
        vocab_size=61,
        hidden_size=width,
        ffn_dim=d_ff,
        num_hidden_layers=3,
        num_attention_heads=heads,
        max_position_embeddings=40,
        word_embed_proj_dim=width,
        **changes,
    )
    return perturbed(OPTForCausalLM(config))


def neox_twin(heads=3, width=24, d_ff=29, share=0.25, parallel=True, **changes) -> GPTNeoXForCausalLM:
    torch.manual_seed(0)
    config = TheirNeoX(
        vocab_size=61,
        hidden_size=width,
        intermediate_size=d_ff,
        num_hidden_layers=3,
        num_attention_heads=heads,
        max_position_embeddings=40,
        rope_parameters={"rope_type": "default", "rope_theta": 500.0, "partial_rotary_factor": share},
        use_parallel_residual=parallel,
        **changes,
    )
    twin = perturbed(GPTNeoXForCausalLM(config))
    turning = int(width // heads * share)
    exponents = torch.arange(0, turning, 2, dtype=torch.float32) / turning
    twin.gpt_neox.rotary_emb.inv_freq = 500.0**-exponents  # rounded as ours are: theirs is 1 / 500 ** exponents
    return twin


@pytest.mark.parametrize(("heads", "width", "d_ff"), [(3, 24, 29), (1, 10, 7), (5, 20, 64)])
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@torch.no_grad()
def test_opt_gives_the_twins_logits(heads, width, d_ff, dtype, tolerance):
    twin, tokens = opt_twin(heads, width, d_ff).to(dtype), tokens_of(61, 3, 17)
    torch.testing.assert_close(from_opt(twin)(tokens), twin(tokens).logits, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize(
    ("heads", "width", "share", "parallel"), [(3, 24, 0.25, True), (2, 20, 1.0, False), (5, 40, 0.5, True)]
)
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@torch.no_grad()
def test_gpt_neox_gives_the_twins_logits(heads, width, share, parallel, dtype, tolerance):
    twin, tokens = neox_twin(heads, width, 29, share, parallel).to(dtype), tokens_of(61, 3, 17)
    ours = from_gpt_neox(twin)
    assert ours.config.rotary_dim == int(width // heads * share)
    torch.testing.assert_close(ours(tokens), twin(tokens).logits, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("make", [lambda: from_opt(opt_twin()), lambda: from_gpt_neox(neox_twin())])
@torch.no_grad()
def test_nothing_later_is_seen_and_masks_are_the_callers(make):
    model, tokens = make(), tokens_of(61, 2, 12)
    torch.testing.assert_close(model(tokens)[:, :7], model(tokens[:, :7]))
    visible = torch.eye(12, dtype=torch.bool)[None, None]
    assert (model(tokens, masked(visible)) - model(tokens)).abs().max() > 1e-3
    assert len(list(model.layers(model.embedding(tokens)))) == 4


@pytest.mark.parametrize("make", [lambda: from_opt(opt_twin()), lambda: from_gpt_neox(neox_twin())])
def test_more_tokens_than_positions_are_refused(make):
    with pytest.raises(ValueError, match="41 tokens, the limit is 40"):
        make()(tokens_of(61, 1, 41))


@pytest.mark.parametrize(
    ("load", "twin"),
    [
        (from_opt, lambda: opt_twin(do_layer_norm_before=False)),
        (from_opt, lambda: opt_twin(activation_function="gelu")),
        (from_opt, lambda: opt_twin(enable_bias=False)),
        (from_gpt_neox, lambda: neox_twin(hidden_act="relu")),
        (from_gpt_neox, lambda: neox_twin(attention_bias=False)),
    ],
)
def test_what_ours_does_not_have_is_refused(load, twin):
    with pytest.raises(ValueError, match=r"only OPT|must"):
        load(twin())


def test_bad_shapes_are_refused():
    with pytest.raises(ValueError, match="heads divide the width"):
        OPTConfig(9, 10, 1, 3, 8)
    with pytest.raises(ValueError, match="num_heads divide d_model"):
        GPTNeoXConfig(9, 10, 1, 3, 8)
    with pytest.raises(ValueError, match="rotary_share"):
        GPTNeoXConfig(9, 8, 1, 2, 8, rotary_share=1.5)
