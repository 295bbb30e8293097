"""Parts of a table as an array of jobs, by submitit's own executor for one machine.

In an environment of its own: ``.ci/run cluster``.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import pandas as pd
import pytest

import jaxopt_course as joc

pytestmark = [pytest.mark.cluster, pytest.mark.filterwarnings("ignore::ResourceWarning")]
TRIALS = joc.grid(optimizer=["sgd", "adam"], learning_rate=[1e-3, 0.01], seed=range(2))
SETTINGS = {"steps": 40, "batch_size": 5, "evaluate_every": 10, "lanes": 2, "progress": False}


def test_an_array_of_parts_is_the_whole(tmp_path):
    import submitit

    trials, settings = TRIALS, SETTINGS

    def part(rank, of, directory):
        """Train a part, or go on with it; sent by value."""
        import jaxopt_course as joc

        try:
            return str(joc.Study.resume(directory, progress=False).directory)
        except FileNotFoundError:
            made = joc.sweep("line", trials, part=(rank, of), directory=directory, **settings)
            return str(made.directory)

    executor = submitit.AutoExecutor(folder=tmp_path / "log", cluster="local")
    executor.update_parameters(timeout_min=10)
    directories = [tmp_path / str(rank) for rank in range(2)]
    jobs = executor.map_array(part, range(2), [2, 2], directories)
    assert [job.result() for job in jobs] == [str(one) for one in directories]
    again = executor.submit(part, 0, 2, directories[0])  # what is complete is loaded
    assert again.result() == str(directories[0])
    joined = joc.join([joc.Study.load(one) for one in directories])
    whole = joc.sweep("line", TRIALS, devices=jax.devices()[:1], **SETTINGS)
    assert joined.trials["id"].tolist() == whole.trials["id"].tolist()
    # jobs compile at full effort, as their users do, and tests with none
    for name in ("valid_loss", "test_loss", "train_loss"):
        pd.testing.assert_series_equal(joined.trials[name], whole.trials[name], rtol=1e-5)


def test_the_guides_script_runs_word_for_word(tmp_path):
    root = Path(__file__).parent.parent
    guide = (root / "experiments" / "guides" / "clusters.md").read_text(encoding="utf-8")
    [script] = re.findall(r"^```python no-run: needs submitit\n(.*?)^```$", guide, re.M | re.S)
    (tmp_path / "parts.py").write_text(script, encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(root)}
    command = [sys.executable, "-W", "ignore", "parts.py", "local"]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    there = joc.Study.load(tmp_path / "runs" / "line" / "whole")
    table = joc.grid(optimizer=["sgd", "adam"], learning_rate=[1e-3, 1e-2], seed=range(2))
    here = joc.sweep("line", table, steps=40, batch_size=5, progress=False)
    assert there.trials["id"].tolist() == here.trials["id"].tolist()
    pd.testing.assert_series_equal(there.trials["valid_loss"], here.trials["valid_loss"], rtol=1e-5)
