"""What one answer for all examples reaches is known of every task with classes."""

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier

import jaxopt_course as joc
from jaxopt_course.studies.made_with import commonest, describe_task


@pytest.mark.parametrize("name", ["wine", "breast_cancer", "digits"])
def test_the_commonest_class_is_scikit_learns(name):
    task = joc.load_task(name)
    train, valid = (
        [np.asarray(part[key]) for key in ("inputs", "targets")]
        for part in (task.train, task.valid)
    )
    known = DummyClassifier(strategy="most_frequent").fit(*train).score(*valid)
    assert describe_task(task)["baselines"] == {"accuracy": pytest.approx(known)}


def test_where_targets_are_no_classes_nothing_is_said():
    for name in ("diabetes", "line"):
        assert commonest(joc.load_task(name)) is None


def test_a_study_keeps_it():
    """So that its report can say who has learned nothing."""
    trials = joc.grid(optimizer=["sgd"], learning_rate=[0.1], seed=[0])
    study = joc.sweep("wine", trials, epochs=1, batch_size=32, progress=False)
    known = study.manifest["task"]["baselines"]
    assert known == {"accuracy": commonest(joc.load_task("wine"))}
