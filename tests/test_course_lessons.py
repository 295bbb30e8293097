"""What lessons share: the digits they train on, and frameworks that may not be there."""

import re
import types
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import nnx

import jaxopt_course as joc
from jaxopt_course.course import frameworks, notebooks
from jaxopt_course.course.digits import digits, noisy_digits, pixels
from jaxopt_course.course.mistakes import RECIPES

EXPERIMENTS = Path(__file__).parent.parent / "experiments"
ANSWERING = ("14_", "15_")  # the exercise that closes the course, and the solutions
WITH_EXERCISES = [
    file for file in sorted(EXPERIMENTS.glob("[01]*_*.py")) if not file.name.startswith(ANSWERING)
]


def net(rngs):
    return nnx.Linear(64, 10, rngs=rngs)


def rows(*parts):
    return {row.tobytes() for part in parts for row in np.asarray(part["inputs"])}


def test_a_share_of_the_labels_is_wrong_and_only_where_one_trains():
    images, labels = pixels()
    right = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
    task = noisy_digits(net, train=600, valid=400, seed=3)
    wrong = {
        part: np.mean(
            [
                right[x.tobytes()] != y
                for x, y in zip(
                    np.asarray(data["inputs"]), np.asarray(data["targets"]), strict=True
                )
            ]
        )
        for part, data in (("train", task.train), ("valid", task.valid), ("test", task.test))
    }
    assert 0.1 < wrong["train"] < 0.17 and wrong["valid"] == wrong["test"] == 0
    assert rows(task.train, task.valid, task.test) == rows({"inputs": images})
    assert not rows(task.train) & rows(task.valid, task.test)
    assert not rows(task.valid) & rows(task.test)
    other = noisy_digits(net, train=600, valid=400, seed=4)
    assert rows(task.train) != rows(other.train)


def test_without_a_test_of_their_own_digits_are_chosen_and_told_by_the_same():
    task = noisy_digits(net, train=600)
    assert task.examples == {"train": 600, "valid": 1197, "test": 1197}
    assert rows(task.valid) == rows(task.test)


def test_the_plain_digits_are_all_there_and_rightly_labelled():
    task = digits(net)
    assert sum(task.examples.values()) == 1797 and isinstance(task, joc.Task)
    assert np.asarray(task.train["inputs"]).max() == 1


@pytest.mark.parametrize("train, valid", [(0, 10), (-1, None), (1797, None), (600, 1197), (600, 0)])
def test_a_part_without_examples_is_refused(train, valid):
    with pytest.raises(ValueError, match=f"train={train}, valid={valid}: each part needs"):
        noisy_digits(net, train=train, valid=valid)


def test_keras_is_in_float64_for_a_while_and_then_as_before():
    set_to = {"floatx": "float32", "policy": "mixed"}
    config = types.SimpleNamespace(
        floatx=lambda: set_to["floatx"],
        dtype_policy=lambda: set_to["policy"],
        set_floatx=lambda name: set_to.update(floatx=name),
        set_dtype_policy=lambda name: set_to.update(policy=name),
    )
    with (
        pytest.raises(ZeroDivisionError),
        frameworks.in_float64(types.SimpleNamespace(config=config)),
    ):
        assert set(set_to.values()) == {"float64"} and jax.numpy.ones(1).dtype == "float64"
        raise ZeroDivisionError
    assert set_to == {"floatx": "float32", "policy": "mixed"}
    assert jax.numpy.ones(1).dtype == "float32"


def test_what_is_not_installed_is_none_and_said(monkeypatch, capsys):
    def load(name):
        if name == "torch":
            raise ModuleNotFoundError
        return types.SimpleNamespace(__version__="3.15.1")

    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setattr(frameworks.importlib, "import_module", load)
    torch, keras = frameworks.frameworks()
    assert torch is None and keras.__version__ == "3.15.1"
    assert capsys.readouterr().out == "PyTorch no está instalado\nKeras 3.15.1, en vivo\n"


def prose(file):
    cells = notebooks.read(file).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def numbered(text):
    """The numbers of a list: of exercises, or of their solutions."""
    return [int(n) for n in re.findall(r"^([1-9])\. ", text, re.MULTILINE)]


def solutions():
    """Of each lesson by its number: the text of its solutions."""
    text = "\n\n".join(map(prose, sorted(EXPERIMENTS.glob("15_*.py"))))
    heads = r"^## Lección (\d+)|^\*\*(\d+\.\d)\.\*\*"
    parts = re.split(heads, text, flags=re.MULTILINE)[1:]
    return {one or two: told for one, two, told in zip(*[iter(parts)] * 3, strict=True)}


@pytest.mark.parametrize("file", WITH_EXERCISES, ids=lambda file: file.stem)
def test_a_lesson_ends_with_three_to_five_exercises_that_have_solutions(file):
    asked = prose(file).split("## Para practicar")[1].split("## Para leer")[0]
    numbers = numbered(asked)
    assert 3 <= len(numbers) <= 5 and numbers == [*range(1, len(numbers) + 1)]
    name = ".".join(str(int(n)) for n in re.match(r"(\d+)(?:_(\d))?", file.stem).groups() if n)
    assert numbered(solutions()[name]) == numbers


def test_every_optimizer_has_a_cell_to_write_it_in_and_a_solution():
    for name in RECIPES:
        cells = [cell.source for cell in notebooks.read(EXPERIMENTS / "14_tu_turno.py").cells]
        (skeleton,) = [cell for cell in cells if f"def mi_{name}(" in cell]
        assert "..." in skeleton and f'check("{name}", mi_{name})' in skeleton
        assert f"\ndef {name}(" in (EXPERIMENTS / "15_1_soluciones.py").read_text(encoding="utf-8")
