"""A prepared study: its buckets, their compiled programs, and what trains tables with them.

A study is a list of buckets; one without static columns has one.  A bucket is compiled when
somebody first needs it, so that a study read from disk makes only the programs that it trains with.
"""

import dataclasses
import functools
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from jaxopt_course.messages import printable
from jaxopt_course.records import checkpoints
from jaxopt_course.records.format import join_sha256, table_sha256
from jaxopt_course.studies import joining
from jaxopt_course.studies.carried import Carried, note_of, packed, pruned
from jaxopt_course.studies.compiled import Compiled, Trained, compile_bucket, train_bucket
from jaxopt_course.studies.machine_code import to_send
from jaxopt_course.studies.made_with import (
    agreed,
    common_name,
    describe_lengths,
    describe_scheduler,
    describe_task,
    made_on,
)
from jaxopt_course.studies.many import warn_of_many
from jaxopt_course.studies.meshes import facts_of, refuse_in_force
from jaxopt_course.studies.seen import Seen
from jaxopt_course.studies.snapshots import keep, newest, saver
from jaxopt_course.sweeps.messages import Workers
from jaxopt_course.sweeps.progress import ProgressLine
from jaxopt_course.sweeps.schedulers import Scheduler
from jaxopt_course.sweeps.snapshot import Snapshot
from jaxopt_course.tables.buckets import MANY, Bucket, Table
from jaxopt_course.tables.lengthen import lengthen
from jaxopt_course.tables.signatures import Optimizer
from jaxopt_course.tables.static import AnyTask

if TYPE_CHECKING:
    import xarray as xr

OWN = ("task", "budget", "hyperparameters", "searched", "optimizers", "lanes", "program_sha256")


class Outcome(NamedTuple):
    """What a training of a table left."""

    trials: pd.DataFrame
    curves: "xr.Dataset"
    manifest: dict[str, Any]
    event: dict[str, Any]
    interrupted: bool
    states: dict[int, Any]  # of the trials that finished, where they were asked for
    kept: Mapping[int, bytes] = {}  # by trial, last states of the best, as files hold them
    evaluated: Mapping[int, Any] = {}  # as states: other weights for evaluation, if any


@dataclasses.dataclass(frozen=True)
class Session:
    """The buckets of a study, and the programs that are compiled so far.

    Attributes:
        task: as it was given.
        optimizer: as it was given.
        table: checked and complete, with its buckets.
        chosen: the metric that chooses the winners, and its direction.
        devices: on which programs are compiled.
        lanes: W of each bucket; None for the default.
        plans: what chose the width of each, as the manifest has it; None where nothing did.
        lengths: what the budgets were asked as; None where that is not known.
        equal: what the budgets have in common.
        expected: of a study on disk, the entry of each bucket in its manifest; else none.
        exact: whether a program must be the one expected; false under other versions.
        examples: rows that shape the programs beside the trials', as a search's choices do.
        programs: by number of the bucket, as far as they are compiled.
        carried: first weights, kept ones, states that go on.
        seen: what is recorded, who hears of it, how long.
        cluster: whose devices train; None for ``devices``.
        workers: these devices, while it is connected.
    """

    task: AnyTask
    optimizer: Optimizer
    table: Table
    chosen: tuple[str, str]
    devices: tuple[Any, ...]
    lanes: tuple[int | None, ...]
    plans: tuple[Mapping[str, Any] | None, ...]
    lengths: Mapping[str, Any] | None
    equal: Any = None
    expected: tuple[Mapping[str, Any], ...] = ()
    exact: bool = True
    examples: pd.DataFrame | None = None
    programs: dict[int, Compiled] = dataclasses.field(default_factory=dict)
    carried: Carried = dataclasses.field(default_factory=Carried)
    seen: Seen = dataclasses.field(default_factory=Seen)
    cluster: Any = None
    workers: Workers | None = None

    def compile(
        self, numbers: Sequence[int] | None = None, progress: bool = False, trials: str = ""
    ) -> None:
        """Compile these buckets, those that are not yet; default all.

        Args:
            numbers: of the buckets.
            progress: whether to show a line.
            trials: how many there are, in words; default those of the table.

        Raises:
            TypeError, ValueError: as ``compile_bucket``; the error says of which bucket.
            ValueError: a program is not the one of the study on disk.
        """
        count = len(self.table.buckets)
        wanted = range(count) if numbers is None else numbers
        refuse_in_force()
        if not (missing := [number for number in wanted if number not in self.programs]):
            return
        name = printable(self.table.buckets[0].task.name)
        with ProgressLine(name, show=progress) as line:
            for number in missing:
                self.seen.check_time(begun=number != missing[0])
                bucket = self.table.buckets[number]
                if count == 1:
                    what = trials or f"{len(self.table.trials)} trials"
                    line.note(f"{what}, compiling for {len(self.devices)} device(s)")
                else:
                    line.note(f"compiling {number + 1} of {count}, {bucket.label}")
                start = time.perf_counter()
                self.programs[number] = self._compile(number, bucket)
                if len(missing) > MANY and number == missing[0]:
                    warn_of_many(self.table, time.perf_counter() - start, MANY)
                if number == missing[-1] or callable(bucket.columns.functions):
                    self.table.check_read()

    def _compile(self, number: int, bucket: Bucket) -> Compiled:
        try:
            width, score = self.lanes[number], self.carried.score
            given = bucket, self.chosen, width, self.devices, self.seen, score
            if self.cluster is None:
                made = compile_bucket(*given)
            else:
                made, code = to_send(functools.partial(compile_bucket, *given))
                made = dataclasses.replace(made, code=code)
        except Exception as error:
            if bucket.static:
                error.add_note(f"in the program of {bucket.label}")
            raise
        was = self.expected[number] if number < len(self.expected) and self.exact else {}
        if was.get("program_sha256", "") not in ("", made.program_sha256):
            raise ValueError(
                "the program is not the one of the study, so its trials would not be the same: the "
                "code of the task or of the optimizer has changed, or a setting of JAX's (as "
                "jax_default_prng_impl); sweep the table anew into another directory"
            )
        return made

    def train(
        self,
        trials: pd.DataFrame,
        kind: str,
        progress: bool,
        *,
        scheduler: Scheduler | None = None,
        keep_states: bool = False,
        best: int = 0,
        begin: Mapping[int, Snapshot] | None = None,
        until: np.ndarray | None = None,
        directory: Path | None = None,
        probe: bool = False,
    ) -> Outcome:
        """Train the rows of ``trials``, bucket by bucket.

        Args:
            trials: complete, as ``table.trials``.
            kind: "sweep", "confirmation" or "replay".
            progress: whether to show lines.
            scheduler: compares configurations within each bucket.
            keep_states: whether the outcome holds the trials' last states.
            best: of how many configurations, the best ones, it holds them as files do.
            begin: where each bucket begins, by number; default where its checkpoint is.
            until: (N,), intervals that each row trains; more than a bucket has are all it has.
            directory: where each bucket has its checkpoint; one that is there goes on.
            probe: whether to see if a call, made again, gives the same bits.
        """
        entries = [self.static(number) for number in range(len(self.table.buckets))]
        shares = {
            number: share
            for number, entry in enumerate(entries)
            if len(share := joining.own_rows(trials, entry))
        }
        place = pd.Series(np.arange(len(trials)), trials["trial"].to_numpy())
        folders = {
            number: None if directory is None else checkpoints.folder_of(directory, number)
            for number in shares
        }
        left = {n: None if one is None else checkpoints.kept(one) for n, one in folders.items()}
        self.compile([number for number in shares if left[number] is None], progress)
        seen, cut = self.seen if kind == "sweep" else self.seen.silent(), False
        done: list[Trained] = []
        states, evaluated, kept = dict[int, Any](), dict[int, Any](), dict[int, bytes]()
        for number, share in shares.items():
            if cut := bool(done) and (done[-1].ends or seen.is_late):
                break
            if (earlier := left[number]) is not None:
                done.append(Trained(earlier.trials, earlier.curves, earlier.event, earlier=True))
                kept |= earlier.kept
                continue
            compiled, folder = self.programs[number], folders[number]
            rows = place[share["trial"]].to_numpy()
            most = compiled.program.rhythm.intervals
            question = "" if folder is None else checkpoints.question_of(folder)
            note = ""
            if len(entries) > 1 and kind == "sweep":
                note = f"bucket {number + 1} of {len(entries)}, {compiled.bucket.label}"
            note = note_of(
                note, best if kind == "sweep" else 0, compiled, share, self.table.replicates
            )
            resume = (folder and newest(folder, len(share))) or (begin or {}).get(number)
            self.carried.check(resume is not None)
            share = share[compiled.bucket.columns.trials.columns]
            part = train_bucket(
                compiled,
                share,
                kind,
                progress,
                note=note,
                scheduler=scheduler,
                resume=resume,
                on_checkpoint=None if folder is None else saver(folder, question),
                keep_states=keep_states,
                keep=best,
                start=self.carried.start(compiled, share),
                until=None if until is None else np.minimum(until[rows], most),
                probe=probe,
                replicates=self.table.replicates,
                seen=seen,
                workers=self.workers,
            )
            states |= joining.by_place(rows, part.states)
            evaluated |= joining.by_place(rows, part.evaluated)
            done.append(part)
            kept |= packed(share, part)
            kept = pruned(kept, trials, done, self.table, self.chosen, best)
            if part.interrupted:
                break
            if folder is not None and number != max(shares):  # the last one's go to the study
                keep(folder, part, question, packed(share, part))
        whole = joining.join_trials(trials, done)
        curves = joining.join_curves(
            trials, done, [b.budget.describe() for b in self.table.buckets]
        )
        manifest = self.manifest(whole, kind, scheduler) | joining.join_found(done)
        interrupted = cut or any(part.interrupted for part in done)
        event = joining.join_events(done)
        return Outcome(whole, curves, manifest, event, interrupted, states, kept, evaluated)

    def lengthened(self, known: pd.DataFrame, trials: pd.DataFrame) -> "Session":
        """The session for a longer table: of ``known`` rows and more; its programs stay.

        Raises:
            TypeError, ValueError: the new trials make no sense here; see ``lengthen``.
        """
        own = None if isinstance(self.optimizer, str) else self.optimizer
        if self.examples is not None:  # they shape the program, and come last
            trials = pd.concat([trials, self.examples], ignore_index=True)
        table = lengthen(self.table, known, trials, self.task, own, self.equal, self.lengths)
        more = len(table.buckets) - len(self.table.buckets)
        same = set(self.lanes)
        width = same.pop() if len(same) == 1 else None
        return dataclasses.replace(
            self,
            table=table,
            lanes=(*self.lanes, *[width] * more),
            plans=(*self.plans, *[None] * more),
            programs=dict(self.programs),  # of its own: numbers may come to mean other buckets
        )

    def static(self, number: int) -> dict[str, Any]:
        """What tells a bucket's trials from the others', and the dtypes of its own table."""
        bucket = self.table.buckets[number]
        names = list(bucket.columns.hyperparameters)
        dtypes = {name: str(dtype) for name, dtype in bucket.columns.trials[names].dtypes.items()}
        return {"static": bucket.static, "bucket_dtypes": dtypes}

    def _entry(self, number: int, trials: pd.DataFrame) -> dict[str, Any]:
        """A bucket's entry in the manifest, for its share of these trials."""
        bucket, task = self.table.buckets[number], self.table.buckets[number].task
        columns, compiled = bucket.columns, self.programs.get(number)
        static = self.static(number)
        own = joining.own_rows(trials, static)
        made: Mapping[str, Any] = {"lanes": self.lanes[number] or 0, "program_sha256": ""}
        if compiled is not None:
            made = {"lanes": compiled.program.lanes, "program_sha256": compiled.program_sha256}
        elif number < len(self.expected):
            made = self.expected[number]
        return static | {
            "task": describe_task(task),
            "budget": bucket.budget.describe(),
            "hyperparameters": list(columns.hyperparameters),
            "searched": list(columns.searched),
            "optimizers": list(columns.optimizers),
            "lanes": made["lanes"],
            "program_sha256": made["program_sha256"],
            "plan": self.plans[number],
            **joining.examples_of(self.examples, static),
            "trials": len(own),
            "trials_sha256": table_sha256(own, columns.hyperparameters),
        }

    def manifest(
        self, trials: pd.DataFrame, kind: str, scheduler: Scheduler | None = None
    ) -> dict[str, Any]:
        """What is asked and with what, for JSON: what all buckets agree in, and an entry each."""
        table = self.table
        entries = [self._entry(number, trials) for number in range(len(table.buckets))]
        names = list(dict.fromkeys(entry["task"]["name"] for entry in entries))
        lanes = [entry["lanes"] for entry in entries]
        return {
            "kind": kind,
            "task": agreed([entry["task"] for entry in entries])
            | {"name": names[0] if len(names) == 1 else common_name(names)},
            "budget": agreed([entry["budget"] for entry in entries]),
            "asked": describe_lengths(self.lengths, self.equal),
            "hyperparameters": list(table.hyperparameters),
            "searched": list(table.searched),
            "static": list(table.static),
            "metric": self.chosen[0],
            "direction": self.chosen[1],
            "optimizers": list(dict.fromkeys(n for one in entries for n in one["optimizers"])),
            "scheduler": describe_scheduler(scheduler),
            "lanes": lanes[0] if len(set(lanes)) == 1 else lanes,
            "seeds": sorted({int(seed) for seed in trials["seed"]}),
            "trials": len(trials),
            **made_on(self.devices[0]),
            "buckets": entries,
            **({"measured_with": read} if (read := table.measured_with) else {}),
            "program_sha256": join_sha256([entry["program_sha256"] for entry in entries]),
            "trials_sha256": table_sha256(trials, table.hyperparameters),
            **({"replicates": list(table.replicates)} if table.replicates else {}),
            **self.carried.manifest(kind),
            **self.seen.manifest,
            **facts_of(self.devices, table),
        }
