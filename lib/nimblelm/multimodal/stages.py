"""Who is trained when: the stages of tuning of models that see, as sets of parts."""

from collections.abc import Collection, Mapping

from torch import nn

STAGES: Mapping[str, tuple[tuple[str, ...], ...]] = {  # model -> the parts that each stage trains
    "LLaVA": (("connector",), ("connector", "language")),
    "Molmo": (("encoder", "connector", "language"), ("encoder", "connector", "language")),
    "Yi-VL": (("encoder", "connector"), ("encoder", "connector"), ("encoder", "connector", "language")),
    "BLIP-2": (("connector",), ("connector",)),
    "FROMAGe": (("connector",),),
}


def train_only(model: nn.Module, parts: Collection[str]) -> list[nn.Parameter]:
    """Freeze all of a model but some of its parts; frozen ones run as they are used, in evaluation mode.

    Args:
        model: what is tuned.
        parts: names of its children.

    Returns:
        The parameters that are trained: what an optimizer is given, so that weight decay leaves the frozen ones alone.

    Raises:
        ValueError: a part is not one of the model's children, or there is none.

    Chapter: book/ch11_language_models_that_see
    """
    children = dict(model.named_children())
    if not parts or not set(parts) <= children.keys():
        raise ValueError(f"parts {sorted(parts)} are not among {', '.join(children)}")
    model.requires_grad_(False).eval()
    for name in parts:
        children[name].requires_grad_(True).train()
    return [weight for weight in model.parameters() if weight.requires_grad]
