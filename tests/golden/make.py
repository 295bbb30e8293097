"""Make the golden files: ``pip install '.[course,parity]'; cd tests; python -m golden.make``."""

import contextlib
import json
import sys
from pathlib import Path

import numpy as np
from golden import frameworks, images
from golden.cells import CELLS, LOOPS, RATES

FOLDER = Path(__file__).parent


def trajectories():
    """Parameters after each step: cells x rates x loops x steps x coordinates."""
    shape = (len(CELLS), len(RATES), len(LOOPS))
    paths, rates = {}, {}
    for dtype in ("float64", "float32"):
        runs = []
        for cell in CELLS:
            for rate in RATES:
                for loop in LOOPS:
                    path, rates[cell.name] = frameworks.run(cell, rate, loop, dtype)
                    runs.append(path)
        paths[dtype] = np.reshape(runs, (*shape, *runs[0].shape))
    return paths, rates


def snippets():
    """What the notes' snippets give, from the cells of lesson 11 that run them."""
    paths, losses = live("11_1_las_mismas_reglas"), live("11_2_las_mismas_redes")
    # the other paths are runs of trajectories.npz
    return {"paths": {k: v for k, v in paths.items() if ":" in k}, "losses": losses}


def live(lesson):
    space = {}
    source = (FOLDER.parents[1] / "experiments" / f"{lesson}.py").read_text(encoding="utf-8")
    for cell in source.split("# %%\n"):
        with contextlib.suppress(KeyError, AssertionError):  # of what compares with the file
            exec(cell, space)
    return {name: np.asarray(x).tolist() for name, x in space["live"].items()}


if __name__ == "__main__":
    import keras
    import torch

    paths, rates = trajectories()
    np.savez_compressed(FOLDER / "trajectories.npz", **paths)
    about = {
        "torch": torch.__version__,
        "keras": keras.__version__,
        "python": sys.version.split()[0],
        "numpy": np.__version__,
        "rates": rates,
    }
    (FOLDER / "trajectories.json").write_text(json.dumps(about, indent=1) + "\n")
    (FOLDER / "ports.json").write_text(json.dumps(frameworks.ports()) + "\n")
    (FOLDER / "snippets.json").write_text(json.dumps(snippets()) + "\n")
    networks = {name: images.run(name) for name in images.NAMES}
    (FOLDER / "images.json").write_text(json.dumps(networks) + "\n")
