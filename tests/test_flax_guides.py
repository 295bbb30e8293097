"""The guides of experiments/guides run, and what they assert holds."""

import runpy
from pathlib import Path

import pytest
from long_form import only

GUIDES = sorted((Path(__file__).parent.parent / "experiments" / "guides").glob("*.py"))


def test_the_guides_are_there():
    names = [guide.stem for guide in GUIDES]
    assert names == ["batchnorm_dropout_lanes", "nnx_optimizer", "train_state"]


QUICK = [guide for guide in GUIDES if guide.stem == "train_state"]


@pytest.mark.parametrize("guide", only(QUICK, GUIDES), ids=lambda guide: guide.stem)
def test_guide(guide, capsys):
    runpy.run_path(str(guide), run_name="__main__")
    printed = capsys.readouterr().out
    said = {
        "batchnorm_dropout_lanes": "each lane is the run alone",
        "nnx_optimizer": "learning rate of update 30: 0.00750",
        "train_state": "the same parameters as with optax.partition",
    }
    assert said[guide.stem] in printed
