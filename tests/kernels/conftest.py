"""What tests of kernels share: Triton's interpreter. The guards of compiled code are in `compile_only.py`."""

import pytest

from tests.kernels.interpreter import Interpreter


@pytest.fixture(scope="session")
def interpreted():
    """`interpreted(function, *args)` calls the function where kernels run on the CPU, in fp16 and fp32 only.

    `tl.dot` on bf16 multiplies raw bits there, without an error.
    """
    interpreter = Interpreter()
    yield interpreter
    interpreter.close()
