"""From which weights trials start, where it is not their task that makes them."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd

from jaxopt_course.records.files import where
from jaxopt_course.records.format import join_sha256
from jaxopt_course.studies.compiled import Compiled
from jaxopt_course.studies.first_states import shapes_of, state_from
from jaxopt_course.studies.given_weights import Fitted, fit_weights
from jaxopt_course.studies.states import of_trial
from jaxopt_course.tables.buckets import Bucket, Table
from jaxopt_course.tables.cells import content_id


@dataclass(frozen=True, eq=False)
class Starts:
    """Weights by trial; the same for all, or of each row.

    Attributes:
        given: as it was given to ``sweep``.
        sources: what each SHA-256 was made of: weights, or a function and its row.
        by_id: the SHA-256 of the weights of each trial.
        by_configuration: those of all seeds of a configuration.
    """

    given: Any
    sources: dict[str, Any] = field(default_factory=dict)
    by_id: dict[str, str] = field(default_factory=dict)
    by_configuration: dict[str, set[str]] = field(default_factory=dict)

    @property
    def manifest(self) -> dict[str, Any]:
        """Whose weights, for JSON: a hash for all, or one of all hashes; a path if it was one."""
        hashes = sorted(self.sources)
        whole = hashes[0] if len(hashes) == 1 else join_sha256(hashes)
        said = {"sha256": whole, "different": len(hashes)}
        return said | (
            {"path": str(where(self.given))} if isinstance(self.given, str | Path) else {}
        )

    def identified(self, table: Table) -> Table:
        """The table, its ids telling from which weights each trial starts.

        Raises:
            TypeError, ValueError, FileNotFoundError: see ``fit_weights``; or rows of which nobody
                says what they start from; or rows that differ in nothing else.
        """
        whole = table.trials.copy()
        hashes = pd.Series("", whole.index)
        for bucket in table.buckets:
            for row, digest in self._hashes(bucket, whole, table.hyperparameters):
                hashes.iloc[row] = digest
        plain = _plain_ids(whole, table.hyperparameters)
        both = pd.DataFrame({"plain": plain, "hash": hashes})
        several = both.groupby("plain")["hash"].nunique() > 1
        if several.any():
            rows = np.flatnonzero(plain == several.idxmax())[:2].tolist()
            raise ValueError(
                f"rows {rows[0]} and {rows[1]} say the same and start from different weights; they "
                "would count as one configuration: sweep them as two studies"
            )
        whole["id"] = self._ids(plain, hashes, whole, table.hyperparameters)
        made = []
        for bucket in table.buckets:
            ids = whole["id"].iloc[bucket.rows].to_numpy()
            own = bucket.columns.trials.assign(id=pd.array(ids, dtype="string"))
            made.append(replace(bucket, columns=replace(bucket.columns, trials=own)))
        return replace(table, trials=whole, buckets=tuple(made))

    def fresh(self, trials: pd.DataFrame, hyperparameters: Sequence[str]) -> pd.DataFrame:
        """Trials of known configurations with other seeds, which start as those did.

        Raises:
            ValueError: the seeds of a configuration started from different weights.
        """
        hashes = []
        for name in _configurations(trials, hyperparameters):
            known = self.by_configuration.get(name, set())
            if len(known) != 1:
                raise ValueError(
                    "the seeds of a configuration started from different weights (start=), so it "
                    "is not known from which a fresh seed would"
                )
            hashes.append(next(iter(known)))
        plain = _plain_ids(trials, hyperparameters)
        ids = self._ids(plain, pd.Series(hashes, trials.index), trials, hyperparameters)
        return trials.assign(id=ids)

    def _ids(
        self, plain: pd.Series, hashes: pd.Series, trials: pd.DataFrame, names: Sequence[str]
    ) -> pd.Series:
        ids = []
        of = _configurations(trials, names)
        for name, digest, configuration in zip(plain, hashes, of, strict=True):
            own = hashlib.sha256(f"{name} {digest}".encode()).hexdigest()[:16]
            self.by_id[own] = digest
            self.by_configuration.setdefault(configuration, set()).add(digest)
            ids.append(own)
        return pd.Series(ids, trials.index, dtype="string")

    def states(self, compiled: Compiled, trials: pd.DataFrame) -> Callable[[int], Any]:
        """The first state of a row of these trials, which have the columns of a bucket."""
        like = of_trial(shapes_of(compiled.bucket))
        last: dict[str, Fitted] = {}
        ids = trials["id"].tolist()
        make = state_from(compiled, trials)

        def state(row: int) -> Any:
            digest = self.by_id[ids[row]]
            if digest not in last:
                last.clear()  # rows of one start mostly follow each other
                last[digest] = self._fitted(self.sources[digest], like)
                if last[digest].sha256 != digest:
                    raise ValueError("start= gives other weights now than before the sweep began")
            return make(row, last[digest].params, last[digest].model_state)

        return state

    def _hashes(
        self, bucket: Bucket, trials: pd.DataFrame, names: Sequence[str]
    ) -> Iterator[tuple[int, str]]:
        """Positions of a bucket's rows in the table, and the hash of what each starts from."""
        like = of_trial(shapes_of(bucket))
        known: dict[int, str] = {}
        for row in bucket.rows.tolist():
            source = self._source(trials.iloc[row], len(trials), names, like)
            if isinstance(source, _Called) or id(source) not in known:
                digest = self._fitted(source, like).sha256
                self.sources.setdefault(digest, source)
                known[id(source)] = digest
            yield row, known[id(source)]

    def _source(self, row: pd.Series, rows: int, names: Sequence[str], like: Any) -> Any:
        """What a row starts from, as it was given."""
        given, number = self.given, int(row["trial"])
        match self._kind(rows, like):
            case "function":
                cells = {name: None if pd.isna(row[name]) else row[name] for name in names}
                return _Called(given, cells | {"seed": int(row["seed"]), "trial": number})
            case "by row":
                if isinstance(given, Mapping) and number not in given:
                    raise ValueError(f"start= says nothing of row {number}")
                if not isinstance(given, Mapping) and number >= len(given):
                    raise ValueError(
                        f"start= has {len(given)} entries, and there is a row {number}"
                    )
                return given[number]
        return given

    def _kind(self, rows: int, like: Any) -> str:
        given = self.given
        if isinstance(given, str | Path):
            return "all"
        if callable(given) and not _has_arrays(given):
            return "function"
        whole = lambda key: isinstance(key, int | np.integer) and not isinstance(key, bool)
        numbered = isinstance(given, Mapping) and given and all(map(whole, given))
        listed = isinstance(given, list | tuple) and len(given) == rows
        if numbered or listed:
            try:
                self._fitted(given, like)
            except (TypeError, ValueError):
                return "by row"
        return "all"

    @staticmethod
    def _fitted(source: Any, like: Any) -> Fitted:
        given = source.weights() if isinstance(source, _Called) else source
        return fit_weights(given, like.params, like.model_state)


@dataclass(frozen=True, eq=False)
class _Called:
    """A function of the row, and the row."""

    function: Callable[[Mapping[str, Any]], Any]
    row: Mapping[str, Any]

    def weights(self) -> Any:
        return self.function(self.row)


def _has_arrays(given: Any) -> bool:
    """Whether it is a module with weights, which can be called too."""
    from flax import nnx

    return isinstance(given, nnx.Module) or any(
        hasattr(leaf, "dtype") for leaf in jax.tree.leaves(given)
    )


def _plain_ids(trials: pd.DataFrame, hyperparameters: Sequence[str]) -> pd.Series:
    """Content ids that say nothing of weights."""
    return pd.Series(_contents(trials, hyperparameters, trials["seed"].tolist()), trials.index)


def _configurations(trials: pd.DataFrame, hyperparameters: Sequence[str]) -> list[str]:
    return _contents(trials, hyperparameters, [0] * len(trials))


def _contents(trials: pd.DataFrame, names: Sequence[str], seeds: Sequence[Any]) -> list[str]:
    rows = trials[[*names]].itertuples(index=False, name=None)
    return [
        content_id(dict(zip(names, row, strict=True)), int(seed))
        for row, seed in zip(rows, seeds, strict=True)
    ]
