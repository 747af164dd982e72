"""Multi-head attention: projections, rotation and output. Who sees whom is the caller's, `nimblelm.nn.attend`."""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor, nn

from nimblelm.nn.attend import Attend

Rotate = Callable[[Tensor], Tensor]  # queries or keys (B, T, H, D), turned by the angles of their positions


class Attention(nn.Module):
    """Attention in which several query heads may share one key-value head.

    attend(x W_q, c W_k, c W_v) W_o, c the context or x itself, in heads     (Vaswani et al., 2017, arXiv:1706.03762,
    section 3.2.2); num_heads / num_kv_heads queries share a key-value head (Ainslie et al., 2023, arXiv:2305.13245,
    section 2.2).

    Args:
        d_model: width of the residual stream.
        num_heads: query heads.
        num_kv_heads: key and value heads; divides num_heads, which it is by default.
        head_dim: width of a head, d_model / num_heads by default.
        d_context: width of the vectors that keys and values are made of, d_model by default.
        bias: which projections have one, of the letters q, k, v and o: "qkvo" is all, "qvo" all but the keys'.
        qk_norm: makes the norm of queries and that of keys from head_dim, such as `RMSNorm`; none by default.

    Raises:
        ValueError: a size below 1, heads that do not divide, or bias names no projection.

    Chapter: book/ch02_speculative_decoding
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        num_kv_heads: int | None = None,
        *,
        head_dim: int | None = None,
        d_context: int | None = None,
        bias: str = "",
        qk_norm: Callable[[int], nn.Module] | None = None,
    ):
        super().__init__()
        num_kv_heads = num_heads if num_kv_heads is None else num_kv_heads
        d_context = d_model if d_context is None else d_context
        if min(d_model, num_heads, num_kv_heads, d_context, 1 if head_dim is None else head_dim) < 1:
            raise ValueError(
                f"d_model {d_model}, num_heads {num_heads}, num_kv_heads {num_kv_heads}, head_dim {head_dim} and "
                f"d_context {d_context} must be 1 or more"
            )
        if head_dim is None and d_model % num_heads:
            raise ValueError(f"d_model {d_model} is not a multiple of num_heads {num_heads}")
        if num_heads % num_kv_heads:
            raise ValueError(f"num_heads {num_heads} is not a multiple of num_kv_heads {num_kv_heads}")
        if not set(bias) <= set("qkvo"):
            raise ValueError(f"bias {bias!r} names more than the projections q, k, v and o")
        self.head_dim = d_model // num_heads if head_dim is None else head_dim
        width, kv_width = num_heads * self.head_dim, num_kv_heads * self.head_dim
        self.q_proj = nn.Linear(d_model, width, bias="q" in bias)
        self.k_proj = nn.Linear(d_context, kv_width, bias="k" in bias)
        self.v_proj = nn.Linear(d_context, kv_width, bias="v" in bias)
        self.out_proj = nn.Linear(width, d_model, bias="o" in bias)
        self.q_norm, self.k_norm = (qk_norm(self.head_dim) if qk_norm else nn.Identity() for _ in range(2))

    def forward(
        self,
        x: Float[Tensor, "B T d"],
        attend: Attend,
        rotate: Rotate | None = None,
        context: Float[Tensor, "B S c"] | None = None,
    ) -> Float[Tensor, "B T d"]:
        """Each of T tokens gathers what `attend` lets it see.

        Args:
            x: hidden states that ask.
            attend: queries, keys and values -> what each query gathers.
            rotate: turns queries and keys by their positions; none by default.
            context: hidden states that are asked, x by default: those of an encoder, an image, another modality.
        """
        source = x if context is None else context
        q = self.q_norm(self.q_proj(x).unflatten(-1, (-1, self.head_dim)))  # (B, T, H, D)
        k = self.k_norm(self.k_proj(source).unflatten(-1, (-1, self.head_dim)))  # (B, S, Hkv, D)
        v = self.v_proj(source).unflatten(-1, (-1, self.head_dim))
        if rotate is not None:
            q, k = rotate(q), rotate(k)
        return self.out_proj(attend(q, k, v).flatten(2).to(x.dtype))
