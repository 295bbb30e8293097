"""Make the golden files: ``pip install '.[course,parity]'; cd tests; python -m golden.make``.

``python -m golden.make --missing`` runs only the cells and states that the files lack: those of a
new recipe.
"""

import contextlib
import json
import sys
from pathlib import Path

import numpy as np
from golden import frameworks, images, rates
from golden.cells import CELLS, LOOPS, RATES

FOLDER = Path(__file__).parent


def trajectories(known, known_rates):
    """Parameters after each step: cells x rates x loops x steps x coordinates.

    Args:
        known: dtype -> name of a cell -> what is there.
        known_rates: η_0 of these.
    """
    paths, rates = {}, {}
    for dtype in ("float64", "float32"):
        cells = []
        for cell in CELLS:
            rates[cell.name] = known_rates.get(cell.name)
            if cell.name not in known[dtype]:
                runs = [
                    [frameworks.run(cell, rate, loop, dtype) for loop in LOOPS] for rate in RATES
                ]
                rates[cell.name] = runs[0][0][1]
                known[dtype][cell.name] = np.array([[path for path, _ in row] for row in runs])
            cells.append(known[dtype][cell.name])
        paths[dtype] = np.array(cells)
    return paths, rates


def there():
    """What the files have: trajectories by dtype and name, rates, and states."""
    rates = json.loads((FOLDER / "trajectories.json").read_text())["rates"]
    saved = np.load(FOLDER / "trajectories.npz", allow_pickle=False)
    known = {dtype: dict(zip(rates, saved[dtype], strict=True)) for dtype in saved.files}
    return known, rates, json.loads((FOLDER / "ports.json").read_text())


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

    missing = sys.argv[1:] == ["--missing"]
    known, known_rates, states = there() if missing else ({"float64": {}, "float32": {}}, {}, {})
    paths, first = trajectories(known, known_rates)
    np.savez_compressed(FOLDER / "trajectories.npz", **paths)
    about = {
        "torch": torch.__version__,
        "keras": keras.__version__,
        "python": sys.version.split()[0],
        "numpy": np.__version__,
        "rates": first,
    }
    (FOLDER / "trajectories.json").write_text(json.dumps(about, indent=1) + "\n")
    (FOLDER / "ports.json").write_text(json.dumps(frameworks.ports(states)) + "\n")
    (FOLDER / "schedules.json").write_text(json.dumps(rates.run()) + "\n")
    if missing:
        sys.exit()
    (FOLDER / "snippets.json").write_text(json.dumps(snippets()) + "\n")
    networks = {name: images.run(name) for name in images.NAMES}
    (FOLDER / "images.json").write_text(json.dumps(networks) + "\n")
