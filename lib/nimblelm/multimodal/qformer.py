"""BLIP-2's Q-Former: a few learned queries that ask an image through cross-attention, beside a text."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from nimblelm.nn.attend import Attend, full
from nimblelm.nn.attention import Attention
from nimblelm.nn.checkpoint import load_weights
from nimblelm.nn.mlp import MLP
from nimblelm.nn.weight_names import renamed

if TYPE_CHECKING:
    from transformers import Blip2QFormerModel


@dataclass(frozen=True)
class QFormerConfig:
    """Shape of a Q-Former; the defaults are the paper's, BERT-base (Li et al., 2023, arXiv:2301.12597, section 3.1).

    Raises:
        ValueError: cross_attention_every is below 1, or norm_eps is negative or not finite.
    """

    d_model: int = 768  # width of queries and text
    num_layers: int = 12
    num_heads: int = 12
    d_ff: int = 3072  # hidden width of both feed-forward layers of a block
    d_context: int = 1408  # width of the image's features
    cross_attention_every: int = 2  # blocks 0, 2, 4, ... ask the image
    reads_text: bool = True  # whether there is a feed-forward layer for text beside that for queries
    norm_eps: float = 1e-12

    def __post_init__(self):
        if self.cross_attention_every < 1:
            raise ValueError(f"cross_attention_every {self.cross_attention_every} is below 1")
        if not 0 <= self.norm_eps < math.inf:
            raise ValueError(f"norm_eps {self.norm_eps} must be 0 or more and finite")


class Block(nn.Module):
    """Post-norm; queries and text share self-attention, queries alone ask the image, each has its feed-forward layer.

    x = LN(x + attend(x)), q = LN(q + cross(q, image)), q = LN(q + mlp_q(q)), t = LN(t + mlp_t(t)), x = [q; t]
    """

    def __init__(self, config: QFormerConfig, asks_image: bool):
        super().__init__()
        self.attention = Attention(config.d_model, config.num_heads, bias="qkvo")
        self.attention_norm = nn.LayerNorm(config.d_model, config.norm_eps)
        if asks_image:
            self.cross_attention = Attention(config.d_model, config.num_heads, d_context=config.d_context, bias="qkvo")
            self.cross_norm = nn.LayerNorm(config.d_model, config.norm_eps)
        self.asks_image = asks_image
        self.query_mlp = MLP(config.d_model, config.d_ff, F.gelu)
        self.query_norm = nn.LayerNorm(config.d_model, config.norm_eps)
        if config.reads_text:
            self.text_mlp = MLP(config.d_model, config.d_ff, F.gelu)
            self.text_norm = nn.LayerNorm(config.d_model, config.norm_eps)

    def forward(
        self,
        x: Float[Tensor, "B T d"],
        num_queries: int,
        context: Float[Tensor, "B S c"] | None,
        attend: Attend,
        attend_image: Attend,
    ) -> Float[Tensor, "B T d"]:
        x = self.attention_norm(x + self.attention(x, attend))
        queries, text = x[:, :num_queries], x[:, num_queries:]
        if self.asks_image and num_queries:
            queries = self.cross_norm(queries + self.cross_attention(queries, attend_image, context=context))
        queries = self.query_norm(queries + self.query_mlp(queries))
        if text.shape[1]:
            text = self.text_norm(text + self.text_mlp(text))
        return torch.cat([queries, text], dim=1)


class QFormer(nn.Module):
    """Learned queries, and a text where there is one, become what a language model or a loss reads.

    Embeddings come from outside, as in the twin, `transformers.Blip2QFormerModel`; `from_qformer` loads its weights.

    Args:
        config: the shape.

    Chapter: book/ch11_language_models_that_see
    """

    config_class = QFormerConfig

    def __init__(self, config: QFormerConfig):
        super().__init__()
        self.config = config
        self.norm = nn.LayerNorm(config.d_model, config.norm_eps)
        self.blocks = nn.ModuleList(
            Block(config, number % config.cross_attention_every == 0) for number in range(config.num_layers)
        )

    def forward(
        self,
        x: Float[Tensor, "B T d"],
        context: Float[Tensor, "B S c"] | None = None,
        num_queries: int | None = None,
        attend: Attend = full,
        attend_image: Attend = full,
    ) -> Float[Tensor, "B T d"]:
        """States of queries and text.

        Args:
            x: embeddings of the queries, then of the text.
            context: the image's features; None where there are no queries, for a text alone.
            num_queries: how many of x are queries, all by default.
            attend: who sees whom among queries and text: `nimblelm.multimodal.qformer_losses` has the three masks.
            attend_image: which of the image's features queries see.

        Raises:
            ValueError: there are queries and no image, there is text and the model reads none, or num_queries is
                outside 0 to T.
        """
        num_queries = x.shape[1] if num_queries is None else num_queries
        if not 0 <= num_queries <= x.shape[1]:
            raise ValueError(f"num_queries {num_queries} is not between 0 and the {x.shape[1]} embeddings")
        if num_queries and context is None:
            raise ValueError(f"{num_queries} queries were given and no image to ask")
        if num_queries < x.shape[1] and not self.config.reads_text:
            raise ValueError(f"{x.shape[1] - num_queries} embeddings of text were given, the model reads none")
        x = self.norm(x)
        for block in self.blocks:
            x = block(x, num_queries, context, attend, attend_image)
        return x


_ATTENTION = {"query": "q_proj", "key": "k_proj", "value": "v_proj"}
_LAYER = "encoder.layer.{}."
WEIGHT_NAMES = {  # transformers' -> ours
    "layernorm": "norm",
    **{f"{_LAYER}attention.attention.{theirs}": f"blocks.{{}}.attention.{ours}" for theirs, ours in _ATTENTION.items()},
    f"{_LAYER}attention.output.dense": "blocks.{}.attention.out_proj",
    f"{_LAYER}attention.output.LayerNorm": "blocks.{}.attention_norm",
    **{
        f"{_LAYER}crossattention.attention.{theirs}": f"blocks.{{}}.cross_attention.{ours}"
        for theirs, ours in _ATTENTION.items()
    },
    f"{_LAYER}crossattention.output.dense": "blocks.{}.cross_attention.out_proj",
    f"{_LAYER}crossattention.output.LayerNorm": "blocks.{}.cross_norm",
    f"{_LAYER}intermediate_query.dense": "blocks.{}.query_mlp.up_proj",
    f"{_LAYER}output_query.dense": "blocks.{}.query_mlp.down_proj",
    f"{_LAYER}output_query.LayerNorm": "blocks.{}.query_norm",
    f"{_LAYER}intermediate.dense": "blocks.{}.text_mlp.up_proj",
    f"{_LAYER}output.dense": "blocks.{}.text_mlp.down_proj",
    f"{_LAYER}output.LayerNorm": "blocks.{}.text_norm",
}


def from_qformer(twin: "Blip2QFormerModel") -> QFormer:
    """Copy a `transformers` Q-Former into a `QFormer` that gives the same states.

    Args:
        twin: any `Blip2QFormerModel`, random or pretrained.

    Returns:
        The same model, in evaluation mode, in the dtype of its weights.

    Raises:
        ValueError: its activation is not the exact GELU.
    """
    theirs: Any = twin.config
    if theirs.hidden_act != "gelu":
        raise ValueError(f"hidden_act {theirs.hidden_act!r} is not supported, only 'gelu'")
    config = QFormerConfig(
        d_model=theirs.hidden_size,
        num_layers=theirs.num_hidden_layers,
        num_heads=theirs.num_attention_heads,
        d_ff=theirs.intermediate_size,
        d_context=theirs.encoder_hidden_size,
        cross_attention_every=theirs.cross_attention_frequency,
        reads_text=theirs.use_qformer_text_input,
        norm_eps=theirs.layer_norm_eps,
    )
    model = QFormer(config).to(next(twin.parameters()).dtype)
    load_weights(model, renamed(twin.state_dict(), WEIGHT_NAMES))
    return model.eval()
