"""Make the golden files again: ``pip install '.[parity]'; cd tests; python -m golden.make``."""

import json
import sys
from pathlib import Path

import numpy as np
from golden import frameworks
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
