"""A classifier made of words."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def class_embeddings(
    encode: Callable[[list[str]], Tensor], names: Sequence[str], templates: Sequence[str] = ("{}",)
) -> Float[Tensor, "classes d"]:
    """One embedding for each class: the mean over its prompts, at length 1.

    w_c = m_c / |m_c|, m_c = mean_k y(template_k with name c), each y of length 1   (Radford et al., 2021,
    arXiv:2103.00020, section 3.1.4: an ensemble in embedding space costs no more than one prompt once it is made)

    Args:
        encode: texts -> embeddings (N, d), of any length.
        names: of the classes.
        templates: what stands around a name, with `{}` for it.

    Raises:
        ValueError: there are no names, no templates, or a template has no `{}`.

    Chapter: book/ch09_contrastive_learning
    """
    if not names or not templates:
        raise ValueError(f"{len(names)} names and {len(templates)} templates: 1 or more of each is needed")
    if bad := [template for template in templates if "{}" not in template]:
        raise ValueError(f"the template {bad[0]!r} has no {{}} for the name")
    prompts = [template.replace("{}", name) for name in names for template in templates]
    found = encode(prompts)
    wide = found.to(torch.promote_types(found.dtype, torch.float32))  # lengths overflow half precision, or vanish
    embedded = F.normalize(wide, dim=-1).unflatten(0, (len(names), len(templates)))
    return F.normalize(embedded.mean(1), dim=-1).to(found.dtype)


def zero_shot(
    images: Float[Tensor, "B d"], classes: Float[Tensor, "classes d"], scale: Float[Tensor, ""]
) -> Float[Tensor, "B classes"]:
    """Probability of each class: softmax of the scaled cosines (Radford et al., 2021, section 3.1.2).

    Args:
        images: embeddings, of any length.
        classes: as `class_embeddings` gives them.
        scale: the temperature's inverse of the model.

    Chapter: book/ch09_contrastive_learning
    """
    wide = torch.promote_types(torch.promote_types(images.dtype, classes.dtype), torch.float32)
    directions, rows = F.normalize(images.to(wide), dim=-1), F.normalize(classes.to(wide), dim=-1)
    return (scale * directions @ rows.T).softmax(-1)
