"""What a model that learns from the emoji must not see: by concept, by composition, by pair.

Styles are held out by name. Each split is decided by a hash of names, so it is the same everywhere and
stays when pictures are added.
"""

from collections.abc import Iterable
from itertools import combinations

from nimblelm.data.emoji import GENDERS, Concept
from nimblelm.data.fraction import fraction


def held_out_concept(one: Concept) -> bool:
    """Whether a concept, in all skin tones, is kept from training: about 15 in 100 of them."""
    base = one.name.removesuffix(f"-{one.skin_tone}-skin-tone")
    return fraction("concept", base) < 0.15


def held_out_composition(one: Concept) -> bool:
    """Whether a gender of a role is kept from training, while the role is seen with the two others: half of the roles.

    So a model that has understood gender and role apart can name the composition, and one that knows pictures by heart
    cannot.
    """
    if one.gender is None or one.role is None:
        return False
    return fraction("role", one.role) < 0.5 and GENDERS[int(3 * fraction("gender", one.role))] == one.gender


def held_out_pair(one: Concept, other: Concept) -> bool:
    """Whether two concepts never stand in one training scene: about 15 in 100 pairs; either order."""
    return fraction("pair", *sorted((one.name, other.name))) < 0.15


def has_held_out_pair(shown: Iterable[Concept]) -> bool:
    """Whether two of the concepts that a scene shows are a held-out pair."""
    return any(held_out_pair(one, other) for one, other in combinations(shown, 2))
