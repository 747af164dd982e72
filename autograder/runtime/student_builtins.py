"""The built-in names of a student's cell: Python's, those that a notebook adds, and an import that knows the grader.

What only draws or shows can be called here and does nothing, so that a plot in a graded cell costs no points. Any other
package that the sandbox lacks is refused in the same words in the notebook and in the sandbox.
"""

import builtins
import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

# What these give is looked at by a person and by no function.
ONLY_SHOWN = frozenset({"matplotlib", "seaborn", "plotly", "bokeh", "altair", "IPython", "ipywidgets", "tqdm"})


class Nothing:
    """Stands for whatever draws or shows: every attribute and every call of it is nothing again.

    Args:
        items: what one gets who loops over it, such as what a progress bar is wrapped around.
    """

    def __init__(self, items: Any = ()) -> None:
        self._items = items

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _PARTS.get(name) or Nothing()

    def __call__(self, *args: Any, **kwargs: Any) -> "Nothing":
        return Nothing()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, key: Any) -> "Nothing":
        return Nothing()

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def __enter__(self) -> "Nothing":
        return self

    def __exit__(self, *_: object) -> None:
        pass


def _progress(items: Any = (), *_: Any, **__: Any) -> Nothing:
    return Nothing(items)


_PARTS: Mapping[str, Any] = {
    "tqdm": _progress,
    "tqdm_notebook": _progress,
    "trange": lambda *limits, **_: Nothing(range(*limits)),
    "subplots": lambda *_, **__: (Nothing(), Nothing()),
}


def no_such_package(package: str) -> str:
    """What a student reads of a package that is not in the sandbox."""
    return f"{package} is not there where this cell is graded"


def student_builtins(refusal: Callable[[str], str] | None = None) -> dict[str, Any]:
    """The value of `__builtins__` in the namespace of a cell.

    Args:
        refusal: why a module cannot be imported, or nothing; by default what is not installed cannot.
    """
    why_not = refusal or _not_installed

    def graded_import(
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        package = name.partition(".")[0]
        if level == 0 and package in ONLY_SHOWN:  # torch may have brought a part of one along
            return Nothing()
        for module in [name, *_submodules(name, fromlist or ())] if level == 0 else []:
            if said := why_not(module):
                raise ImportError(said, name=module)
        return builtins.__import__(name, globals, locals, fromlist or (), level)

    shown = {"display": Nothing(), "get_ipython": Nothing()}
    return {**shown, **vars(builtins), "__import__": graded_import}


def _submodules(package: str, names: Sequence[str]) -> Iterator[str]:
    """Those names of a `from` that are modules and no attributes; only in our library does it matter."""
    if package.startswith("nimblelm"):
        for name in names:
            if _spec(f"{package}.{name}"):
                yield f"{package}.{name}"


def _spec(name: str) -> Any:
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None


def _not_installed(name: str) -> str:
    package = name.partition(".")[0]
    wanted = name if package == "autograder" else package  # of ours a worker has some modules only
    return "" if wanted in sys.modules or _spec(wanted) else no_such_package(package)
