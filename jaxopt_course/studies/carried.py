"""What a training is given and what stays of it: first weights, kept ones, states that go on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from jaxopt_course.studies.compiled import Compiled, Trained
from jaxopt_course.studies.joining import join_trials
from jaxopt_course.studies.keeping import (
    best_trials,
    bytes_beforehand,
    check_room,
    said_beforehand,
)
from jaxopt_course.studies.starts import Starts
from jaxopt_course.studies.states import pack
from jaxopt_course.tables.buckets import Table
from jaxopt_course.tables.replicates import making


@dataclass(frozen=True)
class Carried:
    """See the module; nothing by default.

    Attributes:
        keep: of how many configurations weights stay.
        starts: from which weights trials start; None for the task's own.
        continues: what the manifest says of the study whose trials go on here; None where they
            begin here.
        score: which evaluation counts, the "last" or the "best".
        part: of a part of a table, which one, and its rows in the whole.
    """

    keep: int = 0
    starts: Starts | None = None
    continues: Mapping[str, Any] | None = None
    score: str = "last"
    part: Mapping[str, Any] | None = None

    def manifest(self, kind: str) -> dict[str, Any]:
        """What of it makes the study, for JSON; nothing where nothing was asked."""
        said: dict[str, Any] = {"keep": self.keep} if self.keep and kind == "sweep" else {}
        if self.starts is not None:
            said["start"] = self.starts.manifest
        if self.score != "last":
            said["score"] = self.score
        if self.part is not None and kind == "sweep":
            said["part"] = dict(self.part)
        return said | ({} if self.continues is None else {"continues": dict(self.continues)})

    def start(self, compiled: Compiled, trials: pd.DataFrame) -> Callable[[int], Any] | None:
        """The first state of a row of these trials; None where the task makes it."""
        return None if self.starts is None else self.starts.states(compiled, trials)

    def fresh(self, trials: pd.DataFrame, hyperparameters: Sequence[str]) -> pd.DataFrame:
        """Trials of known configurations with other seeds; see :meth:`Starts.fresh`."""
        return trials if self.starts is None else self.starts.fresh(trials, hyperparameters)

    def check_room(
        self, directory: Path, programs: Mapping[int, Compiled], replicates: Sequence[str]
    ) -> None:
        """Refuse to begin what the disk cannot hold in the end; see ``keeping.check_room``."""
        if self.keep:
            most = max(
                bytes_beforehand(
                    self.keep,
                    compiled.state_bytes,
                    compiled.bucket.columns.trials,
                    making(compiled.bucket.columns.hyperparameters, replicates),
                )
                for compiled in programs.values()
            )
            check_room(directory, most)

    def check(self, resumed: bool) -> None:
        """Refuse to begin anew what goes on from elsewhere.

        Raises:
            ValueError: the states with which the trials went on are gone.
        """
        if self.continues is not None and not resumed and self.continues["stretched"]:
            raise ValueError(
                "the trials of this study went on from another one, with schedules stretched "
                f"({', '.join(self.continues['stretched'])}), and cannot be trained from their "
                "first step: call train_on of that study, or sweep these rows anew"
            )


def packed(share: pd.DataFrame, part: Trained) -> dict[int, bytes]:
    """The states that a bucket kept, by trial."""
    numbers = share["trial"].tolist()
    return {int(numbers[row]): pack(x, part.evaluated.get(row)) for row, x in part.kept.items()}


def pruned(
    kept: Mapping[int, bytes],
    trials: pd.DataFrame,
    parts: Sequence[Trained],
    table: Table,
    chosen: tuple[str, str],
    keep: int,
) -> dict[int, bytes]:
    """What is among the best of all buckets so far."""
    if len(parts) == 1:
        return dict(kept)
    whole = join_trials(trials, parts)
    best = set(best_trials(whole, table.hyperparameters, chosen, keep, table.replicates))
    return {trial: content for trial, content in kept.items() if trial in best}


def note_of(
    note: str, keep: int, compiled: Compiled, trials: pd.DataFrame, replicates: Sequence[str]
) -> str:
    """The note, and what keeping will take; the note alone where nothing is kept."""
    if not keep:
        return note
    names = making(compiled.bucket.columns.hyperparameters, replicates)
    said = said_beforehand(keep, compiled.state_bytes, trials, names)
    return f"{note}; {said}" if note else said
