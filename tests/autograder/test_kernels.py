"""Of a cell that is to hold Triton kernels only those are taken, on their own lines; ours launches them."""

import warnings

import pytest

from autograder.assurance.answers import solution_cells
from autograder.cells.kernel_source import kernels_only
from autograder.checks import load_task
from autograder.controller.course import Course
from tests.autograder.toy import ROOT

HOST = "def host():\n    return 1\n"
KERNEL = """@triton.jit
def kernel(x, out, N: tl.constexpr, WIDE: tl.constexpr = 2):
    i = tl.program_id(0) * WIDE + tl.arange(0, N)
    for start in range(0, 4, SIZE):
        y = helper(tl.load(x + i, mask=i < start, other=float("-inf")).to(tl.float32))
    z = tl.math.exp(y)
    tl.store(out + i, z.trans())"""
HELPER = "@triton.jit\ndef helper(x):\n    return tl.where(x > LEAST, x, tl.zeros_like(x))"
CONSTANTS = "SIZE: tl.constexpr = 16\nLEAST = tl.constexpr(-1.5)"


def test_kernels_and_constants_stay_where_they_were_and_the_host_comes_last():
    rest = "def host():\n    return open(2)\nhost()\n"
    cell = f"import os\n{CONSTANTS}\n# a remark\n{HELPER}\nprint(1)\n{KERNEL}\n\n\n{rest}"
    taken = kernels_only(cell, HOST)
    assert taken.endswith(f"\n{HOST}")
    for part in (CONSTANTS, HELPER, KERNEL):
        assert cell[: cell.index(part)].count("\n") == taken[: taken.index(part)].count("\n")
    for gone in ("import os", "print", "open", "# a remark"):
        assert gone not in taken


@pytest.mark.parametrize(
    ("line", "stranger"),
    [
        ("torch.softmax(x, 0)", "torch"),
        ("import gc", "import"),
        ("from os import _exit", "importfrom"),
        ("__import__('os')", "__import__"),
        ("open('/etc/passwd')", "open"),
        ("global SIZE", "global"),
        ("tl.core.inspect", "tl.core.inspect"),
        ("triton.testing.torch", "triton.testing.torch"),
        ("x.handle.data", "x.handle.data"),
        ("x.__class__", "x.__class__"),
        ("(lambda: host)()", "lambda"),
        ("host()", "host"),
        ("[torch for torch in x]; torch.ones(1)", "comprehension"),
        ("match tl:\n        case int(__builtins__=y):\n            pass", "match"),
        ("tl.math.wraps(tl, ('__builtins__',), ())(y)", "tl.math.wraps"),
        ("kernel.fn", "kernel.fn"),
        ("'{0.__globals__}'.format(y)", "constant.format"),
        ("f'{kernel}'", "f-string"),
        ("'%s' % kernel", "%"),
        ("b'%r' % kernel", "%"),
        ("int.mro()[1]", "int.mro"),
        ("tl.exp = kernel", "tl.exp"),
        ("triton.jit(print)(y)", "triton.jit"),
        ("tl.load(x, member=kernel)", "member"),
        ("kernel(_semantic=x)", "_semantic"),
        ("tl.load(x, **y)", "**"),
        ("def torch(x):\n        pass", "torch"),
        ("with tl as y:\n        pass", "with"),
        ("(y := x)", "namedexpr"),
        ("yield", "yield"),
        ("try:\n        y\n    except Exception as torch:\n        pass", "try"),
    ],
)
def test_a_kernel_that_uses_more_than_kernels_have_gives_way_to_an_error(line, stranger):
    taken = kernels_only(f"@triton.jit\ndef kernel(x):\n    y = x\n    {line}\n", HOST)
    assert taken.splitlines()[1].startswith(f"raise NameError('kernel uses `{stranger}`")
    assert not any(taken.removesuffix(HOST).splitlines()[2:])


@pytest.mark.parametrize(
    "cell",
    [
        "attention_kernel = object()",
        "class attention_kernel: pass",
        "@triton.jit\n@other\ndef kernel(x): pass",
        "@other\ndef kernel(x): pass",
        "tl = 3",
        "SIZE = len(open('/etc/passwd').read())",
        "SIZE = 1; print(2)",
        "if True:\n    import os",
        "SIZE: print(2) = 1",
        "SIZE = ('%s', b'%r')[:1]",
        "SIZE = '%s'",
        "SIZE = tl.constexpr(1, **print(2))",
        "SIZE: tl.constexpr = tl.constexpr(1, value=print(2))",
        "SIZE = {1: b'%r'}",
        "import os\n@f(f'{\"\x7f\"}')\ndef kernel(x): pass",
        "import os\nSIZE: f'{\"\x7f\"}' = 1",
    ],
)
def test_nothing_else_is_taken(cell):
    assert kernels_only(cell, HOST).strip() == HOST.strip()


@pytest.mark.parametrize("given", ["x=print(torch)", "torch=torch", "x=(tl := torch)", "x: torch", "*, torch=torch"])
def test_defaults_and_annotations_are_run_outside_of_a_kernel(given):
    assert "raise NameError" in kernels_only(f"@triton.jit\ndef kernel({given}): pass", HOST)


BODY = "(x):\n    '''\n{}\n    '''\n    return x"


@pytest.mark.parametrize(
    ("kernel", "stranger"),
    [
        ("@triton.jit\ndef kernel" + BODY.format("def kernel(x):\n    print(torch) #"), "def"),
        ("@triton.jit\ndef kernel" + BODY.format("    def  kernel(x):\n        print(torch) #"), "def"),
        ("@triton.jit\ndef \\\nkernel" + BODY.format("def\tkernel(x):\n    print(torch) #"), "def"),
        ("@triton.jit\ndef\tkernel" + BODY.format("kernel = print #"), "def"),
        ("@\\\ntriton.jit\ndef kernel(x):\n    return x", "@"),
    ],
)
def test_a_kernel_begins_for_triton_where_it_begins_for_python(kernel, stranger):
    """It reads a kernel's text again, from the last line, or the first, that looks like its `def`."""
    assert f"raise NameError('kernel uses `{stranger}`" in kernels_only(kernel, HOST)


@pytest.mark.parametrize("before", ["host = 1", "@triton.jit\ndef host(x):\n    return x"])
def test_a_kernel_does_not_know_the_host_by_a_name_of_its_own(before):
    cell = f"{before}\n@triton.jit\ndef kernel(x):\n    return host(x)\n"
    assert "raise NameError('kernel uses `host`" in kernels_only(cell, HOST)


def test_a_kernel_may_say_what_it_does():
    kernel = "@triton.jit  # a remark\ndef kernel" + BODY.format("    What a definition, def or not, is: 100 % of it.")
    assert kernel in kernels_only(kernel, HOST)


@pytest.mark.parametrize("end", ["\x0c", "\x1c", "\u2028", "\x85"])
def test_lines_are_counted_as_python_counts_them(end):
    cell = f"# {end}\nimport os\n{HELPER}\n{KERNEL}\n{CONSTANTS}\nimport sys\n"
    taken = kernels_only(cell, HOST)
    assert "import" not in taken
    assert KERNEL in taken


@pytest.mark.parametrize("deep", ["x = " + "-" * 20_000 + "1", "x = 1" + "+1" * 60_000, "x" + ".y" * 60_000])
def test_what_is_too_deep_to_be_looked_at_is_not_run(deep):
    taken = kernels_only(f"import os\n{deep}\n", HOST)
    assert "import os" not in taken
    assert taken.endswith(HOST)


def test_what_cannot_be_read_stays_for_the_worker_to_say():
    assert kernels_only("def (", HOST) == "def ("


def test_what_python_only_warns_of_can_be_read(recwarn):
    warnings.simplefilter("error")
    assert kernels_only("import os\nSIZE = '\\d'\n", HOST) == f"\nSIZE = '\\d'\n\n{HOST}"


@pytest.mark.parametrize("given", ["*, x=f'{\"\x7f\"}'", "x: f'{\"\x7f\"}'", "x=''.join(f'{\"\x7f\"}')"])
def test_what_cannot_be_written_out_is_named_all_the_same(given):
    assert "raise NameError" in kernels_only(f"@triton.jit\ndef kernel({given}): pass", HOST)


@pytest.mark.parametrize("exercise", ["kernel", "launch"])
def test_the_host_is_the_one_that_students_are_given(exercise):
    """Up to the default of `kernel`, which a cell of theirs has defined before."""
    task = load_task(Course(ROOT).tasks("a04_flash_attention"))
    released = Course(ROOT).student_notebook("a04_flash_attention").read_text(encoding="utf-8")
    for line in task.exercises[exercise].host.strip().splitlines():
        line = line.replace("kernel=None", "kernel=attention_kernel").replace("(kernel or attention_kernel)", "kernel")
        assert line.replace("\\", "\\\\").replace('"', '\\"') in released, line


@pytest.mark.parametrize("last", ["return {64: (128, 64), 128: -1.5}", "raise NotImplementedError('Not written yet')"])
def test_a_choice_is_taken(last):
    cell = f'def tiles():\n    "By head size."\n    {last}\n'
    assert cell in kernels_only(f"import os\n{cell}", HOST)


@pytest.mark.parametrize(
    "cell",
    [
        "def tiles():\n    return open('/etc/passwd')",
        "def tiles():\n    print()\n    return 1",
        "def tiles(x=print()):\n    return 1",
        "def tiles() -> print():\n    return 1",
        "@print\ndef tiles():\n    return 1",
        "def tiles():\n    return",
        "def tl():\n    return 1",
        "async def tiles():\n    return 1",
        "def tiles():\n    raise NotImplementedError(print())",
        "def tiles():\n    raise NotImplementedError() from print()",
        "def tiles():\n    raise print()",
        "def tiles(*, x=f'{\"\x7f\"}'):\n    return 1",
    ],
)
def test_a_choice_is_nothing_but_numbers(cell):
    assert kernels_only(cell, HOST).strip() == HOST.strip()


@pytest.mark.parametrize(
    "cell",
    [
        "def tiles():\n    sizes = {64: 128}\n    return sizes",
        "def tiles():\n    return {64: 2 * 64}",
        "@print\n@triton.jit\ndef tiles(x):\n    return x",
        "def tiles():\n    return 1; SIZE = 2",
    ],
)
def test_what_the_launch_needs_and_cannot_have_is_an_error_that_says_so(cell):
    taken = kernels_only(f"import os\n{cell}\n", "def host():\n    return tiles()\n").splitlines()
    place = 1 + cell[: cell.index("def")].count("\n")
    assert (
        taken[place]
        == "raise NameError('tiles is neither a Triton kernel, with @triton.jit alone, nor one return of numbers')"
    )
    assert not any(taken[:place])


def test_a_constant_that_is_no_plain_number_is_told_apart_from_a_name_of_nobody():
    taken = kernels_only("LOW = float('-inf')\n@triton.jit\ndef kernel(x):\n    y = LOW\n", HOST)
    assert "kernel uses `LOW`" in taken
    assert "constants of its cell that are plain numbers, such as -1e30" in taken


def test_a_kernel_does_not_know_the_choice():
    cell = "def tiles():\n    return 1\n\n\n@triton.jit\ndef kernel(x):\n    tiles()\n"
    assert "raise NameError('kernel uses `tiles`" in kernels_only(cell, HOST)


def test_no_library_can_stand_behind_the_launch_on_a_gpu():
    """What a cell defines beside its kernels never runs: neither its own launch nor what it would call there."""
    exercise = load_task(Course(ROOT).tasks("a04_flash_attention")).exercises["launch"]
    cell = solution_cells(Course(ROOT), "a04_flash_attention")["launch"]
    torchs = (
        "def fast_attention(q, k, v, causal):\n    return torch.nn.functional.scaled_dot_product_attention(q, k, v)\n"
    )
    taken = kernels_only(f"{cell}\n\n{torchs}", exercise.host)
    assert "scaled_dot_product_attention" not in taken
    assert taken.count("def fast_attention") == 1
