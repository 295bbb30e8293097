"""Where does the time of a sweep go?

Question  Of a trial-step of the throughput workload (MLP 20-64-64-1, batch 64, Adam), how much is
          forward and backward, the update, the gather of a batch, the data order, the record, the
          evaluation, the host?  How far is that from what the machine can do?
Method    Programs of the engine's own parts, each with one part more than the one before, on one
          device in the default lanes; a part's time is the difference.  The first has a batch a
          lane that lies there and the cheapest update, rate times gradient; then come Adam, batches
          gathered in the order in which they lie, that order computed, losses summed and judged,
          the evaluation of each epoch, and a whole sweep on the host.  Processors' time, so that
          other programs on the machine count little; compilation is left out; the programs take
          turns and the least time of each counts.  A difference below zero is noise.
          Beside them, in the same run: products of matrices 64 x 64, as many side by side as there
          are lanes, in float32, and a copy of 64 MiB, each by processors' time as well.
Run       python -m experiments.benchmarks.profile [--quick]
Result    printed: microseconds a trial-step and shares, GFLOP/s of forward and backward, GB/s of
          the update (seven passes over the parameters: four read, three written).
"""

import argparse
import time

import numpy as np

import jaxopt_course as joc

TRIALS, BATCH, EXAMPLES, EPOCHS, TURNS = 16, 64, 2496, 20, 40  # 39 steps an epoch
LAYERS = ((20, 64), (64, 64), (64, 1))
PARTS = (
    "forward and backward",
    "update",
    "gather",
    "data order",
    "record",
    "evaluate",
    "host",
)


class Lying:
    """A leaf of a batch that is there already: whatever rows are asked for, it is all of them."""

    def __init__(self, array):
        self.array = array

    def __getitem__(self, rows):
        return self.array


def compiled_for(optimizer, epochs):
    """The program of the throughput workload with one optimizer, on one device."""
    import jax

    from experiments.benchmarks.throughput import make_task
    from jaxopt_course.studies.compiled import compile_bucket
    from jaxopt_course.tables.buckets import split

    trials = joc.grid(learning_rate=np.geomspace(1e-4, 1e-2, TRIALS).tolist(), seed=0)
    lengths = {"epochs": epochs, "batch_size": BATCH}
    [bucket] = split(make_task(EXAMPLES), trials, None, optimizer, **lengths).buckets
    return compile_bucket(bucket, ("valid_loss", "min"), None, jax.local_devices()[:1])


def ways(epochs):
    """The programs, by the part that each has more than the one before, and the lanes."""
    import jax
    import jax.numpy as jnp

    from jaxopt_course.studies.compiled import train_bucket
    from jaxopt_course.sweeps.lanes import emptied, make_segment
    from jaxopt_course.sweeps.program import Table, lower, make_seats, options_of
    from jaxopt_course.sweeps.steps import each, make_steps

    device = jax.local_devices()[0]
    adam, cheapest = compiled_for("adam", epochs), compiled_for("sgd", epochs)
    lanes, effort = adam.program.lanes, options_of(device.platform, 0)[1]
    in_order = lambda seed, step, train: (
        step % (EXAMPLES // BATCH) * BATCH + jnp.arange(BATCH, dtype=jnp.int32)
    )

    def given(made):
        """Lanes with trials in them, their seats, the data."""
        columns = made.bucket.columns
        seats = make_seats(Table(**columns.arrays(columns.trials)), np.arange(lanes))
        seats, data = jax.device_put((seats, made.data), device)
        empty = jax.device_put(emptied(made.program.state, lanes), device)
        return made.program.seat[0](empty, seats, np.ones(lanes, bool)), seats, data

    def stepping(made, rows_of, lying=False):
        """Nothing but the steps of all epochs; the state goes from call to call."""
        trial, (start, seats, data) = made.trial, given(made)
        if lying:
            data = data._replace(train=jax.tree.map(lambda x: x[:BATCH], data.train))

        def one(own, state, seed, data, rows):
            if lying:  # of a batch that all lanes share XLA would make one product of matrices
                own_batch = lambda x: Lying(x + (state.step < 0).astype(x.dtype))
                data, rows = data._replace(train=jax.tree.map(own_batch, data.train)), 0
            return trial.step(own, state, seed, data, rows)[0]

        def advance(lanes_, seats, data, rows):
            axes = (0, 0, 0, None, None if rows is None else 0)
            mapped = each(one, axes, lanes)
            own = seats.hyperparameters, lanes_.state, seats.seeds, data, rows
            return lanes_._replace(state=mapped(*own)), ()

        steps = make_steps(advance, rows_of, EXAMPLES // BATCH, epochs, ())
        program = jax.jit(lambda *given: steps(*given)[0], donate_argnums=0)
        ready, held = lower(program, (start, seats, data), device).compile(effort), [start]

        def run():
            held[0] = ready(held[0], seats, data)
            jax.block_until_ready(held[0])

        return run

    def segment(made, trial=None):
        """The engine's own program, of this trial in place of its own."""
        (start, seats, data), ready = given(made), made.program.segment[0]
        asked = np.int32(epochs), np.bool_(False)
        if trial is not None:
            own = jax.jit(make_segment(trial, made.program.rhythm, ()), donate_argnums=0)
            ready = lower(own, (start, seats, data, *asked), device).compile(effort)
        held = [start]

        def run():
            held[0], readings = ready(held[0], seats, data, *asked)
            jax.block_until_ready(readings)

        return run

    unseen = adam.trial._replace(evaluate=lambda h, state, part, shared: {"loss": state.limit})
    whole = lambda: train_bucket(adam, adam.bucket.columns.trials, "sweep", False)
    runs = [
        stepping(cheapest, None, lying=True),
        stepping(adam, None, lying=True),
        stepping(adam, in_order),
        stepping(adam, adam.trial.rows),
        segment(adam, unseen),
        segment(adam),
        whole,
    ]
    return dict(zip(PARTS, runs, strict=True)), lanes


def machine(lanes):
    """What the machine does: products of matrices, and copies; with FLOP or bytes of a call."""
    import jax
    import jax.numpy as jnp

    side, times = 64, 2000
    weights = jnp.eye(side) + jnp.zeros((lanes, side, side))
    multiply = jax.jit(lambda x: jax.lax.fori_loop(0, times, lambda _, y: y @ weights, x))
    large = jnp.zeros(1 << 24, jnp.float32)
    copy, held, copies = jax.jit(lambda x: x + 1, donate_argnums=0), [large], 10

    def copying():
        for _ in range(copies):  # into the same memory, which the system need not find anew
            held[0] = copy(held[0])
        held[0].block_until_ready()

    return {
        "products": (lambda: multiply(weights).block_until_ready(), 2 * lanes * times * side**3),
        "copies": (copying, 2 * copies * large.nbytes),
    }


def cost():
    """FLOP of forward and backward, and bytes of Adam, of a trial-step."""
    products = [2 * BATCH * n * m for n, m in LAYERS]
    numbers = sum(n * m + m for n, m in LAYERS)
    return 3 * sum(products) - products[0], 7 * 4 * numbers  # inputs have no gradient


def least(runs, turns):
    """Seconds of processors of each, the least of all turns, after a first call."""
    for run in runs.values():
        run()
    seconds = dict.fromkeys(runs, np.inf)
    for _ in range(turns):
        for name, run in runs.items():
            start = time.process_time()
            run()
            seconds[name] = min(seconds[name], time.process_time() - start)
    return seconds


def main(quick=False):
    """Print the table; microseconds a trial-step of each part."""
    joc.use_cpu_cores()
    epochs, turns = (1, 1) if quick else (EPOCHS, TURNS)
    runs, lanes = ways(epochs)
    beside = machine(lanes)
    seconds = least(runs | {name: run for name, (run, _) in beside.items()}, turns)
    trial_steps = epochs * (EXAMPLES // BATCH) * np.array([*[lanes] * (len(PARTS) - 1), TRIALS])
    upto = np.array([seconds[name] for name in PARTS]) / trial_steps * 1e6
    parts = dict(zip(PARTS, np.diff(upto, prepend=0.0).tolist(), strict=True))
    flop, moved = cost()
    rates = {name: amount / seconds[name] / 1e9 for name, (_, amount) in beside.items()}
    said = {
        PARTS[0]: f"{flop / parts[PARTS[0]] / 1e3:8.1f} GFLOP/s of {rates['products']:.1f}",
        "update": f"{moved / max(parts['update'], 1e-3) / 1e3:8.1f} GB/s of {rates['copies']:.1f}",
    }
    print(f"{lanes} lanes on one device; the machine's own rates are those of the same run")
    print(f"{'part':24s}µs a trial-step   share   reached")
    for name, value in parts.items():
        print(f"{name:24s}{value:15.2f}{value / upto[-1]:8.0%}{said.get(name, '')}")
    print(f"{'all':24s}{upto[-1]:15.2f}")
    return parts


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="an epoch, to see that it runs")
    main(**vars(parser.parse_args()))
