"""Tables of very many trials: what is written comes back, and what is best is best."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
import report_studies
from long_form import only

import jaxopt_course as joc
from jaxopt_course.records import store
from jaxopt_course.report.tables import configurations

MOST = 12_500  # bytes a trial: half a gigabyte for 40,000


@pytest.mark.parametrize("many", only([2_000], [2_000, 40_000]))
def test_a_study_of_very_many_trials(tmp_path, many):
    given = joc.grid(
        optimizer=["sgd", "adam"],
        learning_rate=np.geomspace(1e-4, 1, many // 8),
        seed=range(4),
    )
    assert len(given) == many and not given.duplicated().any()
    scores = np.random.default_rng(0).permutation(many) / many
    rows = [
        report_studies.trial(*row, score=score)
        for row, score in zip(given.itertuples(index=False), scores, strict=True)
    ]
    report_studies.write(tmp_path / "small", rows[:8])  # what is imported first is no matter
    tracemalloc.start()
    report_studies.write(tmp_path / "study", rows)
    found = store.read(tmp_path / "study")
    best = configurations(found.trials, ["optimizer", "learning_rate"], "valid_accuracy", "max")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < MOST * many
    pd.testing.assert_frame_equal(found.trials, report_studies.table(rows), check_dtype=False)
    means = pd.Series(scores).groupby(np.arange(many) // 4).mean()  # seeds are the last axis
    assert len(best) == many // 4
    first = given.iloc[4 * int(means.idxmax())]
    assert best.iloc[0]["optimizer"] == first["optimizer"]
    assert best.iloc[0]["learning_rate"] == first["learning_rate"]
