"""Llama checkpoints in our transformer, and our weights in a `transformers` Llama."""

from typing import TYPE_CHECKING, Any

import torch

from nimblelm.nn.transformer import Transformer, TransformerConfig

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM


def from_llama(llama: "LlamaForCausalLM") -> Transformer:
    """Copy a `transformers` Llama model into a `Transformer` that gives the same logits.

    Args:
        llama: any `LlamaForCausalLM`, random or pretrained, with default rotary positions and no biases.

    Returns:
        The same model, in evaluation mode, in the dtype of its weights.

    Raises:
        ValueError: the configuration uses what our transformer does not have.

    Chapter: book/ch02_speculative_decoding
    """
    source: Any = llama.config
    rope = source.rope_parameters
    if rope.get("rope_type", "default") != "default":
        raise ValueError(f"rope_type {rope['rope_type']!r} is not supported, only 'default'")
    if source.attention_bias or source.mlp_bias:
        raise ValueError("biases in attention or mlp are not supported")
    if source.head_dim != source.hidden_size // source.num_attention_heads:
        raise ValueError(f"head_dim {source.head_dim} is not hidden_size / num_attention_heads")
    if source.hidden_act != "silu":
        raise ValueError(f"hidden_act {source.hidden_act!r} is not supported, only 'silu'")
    config = TransformerConfig(
        vocab_size=source.vocab_size,
        d_model=source.hidden_size,
        num_layers=source.num_hidden_layers,
        num_heads=source.num_attention_heads,
        num_kv_heads=source.num_key_value_heads,
        d_ff=source.intermediate_size,
        max_seq_len=source.max_position_embeddings,
        rope_base=rope["rope_theta"],
        norm_eps=source.rms_norm_eps,
        tie_embeddings=source.tie_word_embeddings,
    )
    model = Transformer(config).to(next(llama.parameters()).dtype)
    model.load_state_dict(_rename(llama.state_dict(), config.num_layers))
    return model.eval()


_SAME = [  # parameters that only change their names: ours, theirs
    ("{}.attention_norm.weight", "{}.input_layernorm.weight"),
    ("{}.attention.out_proj.weight", "{}.self_attn.o_proj.weight"),
    ("{}.mlp_norm.weight", "{}.post_attention_layernorm.weight"),
    ("{}.mlp.down_proj.weight", "{}.mlp.down_proj.weight"),
]


def _rename(theirs: dict[str, torch.Tensor], num_layers: int) -> dict[str, torch.Tensor]:
    ours = {
        "embedding.weight": theirs["model.embed_tokens.weight"],
        "norm.weight": theirs["model.norm.weight"],
        "head.weight": theirs["lm_head.weight"],
    }
    for i in range(num_layers):
        old, new = f"model.layers.{i}", f"blocks.{i}"
        qkv = [theirs[f"{old}.self_attn.{name}_proj.weight"] for name in "qkv"]
        gate_up = [theirs[f"{old}.mlp.{name}_proj.weight"] for name in ("gate", "up")]
        ours |= {
            f"{new}.attention.qkv_proj.weight": torch.cat(qkv),
            f"{new}.mlp.gate_up_proj.weight": torch.cat(gate_up),
        }
        ours |= {ours_name.format(new): theirs[theirs_name.format(old)] for ours_name, theirs_name in _SAME}
    return ours


def to_llama(model: Transformer) -> "LlamaForCausalLM":
    """Copy a `Transformer` into a `transformers` Llama model that gives the same logits: the inverse of `from_llama`.

    Chapter: book/ch02_speculative_decoding
    """
    from transformers import LlamaConfig, LlamaForCausalLM

    config = model.config
    shape = LlamaConfig(
        vocab_size=config.vocab_size,
        hidden_size=config.d_model,
        intermediate_size=config.d_ff,
        num_hidden_layers=config.num_layers,
        num_attention_heads=config.num_heads,
        num_key_value_heads=config.num_kv_heads,
        max_position_embeddings=config.max_seq_len,
        rope_parameters={"rope_type": "default", "rope_theta": config.rope_base},
        rms_norm_eps=config.norm_eps,
        tie_word_embeddings=config.tie_embeddings,
    )
    llama: Any = LlamaForCausalLM(shape)
    llama.to(model.embedding.weight.dtype)
    llama.load_state_dict(_rename_back(model.state_dict(), config))
    return llama.eval()


def _rename_back(ours: dict[str, torch.Tensor], config: TransformerConfig) -> dict[str, torch.Tensor]:
    theirs = {
        "model.embed_tokens.weight": ours["embedding.weight"],
        "model.norm.weight": ours["norm.weight"],
        "lm_head.weight": ours["head.weight"],
    }
    widths = [heads * config.head_dim for heads in (config.num_heads, config.num_kv_heads, config.num_kv_heads)]
    for i in range(config.num_layers):
        old, new = f"blocks.{i}", f"model.layers.{i}"
        qkv = ours[f"{old}.attention.qkv_proj.weight"].split(widths)
        gate_up = ours[f"{old}.mlp.gate_up_proj.weight"].chunk(2)
        theirs |= {f"{new}.self_attn.{n}_proj.weight": w for n, w in zip("qkv", qkv, strict=True)}
        theirs |= {f"{new}.mlp.{n}_proj.weight": w for n, w in zip(("gate", "up"), gate_up, strict=True)}
        theirs |= {theirs_name.format(new): ours[ours_name.format(old)] for ours_name, theirs_name in _SAME}
    return theirs
