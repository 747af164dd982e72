"""Inside the kernel of a page: a list of the repository's files that Python opens.

It holds `page_inputs` against what happens. What compiled code opens (safetensors, tokenizers) Python does not see.
"""

import importlib.util
import os
import sys


def record_opened_files(record: str, root: str) -> None:
    """Append each file under `root` that is opened for reading from now on to the file `record`, a line each."""
    lines = open(record, "a", encoding="utf-8", buffering=1)  # noqa: SIM115  # open as long as the kernel lives
    seen = set()

    def hook(event: str, args: tuple) -> None:
        if event != "open" or not isinstance(args[0], str | os.PathLike) or not str(args[1] or "r").startswith("r"):
            return
        path = os.path.abspath(args[0])
        if path.startswith(f"{root}/") and path not in seen:
            seen.add(path)
            lines.write(f"{importlib.util.source_from_cache(path) if path.endswith('.pyc') else path}\n")

    sys.addaudithook(hook)
