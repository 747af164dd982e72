"""What a notebook has to say in words where the page has a link: numbers of equations and theorems, titles, authors."""

from dataclasses import dataclass, field
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx


@dataclass(frozen=True)
class Names:
    """The names of things by their labels.

    Attributes:
        equations: "2.1" by label.
        theorems: "Theorem 2.1" by label.
        sections: title by label.
        authors: ("Kwon et al.", "2023") by the key of a work.
        works: the work as a bibliography has it, by its key.
    """

    equations: dict[str, str] = field(default_factory=dict)
    theorems: dict[str, str] = field(default_factory=dict)
    sections: dict[str, str] = field(default_factory=dict)
    authors: dict[str, tuple[str, str]] = field(default_factory=dict)
    works: dict[str, str] = field(default_factory=dict)


def read_names(app: Sphinx) -> Names:
    """The names in a book that was read."""
    env: Any = app.env
    labels = env.get_domain("std").labels
    cited = env.get_domain("cite").citations
    return Names(
        equations={label: str(number) for label, (_, number) in env.get_domain("math").equations.items()},
        theorems={label: _theorem(env, proof) for label, proof in getattr(env, "proof_list", {}).items()},
        sections={label: nodes.unescape(title) for label, (_, _, title) in labels.items()},
        authors={c.key: (_authors(c.entry), c.entry.fields.get("year", "n.d.")) for c in cited},
        works={c.key: c.formatted_entry.text.render_as("markdown").replace("\n", " ") for c in cited},
    )


def _theorem(env: Any, proof: dict) -> str:
    numbers = env.toc_fignumbers.get(proof["docname"], {}).get(proof["countertype"], {}).get(proof["label"], ())
    return " ".join([proof["realtype"].capitalize(), ".".join(map(str, numbers))]).strip()


def _authors(entry: Any) -> str:
    people = entry.persons.get("author") or entry.persons.get("editor") or []
    names = [" ".join([*person.prelast_names, *person.last_names]).strip("{}") for person in people]
    if not names:
        return entry.fields.get("organization") or entry.fields.get("title", entry.key)
    return names[0] if len(names) == 1 else " and ".join(names) if len(names) == 2 else f"{names[0]} et al."
