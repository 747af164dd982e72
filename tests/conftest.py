"""Run-time shape and type checks for every public signature of the library, and skips for what a machine lacks."""

import ast
from importlib.util import find_spec

import jaxtyping._import_hook as hook
import pytest

_opted_out = hook._is_no_type_check
# a kernel is source text for Triton, never called as Python: a wrapper would hide its globals from the compiler
hook._is_no_type_check = lambda node: _opted_out(node) or ast.unparse(node).startswith(("triton.", "gluon."))
if find_spec("beartype"):  # a GPU node may lack it
    hook.install_import_hook("nimblelm", "beartype.beartype")


def pytest_collection_modifyitems(items):
    import torch

    for item in items:
        if "slow" in item.keywords and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(2400))
        if "gpu" in item.keywords and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))
