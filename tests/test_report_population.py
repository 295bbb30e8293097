"""A population's winner is told with the numbers that it had, not with those it began with."""

import numpy as np
import pytest
from report_studies import trial, write

import jaxopt_course as joc
from jaxopt_course.report import findings, first, following, population, verdict

RATES = [0.001, 0.01, 0.1]
LINEAGE = [
    {"trial": 2, "from_step": 10, "parent": 0, "numbers": {"learning_rate": 0.0012}},
    {"trial": 0, "from_step": 20, "parent": 1, "numbers": {"learning_rate": 0.008}},
    {"trial": 2, "from_step": 30, "parent": 0, "numbers": {"learning_rate": 0.0096}},
]


def study(path, **manifest):
    """Three members, the last of which has the best score and took over from others twice."""
    rows = [
        trial("sgd", rate, 0, score) for rate, score in zip(RATES, (0.7, 0.8, 0.9), strict=True)
    ]
    return findings.read(write(path, rows, command="", **manifest))


def test_the_past_of_the_winner_is_that_of_its_ancestors(tmp_path):
    found = study(tmp_path, lineage=LINEAGE)
    # 2 from 0 at 30, which had taken over 1 at 20: from the beginning the numbers of 1
    assert population.schedule(found) == [
        (0, {"learning_rate": 0.01}), (20, {"learning_rate": 0.008}),
        (30, {"learning_rate": 0.0096}),
    ]  # fmt: skip
    said = verdict.headline(found)
    assert said.startswith("sgd with numbers that changed on the way")
    assert "0.1" not in said and verdict.POPULATION in verdict.remarks(found)
    page = first.screen(found)
    assert "step 20: learning_rate=0.008" in page and "optax" not in page and "widen" not in page
    assert following.again(found) is None


@pytest.mark.long
def test_who_kept_his_numbers_is_told_as_ever(tmp_path):
    found = study(tmp_path / "a", lineage=[LINEAGE[1]])
    assert population.schedule(found) == []
    assert verdict.headline(found).startswith("sgd with learning_rate=0.1")
    assert verdict.POPULATION in verdict.remarks(found) and "optax" in first.screen(found)
    for odd in (None, [], 7, "x", [7], [{"trial": 2}], [LINEAGE[2] | {"numbers": 3}]):
        found = study(tmp_path / "b", lineage=odd)
        assert population.schedule(found) == []
        assert verdict.POPULATION not in verdict.remarks(found)
    found = study(tmp_path / "c", lineage=[LINEAGE[2] | {"parent": 2}])  # of nobody else
    assert population.schedule(found)[0] == (0, {"learning_rate": 0.1})


def test_it_is_the_lineage_of_the_study(tmp_path):
    table = joc.grid(optimizer="sgd", learning_rate=np.geomspace(1e-4, 0.1, 6), seed=[1])
    whole = joc.sweep(
        "line", table, steps=40, batch_size=5, evaluate_every=5, lanes=4,
        scheduler=joc.PBT(every=5, columns=["learning_rate"]), directory=tmp_path / "s",
    )  # fmt: skip
    pieces = population.schedule(findings.read(tmp_path / "s"))
    best = whole.trials["valid_loss"].idxmin()
    mine = whole.lineage[whole.lineage["trial"] == best]
    assert pieces[-1][0] == mine["from_step"].max()
    assert pieces[-1][1]["learning_rate"] == pytest.approx(mine["learning_rate"].iloc[-1])
    rates = whole.confirm(2).lineage["learning_rate"]
    assert rates.nunique() > 1
    assert {f"{x['learning_rate']:.6g}" for _, x in pieces} <= {f"{x:.6g}" for x in rates}
