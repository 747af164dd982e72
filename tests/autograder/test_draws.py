"""Secret numbers: of one draw, however much of it is shown, nothing follows about another."""

import ast
import hashlib
import hmac
from collections.abc import Callable

import numpy as np
import pytest
import torch

from autograder.assurance import corpus
from autograder.checks import load_task
from autograder.checks.draws import Draws, generator, worker_seed
from autograder.controller.course import Course
from tests.autograder.toy import ROOT

LENGTH, WIDTH, COUNT = 4096, 32, 64  # of the timed inputs of linear attention, and of the rows that are looked at


@pytest.fixture(scope="module")
def foretold() -> Callable[[torch.Tensor], torch.Tensor]:
    """What the rows would be if they came from the generator of the inputs: a solver for the twister."""
    exploits = {one.name: one for one in corpus.read_exploits(Course(ROOT))}
    namespace: dict = {"torch": torch}
    exec(exploits["rows_foretold_from_the_inputs"].file.cells["linear"], namespace)
    masks = namespace["sums"](3 * LENGTH * WIDTH, 12)
    return lambda shown: namespace["foretold"](shown, masks, COUNT, LENGTH)


def test_later_draws_follow_from_the_inputs_where_they_share_a_generator(foretold: Callable) -> None:
    for key in range(3):
        rng = generator(b"key", key)
        shown, *_ = (torch.randn(LENGTH, WIDTH, generator=rng) for _ in range(3))
        assert torch.equal(foretold(shown), torch.randint(LENGTH, (COUNT,), generator=rng))


def test_they_do_not_follow_where_each_draw_has_its_own(foretold: Callable) -> None:
    rng = Draws(b"key", "check", 1)
    shown, *_ = (torch.randn(LENGTH, WIDTH, generator=rng()) for _ in range(3))
    assert (foretold(shown) == torch.randint(LENGTH, (COUNT,), generator=rng())).sum() < 4


def test_the_rows_of_a_timed_answer_are_not_foretold(foretold: Callable) -> None:
    """An answer that is right in the foretold rows alone is refused."""
    checks = load_task(ROOT / "autograder" / "tasks" / "a04_flash_attention").checks["linear"]
    timed = next(one for one in checks if one.speed)
    for index in range(3):
        trial = timed.run(Draws(b"key", timed.name, index))
        q, k, v = trial.args
        weights = (torch.nn.functional.elu(q) + 1) @ (torch.nn.functional.elu(k) + 1).T
        right = weights @ v / weights.sum(1, keepdim=True)
        trial.verify(right)
        rows, partly = foretold(q), torch.zeros_like(right)
        partly[rows] = right[rows]
        with pytest.raises(Exception, match="the output"):
            trial.verify(partly)


def test_no_number_of_a_task_shares_a_generator_with_another() -> None:
    """Wherever a task draws, it asks for a generator; none is kept, made from a seed, or torch's own."""
    for path in sorted((ROOT / "autograder" / "tasks").glob("*/*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.keyword) and node.arg == "generator":
                assert isinstance(node.value, ast.Call), f"{path}:{node.lineno if hasattr(node, 'lineno') else ''}"
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                drawing = node.func.attr in ("rand", "randn", "randint", "randperm", "multinomial", "normal")
                if drawing and isinstance(node.func.value, ast.Name) and node.func.value.id == "torch":
                    assert any(one.arg == "generator" for one in node.keywords), f"{path}:{node.lineno}"
                assert node.func.attr != "manual_seed", f"{path}:{node.lineno}"


def test_numbers_depend_on_the_key_and_every_name_and_repeat() -> None:
    named = (
        (b"a", "x"),
        (b"b", "x"),
        (b"a", "y"),
        (b"a", "x", 1),
        (b"a", "x1"),
        (b"a", "x", "1", ""),
        (b"a", "x\0001"),
    )
    assert len({Draws(*names).key() for names in named}) == len(named)
    first, again = Draws(b"a", "x"), Draws(b"a", "x")
    assert [first.key(), first.number()] == [again.key(), again.number()]
    assert torch.equal(torch.rand(3, generator=first()), torch.rand(3, generator=again()))
    assert len({first.key() for _ in range(100)}) == 100
    assert all(0 <= first.number() < 2**62 for _ in range(100))


def test_purposes_do_not_share_their_numbers() -> None:
    """What seeds a worker, which its code can see, is no part of what any draw comes from."""
    derived = [hmac.digest(b"key", f'["{purpose}", "name", "1"]'.encode(), "sha256")
               for purpose in ("draw", "generator", "worker")]  # fmt: skip
    assert len({one[:8] for one in derived}) == 3
    assert Draws(b"key", "name").key() == derived[0]
    assert worker_seed(b"key", "name", 1) == int.from_bytes(derived[2][:8], "big") >> 1


def test_a_generator_is_a_twister_whose_every_word_comes_from_the_key() -> None:
    digest = hmac.digest(b"key", b'["generator", "name", "1"]', "sha256")
    words = np.frombuffer(hashlib.shake_256(digest).digest(4 * 624), "<u4")
    twister = np.random.MT19937()
    twister.state = {"bit_generator": "MT19937", "state": {"key": words, "pos": 624}}
    expected = torch.from_numpy((twister.random_raw(2000) % 2**16).astype(np.int64))
    assert torch.equal(torch.randint(2**16, (2000,), generator=generator(b"key", "name", 1)), expected)
