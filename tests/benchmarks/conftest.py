"""What makes a benchmark's whole run short enough for a test."""

import pytest

from nimblelm.inference.speculative.pair import Pair, load_pair


@pytest.fixture(scope="session")
def small_pair() -> Pair:
    """The committed draft model in both places: a twentieth of the target's work, and the same shapes of everything."""
    draft = load_pair().draft
    return Pair(draft, draft)
