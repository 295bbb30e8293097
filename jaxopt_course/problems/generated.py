"""Tables drawn from a stated model, so that the best score that any learner can reach is known.

Each function returns a table of ``n`` rows, independent given the seed, with the model's own answer
to every row, E[target | the other columns].  Nobody predicts better than that answer: what it
misses is noise.  Columns are rounded first and the answer is computed from the rounded values, so
it belongs to the table as it stands (or as a CSV file has it), exactly.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

EXAMPLES = 10_000


@dataclass(frozen=True, eq=False)
class Generated:
    """A table and what its model knows of it.

    Attributes:
        table: a row an example; the target is the last column.
        target: the name of that column.
        ideal: (n,), E[target | the other columns] of each row, float64: the expected value, or the
            probability of class 1.
        noise: σ, the deviation of the target around ``ideal``; None where the target is a class.
    """

    table: pd.DataFrame
    target: str
    ideal: np.ndarray
    noise: float | None = None

    def best(self, rows: Any = slice(None)) -> dict[str, float]:
        """The best scores that can be reached on these rows, in expectation over their targets.

        Args:
            rows: indices of rows, as of a part of a split; default all.

        Returns:
            ``squared_error`` = σ² and ``r2`` = 1 - σ² / (σ² + Var(ideal)); or, for a class, what
            :func:`best_scores` says.
        """
        ideal = self.ideal[rows]
        if self.noise is None:
            return best_scores(ideal)
        floor = self.noise**2
        return {"squared_error": floor, "r2": float(1 - floor / (floor + ideal.var()))}


def best_scores(probabilities: np.ndarray) -> dict[str, float]:
    """What the true probabilities p_i = P(y_i = 1 | x_i) allow at best.

        loss      mean of  -p ln p - (1 - p) ln(1 - p)          (nats)
        accuracy  mean of  max(p, 1 - p)                        (1 - the Bayes error)
        auc       Σ_i Σ_j p_i (1 - p_j) ([p_i > p_j] + ½ [p_i = p_j]) / Σ_i p_i Σ_j (1 - p_j)

    and over all thresholds t of "call positive where p >= t", with TP = Σ_{p_i >= t} p_i expected
    hits among #(p >= t) calls:

        f1                 max 2 TP / (calls + Σ p)
        balanced_accuracy  max ½ (TP / Σ p + 1 - (calls - TP) / Σ (1 - p))
        average_precision  Σ (ΔTP / Σ p) (TP / calls), summed as t falls

    Expected counts stand in the place of counts, which is exact as n grows.  All but the loss need
    only the order of p and one threshold: whoever ranks as p does reaches them.

    Args:
        probabilities: (n,), each in [0, 1].

    >>> round(best_scores(np.array([0.0, 0.5, 1.0]))["accuracy"], 3)
    0.833
    """
    from scipy.special import entr

    p = np.sort(np.asarray(probabilities, np.float64))[::-1]
    last = np.append(p[1:] < p[:-1], True)  # equal p are called together
    hits, calls = np.cumsum(p)[last], np.arange(1, len(p) + 1)[last]
    positives, negatives = p.sum(), (1 - p).sum()
    true, false = (np.append(0.0, x) for x in (hits / positives, (calls - hits) / negatives))
    best = {
        "loss": np.mean(entr(p) + entr(1 - p)),
        "accuracy": np.mean(np.maximum(p, 1 - p)),
        "auc": np.trapezoid(true, false),
        "f1": np.max(2 * hits / (calls + positives)),
        "balanced_accuracy": np.max(1 + true - false) / 2,
        "average_precision": np.sum(np.diff(true) * hits / calls),
    }
    return {name: float(score) for name, score in best.items()}


CATEGORIES = ("books", "clothes", "electronics", "home")
CHANNELS = ("app", "marketplace", "web")


def sales(n: int = EXAMPLES, seed: int = 0) -> Generated:
    """Online sales: a row is a product on a day, the target the logarithm of the units sold.

        y = a_c - e_c ln(price / 20) + s + 1.5 (1 + weekend) discount + 0.5 ln(visits / 100)
            + 0.4 tanh(2 (rating - 3.5)) + 0.3 sin(2π day / 365) + 0.35 ε,      ε ~ N(0, 1)

    c, the category, is uniform over books, clothes, electronics, home, with a = 1.5, 1.2, 0.4, 0.8
    and elasticity e = 0.6, 1.1, 1.6, 0.9; s is 0.2, -0.2, 0 for the channel app (20%), marketplace
    (30%), web (50%).  ln(price / 20) ~ N(0, 0.6²) in euros; discount is 0 for half of the rows and
    else uniform in [0.05, 0.5]; visits ~ 1 + Poisson(Gamma(2, 60)); rating ~ U(2, 5); day is
    uniform in 1 .. 365; weekend has chance 2/7.  Price and elasticity, weekend and discount act
    together, so a linear model cannot do.

    The noise floor: a squared error of 0.35² = 0.1225.
    """
    rng = np.random.default_rng(seed)
    category = rng.integers(0, 4, n)
    channel = rng.choice(3, n, p=[0.2, 0.3, 0.5])
    table = pd.DataFrame(
        {
            "category": np.array(CATEGORIES)[category],
            "channel": np.array(CHANNELS)[channel],
            "price": (20 * np.exp(0.6 * rng.normal(size=n))).round(2),
            "discount": np.where(rng.random(n) < 0.5, 0, rng.uniform(0.05, 0.5, n)).round(2),
            "visits": 1 + rng.poisson(rng.gamma(2, 60, n)),
            "rating": rng.uniform(2, 5, n).round(1),
            "day": rng.integers(1, 366, n),
            "weekend": rng.random(n) < 2 / 7,
        }
    )
    ideal = (
        np.array([1.5, 1.2, 0.4, 0.8])[category]
        - np.array([0.6, 1.1, 1.6, 0.9])[category] * np.log(table["price"] / 20)
        + np.array([0.2, -0.2, 0.0])[channel]
        + 1.5 * (1 + table["weekend"]) * table["discount"]
        + 0.5 * np.log(table["visits"] / 100)
        + 0.4 * np.tanh(2 * (table["rating"] - 3.5))
        + 0.3 * np.sin(2 * np.pi * table["day"] / 365)
    ).to_numpy()
    noise = 0.35
    table["log_units"] = ideal + noise * rng.normal(size=n)
    return Generated(table, "log_units", ideal, noise)


JOBS = ("entrepreneur", "retired", "services", "student", "technician", "unemployed")
MARITAL = ("divorced", "married", "single")
SCHOOLS = ("primary", "secondary", "tertiary")


def bank(n: int = EXAMPLES, seed: int = 0) -> Generated:
    """A bank's campaign: a row is a client, the target whether the product is taken, 0 or 1.

        P(y = 1) = 1 / (1 + e^{-z})
        z = -2.2 + 1.2 ((age - 45) / 15)² - 0.5 ln(1 + calls) + 0.4 ln(1 + balance / 1000)
            + 1.5 earlier - 0.8 housing - 0.6 loan - 0.02 days [earlier] + j + 0.6 [tertiary]
            + 0.5 [single] [age < 40]

    age ~ 18 + 60 Beta(2, 3), whole years; balance = e^{N(7, 1.2²)}, whole euros; calls ~ Geometric
    (1/2) - 1; earlier, whether an earlier campaign succeeded, has chance 0.2, and then days ago ~
    U(1, 60), otherwise -1; housing (0.55) and loan (0.2) are loans; j = -0.2, 0.8, -0.1, 0.9, 0,
    0.3 for the jobs entrepreneur, retired, services, student, technician, unemployed (0.1, 0.1,
    0.3, 0.1, 0.3, 0.1); marital status (0.15, 0.55, 0.3) and education (0.2, 0.5, 0.3) as named.
    One-hot, these are the 20 inputs of the notes' network with ``month`` (1 .. 12), which says
    nothing.  About 27% are positive.
    """
    rng = np.random.default_rng(seed)
    job = rng.choice(6, n, p=[0.1, 0.1, 0.3, 0.1, 0.3, 0.1])
    marital = rng.choice(3, n, p=[0.15, 0.55, 0.3])
    education = rng.choice(3, n, p=[0.2, 0.5, 0.3])
    earlier = rng.random(n) < 0.2
    table = pd.DataFrame(
        {
            "age": (18 + 60 * rng.beta(2, 3, n)).round().astype(int),
            "job": np.array(JOBS)[job],
            "marital": np.array(MARITAL)[marital],
            "education": np.array(SCHOOLS)[education],
            "balance": np.exp(rng.normal(7, 1.2, n)).round().astype(int),
            "housing": rng.random(n) < 0.55,
            "loan": rng.random(n) < 0.2,
            "calls": rng.geometric(0.5, n) - 1,
            "earlier": earlier,
            "days": np.where(earlier, rng.integers(1, 61, n), -1),
            "month": rng.integers(1, 13, n),
        }
    )
    young = (table["age"] < 40).to_numpy()
    z = (
        -2.2
        + 1.2 * ((table["age"] - 45) / 15) ** 2
        - 0.5 * np.log1p(table["calls"])
        + 0.4 * np.log1p(table["balance"] / 1000)
        + earlier * (1.5 - 0.02 * table["days"])
        - 0.8 * table["housing"]
        - 0.6 * table["loan"]
        + np.array([-0.2, 0.8, -0.1, 0.9, 0.0, 0.3])[job]
        + 0.6 * (education == 2)
        + 0.5 * ((marital == 2) & young)
    ).to_numpy()
    ideal = 1 / (1 + np.exp(-z))
    table["taken"] = (rng.random(n) < ideal).astype(int)
    return Generated(table, "taken", ideal)


FEATURES = 8
# A kind of fraud a row: its share, its spread, and where its middle is.
KINDS = (
    (0.5, 1.0, (2.0, -1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0)),
    (0.3, 0.6, (-1.5, 0.0, 0.0, 2.0, -1.0, 0.0, 0.0, 0.0)),
    (0.2, 1.5, (0.0, 0.0, -2.0, -1.0, 0.0, 1.5, 0.0, 0.0)),
)


def fraud(n: int = EXAMPLES, seed: int = 0, positive: float = 0.05) -> Generated:
    """Card payments: the target is 1 for fraud, which is ``positive`` of them.

        x | y = 0 ~ N(0, I),     x | y = 1 ~ Σ_k w_k N(μ_k, s_k² I),     x = (v1, ..., v8)

    of three kinds: w = 0.5, 0.3, 0.2; s = 1, 0.6, 1.5; μ = (2, -1, 1, 0, 0, 0, 0, 0), (-1.5, 0, 0,
    2, -1, 0, 0, 0), (0, 0, -2, -1, 0, 1.5, 0, 0); v7 and v8 tell little.  By Bayes' rule, with π =
    ``positive`` and densities f,

        P(y = 1 | x) = π f_1(x) / (π f_1(x) + (1 - π) f_0(x))

    Args:
        n: rows.
        seed: of the draw.
        positive: π, the chance of a fraud, in (0, 1).
    """
    rng = np.random.default_rng(seed)
    is_fraud = rng.random(n) < positive
    share, spread, middle = (np.array(values) for values in zip(*KINDS, strict=True))
    kind = rng.choice(len(KINDS), n, p=share)
    x = rng.normal(size=(n, FEATURES))
    x[is_fraud] = (middle[kind] + spread[kind][:, None] * x)[is_fraud]
    x = x.round(4)
    distance = ((x[:, None] - middle) ** 2).sum(axis=-1) / spread**2  # (n, kinds)
    ratio = share / spread**FEATURES * np.exp((x**2).sum(axis=-1, keepdims=True) / 2 - distance / 2)
    odds = positive / (1 - positive) * ratio.sum(axis=-1)  # π f_1 / ((1 - π) f_0)
    table = pd.DataFrame(x, columns=[f"v{i + 1}" for i in range(FEATURES)])
    table["fraud"] = is_fraud.astype(int)
    return Generated(table, "fraud", odds / (1 + odds))
