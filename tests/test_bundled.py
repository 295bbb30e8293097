"""Sets and splits as scikit-learn makes them, bit for bit, and none of its import."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn import datasets as theirs
from sklearn.model_selection import train_test_split

from jaxopt_course.problems import bundled, datasets


@pytest.mark.parametrize("name", bundled.FILES)
def test_a_set_is_scikit_learns(name, monkeypatch):
    values, labels = getattr(theirs, f"load_{name}")(return_X_y=True)
    mine = bundled.rows(name)
    assert mine[0].tobytes() == values.tobytes() and mine[1].tobytes() == labels.tobytes()
    whole = getattr(datasets, name)()
    monkeypatch.setattr(bundled, "rows", lambda _: None)  # its files are elsewhere
    assert [x.tobytes() for x in getattr(datasets, name)()] == [x.tobytes() for x in whole]


RANDOM = np.random.default_rng(0)
LABELS = {
    "none": None,
    "even": np.arange(90) % 3,
    "uneven": np.minimum(RANDOM.integers(0, 40, 400), 7),
    "ties": np.repeat(np.arange(11), 7),  # all have the same remainder: who is rounded up is drawn
    "gaps": RANDOM.choice([-5, 2, 900], 53),
    "booleans": RANDOM.random(61) < 0.2,
    "bytes": RANDOM.integers(0, 3, 30).astype(np.uint8),
}


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
@pytest.mark.parametrize("held_out", [0.4, 0.5])
def test_a_split_is_scikit_learns(labels, held_out):
    for seed in range(20):
        n = 47 + seed if labels is None else len(labels)
        both = train_test_split(
            np.arange(n), test_size=held_out, random_state=seed, stratify=labels
        )
        for mine, other in zip(bundled.divided(n, held_out, seed, labels), both, strict=True):
            assert mine.tolist() == other.tolist()


@pytest.mark.parametrize(
    "n, labels",
    [
        (1, None),
        (0, None),
        (4, np.array([0, 0, 0, 1])),
        (6, np.array([0, 0, 1, 1, 2, 2])),  # no place for three classes in the smaller part
        (4, np.zeros((4, 2), int)),
        (4, np.array(["a", "a", "b", "b"])),
        (4, np.array([0.5, 0.5, 1, 1])),
    ],
)
def test_what_is_odd_is_left_to_scikit_learn(n, labels):
    assert bundled.divided(n, 0.4 if n != 6 else 0.3, 0, labels) is None


@pytest.mark.long
def test_a_task_is_loaded_without_it():
    code = (
        "import sys, jaxopt_course as joc; joc.load_task('digits'); print('sklearn' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
