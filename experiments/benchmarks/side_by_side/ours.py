"""The library: one sweep, as a user writes it; afterwards the same compiled program again."""

import jaxopt_course as joc
from experiments.benchmarks.side_by_side.workloads import make_task


def user(case, task):
    """What a user writes."""
    return joc.sweep(task, table(case), "adam", **budget(case), progress=False)


def table(case):
    """A row a trial."""
    trials = joc.grid(learning_rate=case.rates)
    trials["seed"] = case.seeds
    return trials


def budget(case):
    """How long each trains."""
    return {"steps": case.steps, "batch_size": case.workload.batch}


def sweep(case):
    """A sweep; from the second run on the same program again."""
    joc.use_cpu_cores()
    task = make_task(case.name)
    return Run(lambda: user(case, task), lambda: compiled(case, task))


class Run:
    """The first call is a sweep from the start; ``prepare`` compiles for those that follow."""

    def __init__(self, first, prepare):
        self.train, self.compile = first, prepare

    def prepare(self):
        self.train = self.compile()

    def __call__(self):
        return self.train().curves["train_loss"].values


def compiled(case, task, lanes=None):
    """What ``sweep`` does after it has compiled."""
    bucket, session = session_of(case, task, lanes)
    return trainer(bucket.columns.trials, session)


def session_of(case, task, lanes=None, devices=None):
    """The bucket, and its program, compiled for all devices or for these."""
    import jax

    from jaxopt_course.studies.compiled import compile_bucket
    from jaxopt_course.tables.buckets import split

    [bucket] = split(task, table(case), None, "adam", **budget(case)).buckets
    devices = devices or jax.local_devices()
    return bucket, compile_bucket(bucket, ("valid_loss", "min"), lanes, devices)


def trainer(trials, session):
    """Trains these rows of the bucket's table."""
    from jaxopt_course.studies.compiled import train_bucket

    return lambda: train_bucket(session, trials, "sweep", False)
