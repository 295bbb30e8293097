"""What rliable says of made-up scores, for tests/test_report_task_statistics.py.

Run it in an environment of its own, and its output is tests/data/rliable.json:

    pip install --no-deps rliable==1.2.0
    pip install numpy scipy absl-py
    python tests/data/rliable_numbers.py > tests/data/rliable.json

Only ``rliable.metrics`` is needed: ``rliable.library`` does not import with pandas 3.
"""

import json

import numpy as np
from rliable import metrics


def scores() -> dict[str, np.ndarray]:
    """(runs, tasks) an algorithm, to two decimals so that some are equal."""
    random = np.random.default_rng(15)
    return {name: np.round(random.beta(2 + i, 2, (6, 5)) * 1.2, 2) for i, name in enumerate("abc")}


def main() -> None:
    made = scores()
    made["c"][:, 0] = made["a"][:, 0]
    found = {
        name: {
            "scores": x.tolist(),
            "iqm": float(metrics.aggregate_iqm(x)),
            "optimality_gap": float(metrics.aggregate_optimality_gap(x)),
            "optimality_gap_0.8": float(metrics.aggregate_optimality_gap(x, 0.8)),
            "improvement": {
                other: float(metrics.probability_of_improvement(x, y))
                for other, y in made.items()
                if other != name
            },
        }
        for name, x in made.items()
    }
    print(json.dumps({"rliable": "1.2.0", "algorithms": found}))


if __name__ == "__main__":
    main()
