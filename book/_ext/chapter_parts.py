"""What a chapter is framed by: `{chapter-header}` under its title."""

import os
import platform
from datetime import datetime
from importlib.metadata import version
from typing import Any, ClassVar

from assignment_pages import has_page
from docutils import nodes
from docutils.parsers.rst import directives
from generated_markdown import GeneratedMarkdown
from myst_nb.sphinx_ import NbMetadataCollector
from sphinx.application import Sphinx

_VERSIONS_SHOWN = ("torch", "numpy", "transformers")


class ExecutionRecord(nodes.General, nodes.Element):
    """Stands where the header says when the page was executed; filled once the notebook has run."""


class ChapterHeader(GeneratedMarkdown):
    """The box under a chapter's title. Its body says what a reader should know before."""

    has_content = True
    option_spec: ClassVar = {"minutes": directives.positive_int, "hardware": directives.unchanged_required,
                   "assignment": directives.unchanged_required}  # fmt: skip

    def run(self) -> list[nodes.Node]:
        missing = {"minutes", "hardware"} - set(self.options)
        if missing or not self.content:
            raise self.error(
                f"chapter-header needs prerequisites as its body and the options minutes and hardware: {missing}"
            )
        box = nodes.container(classes=["chapter-header"])
        rows = {
            "Before you start": " ".join(self.content),
            "Time": f"{self.options['minutes']} minutes to read and try",
            "Hardware": self.options["hardware"],
        }
        if "assignment" in self.options:
            name = self.options["assignment"]
            rows["Assignment"] = f"[{name}](assignments/{name}.ipynb)" if has_page(name) else name
        fields = nodes.field_list()
        for name, text in rows.items():
            fields += _field(name, self.parse([text]))
        fields += _field("Last executed", [nodes.paragraph("", "", ExecutionRecord())])
        versions = ", ".join(f"{package} {version(package)}" for package in _VERSIONS_SHOWN)
        fields += _field("Versions", [nodes.paragraph(text=f"Python {platform.python_version()}, {versions}")])
        box += fields
        return [box]


def _field(name: str, body: list[nodes.Node]) -> nodes.field:
    return nodes.field("", nodes.field_name(text=name), nodes.field_body("", *body))


def fill_execution_records(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Write when, for how long and on what the page was executed."""
    for node in list(doctree.findall(ExecutionRecord)):
        env: Any = app.env  # myst-nb has its own type for it
        data = NbMetadataCollector.get_exec_data(env, docname)
        text = "not executed"
        if data:
            when = datetime.fromtimestamp(data["mtime"]).strftime("%Y-%m-%d")
            seconds = f" in {data['runtime']:.0f} s" if data["runtime"] else ""
            text = f"{when}{seconds} on one of {os.cpu_count()} {platform.machine()} CPU cores"
        node.replace_self(nodes.Text(text))


def executed_pages(env: Any) -> set[str]:
    """Names of the pages whose cells were executed."""
    executed = {name for name, data in NbMetadataCollector.get_doc_data(env).items() if data.get("exec_data")}
    return executed & set(env.found_docs)


def setup(app: Sphinx) -> None:
    app.add_directive("chapter-header", ChapterHeader)
    app.add_node(ExecutionRecord)
    app.connect("doctree-resolved", fill_execution_records)
