"""A study of one's own table says what became of its columns, and what one answer would reach."""

import jax
import numpy as np
import pandas as pd
import pytest

import jaxopt_course as joc


@pytest.mark.long
def test_a_study_of_a_table_tells_of_it(tmp_path):
    rows = np.random.default_rng(0).normal(size=60).round(3)
    table = pd.DataFrame({"x": rows, "same": 1, "y": np.where(np.arange(60) % 4, "no", "yes")})
    task = joc.table_task(table, "y", name="mine")
    study = joc.sweep(
        task, joc.grid(optimizer="sgd", learning_rate=[1e-9]), epochs=1, batch_size=36,
        directory=tmp_path, progress=False, devices=jax.devices()[:1],
    )  # fmt: skip
    told = joc.Study.load(tmp_path).manifest["task"]
    assert told["baselines"] == {"accuracy": 0.75}
    assert any("always answering no" in line for line in told["data"])
    assert any(line.strip().startswith("same:") for line in told["data"])
    page = study.report().read_text(encoding="utf-8")
    assert "always answering no" in page
