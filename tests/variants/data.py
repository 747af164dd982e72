"""How the functions of `nimblelm.data` are called with tensors."""

from tests.tensor_variants import Case, Exempt

CASES: dict[str, Case | Exempt] = {
    "data.emoji.scenes.ask": Exempt("a scene's picture is not read: answers come from what was placed"),
}
NOT_YET: tuple[str, ...] = ()
