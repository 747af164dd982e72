"""Who or what a part of a drawing is: one colour and one mark for each role, in every chapter."""

from typing import NamedTuple


class Role(NamedTuple):
    """A colour of contrast 3:1 or more on white and on #14181e; what a legend calls it; a mark beside the colour."""

    color: str
    words: str
    dash: str = ""  # stroke-dasharray
    stroke: float = 1.2
    tint: float = 0.16  # opacity of the fill
    hatched: bool = False
    struck: bool = False  # its text is struck through


ROLES = {
    "target": Role("#2f7fd1", "target model", tint=0.24),
    "draft": Role("#d0690b", "draft model", dash="5 2"),
    "accepted": Role("#2b9348", "accepted", stroke=2.2, tint=0.24),
    "rejected": Role("#d3455b", "rejected", dash="2.5 2.5", struck=True),
    "cached": Role("#0e8c8c", "cached", tint=0.3),
    "frozen": Role("#747b83", "frozen", hatched=True),
    "trained": Role("#bf4a98", "trained", stroke=2.4),
    "masked": Role("#747b83", "masked", stroke=0.6, tint=0.0, hatched=True),
    "unused": Role("#747b83", "unused", dash="2 3", stroke=0.8, tint=0.0),
    "text": Role("#5c6fd8", "text"),
    "picture": Role("#a6780c", "picture"),
    "sound": Role("#9a5fd0", "sound"),
    "now": Role("#2f7fd1", "at work now", stroke=2.6, tint=0.42),
    "plain": Role("#747b83", "", tint=0.08),
}


def role_named(name: str) -> Role:
    """The role, or a ValueError that lists those there are."""
    if name not in ROLES:
        raise ValueError(f"there is no role {name!r}: the roles are {', '.join(ROLES)}")
    return ROLES[name]


def paint(name: str) -> str:
    """The role's colour for SVG and CSS: the page's variable, and the colour itself where there is no style sheet."""
    return f"var(--role-{name}, {role_named(name).color})"
