"""The text of a notebook to download: nothing of the page is lost, and nothing needs Sphinx."""

import pytest
from book_names import Names
from clean_notebooks import clean_notebook
from fingerprint import ROOT
from notebook_text import NotebookText, UnknownMarkup

NAMES = Names(
    equations={"cost": "2.1"},
    theorems={"one": "Theorem 2.1"},
    sections={"there": "How it goes", "ch03_x": "Medusa"},
    authors={"kwon2023": ("Kwon et al.", "2023"), "ainslie2023": ("Ainslie et al.", "2023")},
    works={"kwon2023": "Kwon and others. *PagedAttention*. 2023.", "ainslie2023": "Ainslie and others. *GQA*. 2023."},
)
GLUED = {"speed": "2.345", "gpu": "'not measured yet'"}


def text() -> NotebookText:
    return NotebookText(GLUED, {"ch03_x"}, NAMES, chapter=2)


@pytest.mark.parametrize(
    ("source", "plain"),
    [
        ("{glue:text}`speed:.1f`, {glue:text}`gpu`", "2.3, not measured yet"),
        ("{doc}`next <ch03_x>`, [x](ch03_x.md#a)", "[next](ch03_x.ipynb), [x](ch03_x.ipynb)"),
        ("{doc}`ch03_x`", "[Medusa](ch03_x.ipynb)"),
        ("{doc}`map <course_map>`, {term}`draft model`, {term}`Drafts <draft model>`", "map, draft model, Drafts"),
        ("{ref}`there`, {ref}`here <there>`, {prf:ref}`one`, {eq}`cost`", "How it goes, here, Theorem 2.1, (2.1)"),
        ("as {cite:p}`kwon2023,ainslie2023`", "as (Kwon et al., 2023; Ainslie et al., 2023)"),
        ("{cite:t}`kwon2023` says", "Kwon et al. (2023) says"),
        ("(here)=\n## Title", "## Title"),
        ("$$\nt = ck\n$$ (cost)", "$$\nt = ck \\tag{2.1}\n$$"),
        ("```{math}\n:label: cost\nt = ck\n```", "$$\nt = ck \\tag{2.1}\n$$"),
        ("````{prf:theorem} Exact\n:label: one\nIt is.\n````", "**Theorem 2.1** (Exact)**.** It is."),
        ("```{prf:proof}\nClear.\n```", "*Proof.* Clear. $\\square$"),
        ("```python\n{eq}`cost` stays\n```", "```python\n{eq}`cost` stays\n```"),
        (":::{note}\nMind {eq}`cost`.\n:::", "**Note.** Mind (2.1)."),
        ("```{chapter-header}\n:minutes: 7\n\nSums.\n```", "*Before you start:* Sums."),
    ],
)  # fmt: skip
def test_markup_becomes_markdown(source, plain):
    assert text().markdown(source) == plain


def test_the_order_of_text_and_directives_is_kept():
    assert text().markdown("one\n```{note}\ntwo\n```\nthree") == "one\n\n**Note.** two\n\nthree"


QUIZ = """```{quiz} Which, by {eq}`cost`?
- $a$

  No. It
  is {eq}`cost`.
- b

  Yes. So.
```"""
EXERCISE = """````{exercise} Bytes
:answer: 2 * 3
:unit: bytes

How many?

+++

Add.

+++

```python
6
```
````"""


def test_answers_and_solutions_are_folded():
    quiz = text().markdown(QUIZ)
    first = "<details><summary>$a$</summary>\n\nNo. It\nis (2.1).\n\n</details>"
    assert quiz.startswith(f"**Quiz.** Which, by (2.1)?\n\n{first}")
    assert quiz.count("<details>") == quiz.count("</details>") == 2
    page = text()
    question, _, rest = page.markdown(EXERCISE).partition("<details>")
    assert question.strip() == "**Exercise 2.1 · Bytes.** (in bytes) How many?"
    assert "Add." in rest
    assert "```python\n6\n```\n\n</details>" in rest
    assert page.markdown("```{exercise}\nB?\n+++\nC\n+++\nD\n```").startswith("**Exercise 2.2.** B?")


def test_listings_are_copied_in():
    file = "lib/nimblelm/inference/decoding/autoregressive.py"
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    listed = text().markdown(f"```{{literalinclude}} ../{file}\n:language: python\n:pyobject: generate\n```")
    assert listed.startswith(f"`{file}`\n\n```python\n@torch.inference_mode()\ndef generate(")
    assert listed.endswith(f"{lines[-1]}\n```")
    some = text().markdown(f"```{{literalinclude}} ../{file}\n:lines: 3,5-6\n```")
    assert some.split("```python\n")[1] == "\n".join([lines[2], *lines[4:6]]) + "\n```"


@pytest.mark.parametrize("source", ["{glue:text}`unknown`", "{eq}`unknown`", "{cite:p}`unknown`", "{ref}`unknown`"])
def test_what_the_book_has_not_is_an_error(source):
    with pytest.raises(KeyError):
        text().markdown(source)


@pytest.mark.parametrize("source", ["{kbd}`x`", "{cite:year}`kwon2023`", "```{figure} x.png\n```"])
def test_what_nobody_wrote_out_is_an_error(source):
    with pytest.raises(UnknownMarkup):
        text().markdown(source)


def cell(kind: str, source: str, *tags: str) -> dict:
    return {"cell_type": kind, "id": "x", "metadata": {"tags": [*tags]}, "source": source, "outputs": [1]}


def test_a_clean_notebook_installs_hides_and_lists_what_it_cites():
    cells = [
        cell("code", "print(1)"),
        cell("code", "plot()", "hide-input"),
        cell("markdown", "## T {cite:p}`kwon2023`"),
    ]
    clean = clean_notebook({"cells": cells}, text(), "https://github.com/a/b")
    install, code, plot, title, references = clean["cells"]
    assert "nimblelm @ git+https://github.com/a/b" in install["source"]
    assert code["outputs"] == plot["outputs"] == []
    assert "jupyter" not in code["metadata"]
    assert plot["metadata"]["jupyter"] == {"source_hidden": True}
    assert title["source"] == "## T (Kwon et al., 2023)"
    assert references["source"] == "## References\n\n- Kwon and others. *PagedAttention*. 2023."
    assert 'pip install -q {" ".join(wheels)}' in clean_notebook({"cells": []}, text(), None)["cells"][0]["source"]
