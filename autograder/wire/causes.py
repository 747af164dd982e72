"""How many failed checks hang on the first: several that one mistake fails read as several mistakes."""

import re
from collections.abc import Sequence

GATED = "Speed counts only where all other checks pass."
MIN_HINT = 20  # characters: shorter ends of sentences may be equal by chance


def begin_here(failed: Sequence[str]) -> str:
    """What is said beside the first of an exercise's failed checks.

    Args:
        failed: the messages of the failed checks, the first of which is the one to begin with.
    """
    many, first = len(failed), _causes(failed[0])
    same = 1 + sum(message == GATED or bool(first & _causes(message)) for message in failed[1:])
    if many == 1:
        return "Begin here: the first thing in this exercise that is wrong"
    if same == many:
        return f"Begin here: {'both' if many == 2 else f'all {many}'} failed checks fail for this reason"
    others = "the other may hang on it" if many - same == 1 else f"the other {many - same} may hang on it"
    if same > 1:
        return f"Begin here: {same} of the {many} failed checks fail for this reason, {others}"
    return f"Begin here: of the {many} failed checks {others}"


def _causes(message: str) -> set[str]:
    """What two messages of the same mistake have in common: the sentence but for its numbers, or what it advises."""
    sentence = re.sub(r" \([a-z_]\w*=.*\)(?=$| Most likely: )", "", message, flags=re.S)
    sentence = re.sub(r"\d+(?:\.\d+)?(?:e[-+]?\d+)?", "#", sentence)
    hint = re.split(r"; | Most likely: ", sentence)[-1]
    return {sentence, hint} if len(hint) >= MIN_HINT else {sentence}
