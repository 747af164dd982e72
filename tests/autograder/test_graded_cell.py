"""A cell runs in the notebook's check as in the sandbox: what one of them says the other says, word for word."""

import json
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from autograder.checks import CheckFailed, Exercise
from autograder.checks.calls import LocalCall
from autograder.checks.graded_cell import names_of, program_of
from autograder.judge import sandbox
from autograder.judge.workspace import Workspace
from autograder.runtime.execution import Problem
from tests.autograder.toy_judge import TOY, remote

ROOT = Path(__file__).resolve().parents[2]
EXERCISE = Exercise("cell", "Doubling", 1, 1, ("double",))
DOUBLE = "def double(x):\n    return 2 * x\n"
RUNS = {
    "%%time": f"%%time\n{DOUBLE}",
    "commands": f"{DOUBLE}%timeit -n1 double(1)\n!pip list\ndouble?\n%matplotlib inline\n",
    "display": f"{DOUBLE}display(1)\nget_ipython().run_line_magic('time', '')\n",
    "await": f"import asyncio\nawait asyncio.sleep(0.001)\n{DOUBLE}",
    "async for": f"async def one():\n    yield 1\nasync for x in one():\n    pass\n{DOUBLE}",
    "plots": f"{DOUBLE}import matplotlib.pyplot as plt\nfig, ax = plt.subplots(2)\nax[0].plot([1])\n"
    "with plt.style.context('x'):\n    plt.show();",
    "shown": f"from IPython.display import display, clear_output\nclear_output(wait=True)\n{DOUBLE}",
    "progress": "from tqdm.auto import tqdm, trange\ndef double(x):\n"
    "    with tqdm(total=1) as bar:\n        bar.update(1)\n"
    "    return sum(x for _ in tqdm(trange(2), desc='a'))\n",
    "semicolon": "def double(x):\n    return 2 * x;\n",
    "automagic in a cell of several lines": f"{DOUBLE}try:\n    ls\nexcept NameError:\n    pass\n",
    "dataclass": "from dataclasses import dataclass\n"
    "@dataclass\nclass A:\n    x: 'int'\ndef double(x):\n    return 2 * A(x).x\n",
}
FAILS = {
    "math": "def double(x):\n    return math.pi * x\n",
    "an own constant": "def double(x):\n    return SCALE * x\n",
    "at once": f"{DOUBLE}SCALE\n",
    "a package": f"import pandas as pd\n{DOUBLE}",
    "a package in a function": "def double(x):\n    import sklearn.tree\n    return x\n",
    "a module of one's own": f"from my_helpers import twice\n{DOUBLE}",
    "the checker": f"from autograder.check import Checker\n{DOUBLE}",
    "a command's result": "def double(x):\n    y = !ls\n    return x\n",
    "no Python": f"%%bash\n{DOUBLE}",
    "syntax": "def double(x):\n  return (x\n",
    "no function": "x = 1\n",
    "a zero": "def double(x):\n    return x / 0\n",
}


def here(cell: str) -> object:
    """The result, or what is said, in this process."""
    try:
        return LocalCall(names_of(cell, "import torch", EXERCISE))("double", 4)
    except Problem as problem:
        return problem.sentence("The cell")
    except CheckFailed as failure:
        return str(failure)


@pytest.fixture(scope="module")
def there():
    """The same in a worker."""
    with Workspace(TOY / "lib") as workspace:

        def run(cell: str) -> object:
            call = remote(workspace, program_of(cell, EXERCISE), sandboxed=sandbox.state()[0])
            try:
                return call("double", 4)
            except CheckFailed as failure:
                return str(failure)
            finally:
                call.close()

        yield run


@pytest.mark.parametrize("cell", RUNS.values(), ids=RUNS.keys())
def test_what_runs_in_a_notebook_runs_where_it_is_graded(cell: str, there) -> None:
    assert here(cell) == there(cell) == 8


@pytest.mark.parametrize("cell", FAILS.values(), ids=FAILS.keys())
def test_what_does_not_run_is_said_in_the_same_words(cell: str, there) -> None:
    said = here(cell)
    assert isinstance(said, str)
    assert said == there(cell)
    assert "line" in said or "did not define" in said


def test_a_module_that_solves_an_exercise_is_refused_in_the_notebook_too() -> None:
    shows = Exercise("cell", "Doubling", 1, 1, ("double",), shows=("nimblelm.data",))
    for line in ("import nimblelm.nn.attention", "from nimblelm import nn", "from nimblelm.nn import attention as a"):
        with pytest.raises(Problem, match=r"nimblelm\.nn cannot be used in this exercise"):
            names_of(f"{line}\n{DOUBLE}", "", shows)
    assert names_of(f"import nimblelm.data.recall\n{DOUBLE}", "", shows)["double"](4) == 8
    assert "nn" not in names_of(f"from nimblelm import data\n{DOUBLE}", "", shows)


def run_notebook(*cells: str) -> list[str]:
    """What each cell prints in a real notebook at the root of the repository."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    context = {"metadata": {"path": str(ROOT)}}
    NotebookClient(notebook, timeout=240, kernel_name="python3", allow_errors=True, resources=context).execute()
    return ["".join(output.get("text", "") for output in cell.outputs) for cell in notebook.cells]


@pytest.mark.filterwarnings("ignore")
def test_the_check_in_a_notebook_runs_the_cell_as_it_is_graded() -> None:
    setup = "from autograder.check import Checker\ncheck = Checker('a03_medusa_heads')\nimport torch"
    solved = (
        "def keep_rows(keys, values, blocks, block_size, position, path):\n"
        "    slots = torch.cat([torch.arange(block_size) + block * block_size for block in blocks])\n"
        "    end = position + len(path)\n"
        "    for part in (keys, values):\n"
        "        part[:, slots[position:end]] = part[:, slots[position + path]]\n"
        "    return keys, values, blocks[: math.ceil(end / block_size)]\n"
    )
    ask = "check('cache', keep_rows)"
    own = "%time\nimport math"
    *_, missing, _, right = run_notebook(setup, own, solved, ask, f"%%time\nimport math\n{solved}", ask)
    assert "! The cell of 'cache' mentions 'math', which the cell [2] imports." in missing
    assert "name 'math' is not defined (each exercise is graded from its own cell alone" in missing
    assert "(line 6 of your cell)" in missing
    assert "! Line 1, `%%time`, is an IPython command" in right
    assert "1 of 1 visible checks passed" in right


def test_a_released_notebook_calls_its_cells_as_their_exercises() -> None:
    """The check tells the graded cell from a copy by that name."""
    for path in (ROOT / "assignments").glob("*/*.ipynb"):
        for cell in json.loads(path.read_text())["cells"]:
            mark = cell["metadata"].get("nbgrader")
            assert mark is None or cell["id"] == mark["grade_id"]
