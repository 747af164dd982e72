"""Values that the text of a page quotes."""


def glue(name: str, value: object) -> None:
    """Hand a value to the page's text, which quotes it by name; outside the book's build it does nothing."""
    try:
        from myst_nb import glue as hand_over
    except ModuleNotFoundError:
        return
    hand_over(name, value, display=False)
