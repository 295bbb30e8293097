"""How long does the same search take with Optuna, Ray Tune and hyperoptax, from a cold start?

Question  64 learning rates x 4 seeds of Adam on the digits, 27 epochs each, validation accuracy
          after every epoch: seconds from the first import to the best trial, all trained to the
          end, and with ASHA (eta = 3) where a library has it.
Method    MLP 64-64-64-10, batch 64.  Each way in a process of its own.  The peers train the same
          task with optax by a program that is as good as JAX allows: data on the device, the rate
          traced, so that it is compiled once a process; a call a trial (a call an epoch with ASHA).
          Optuna runs one trial after another; Ray Tune one process a core, which it reuses
          (``reuse_actors``); hyperoptax maps 16 trials at a time.  Their best is one trial, ours a
          mean over seeds.
Needs     pip install optuna "ray[tune]" hyperoptax (what is missing is skipped, and said)
Run       python experiments/benchmarks/peers.py [--repeats 2]
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time

import numpy as np

RATES, SEEDS, EPOCHS, BATCH, ETA, SIDE_BY_SIDE = 64, 4, 27, 64, 3, 16
GRID = {"rate": np.geomspace(1e-5, 1.0, RATES).tolist(), "seed": list(range(SEEDS))}
WAYS = {  # name: (module, function, with ASHA)
    "jaxopt_course": ("jaxopt_course", "ours", False),
    "hyperoptax": ("hyperoptax", "hyperoptax", False),
    "Optuna": ("optuna", "optuna", False),
    "Ray Tune": ("ray", "ray", False),
    "jaxopt_course, ASHA": ("jaxopt_course", "ours", True),
    "Optuna, ASHA": ("optuna", "optuna", True),
    "Ray Tune, ASHA": ("ray", "ray", True),
}


def ours(stop: bool) -> tuple[float, float]:
    """One program, lanes on each core."""
    import jaxopt_course as joc

    joc.use_cpu_cores()
    table = joc.grid(optimizer="adam", learning_rate=GRID["rate"], seed=GRID["seed"])
    scheduler = joc.ASHA(ETA) if stop else None
    study = joc.sweep(
        "digits", table, epochs=EPOCHS, batch_size=BATCH, scheduler=scheduler, progress=False
    )
    best = study.best("valid_accuracy")
    return float(best["learning_rate"]), float(best["valid_accuracy"])


class Training:
    """The same training in plain JAX and optax; the learning rate is traced."""

    def __init__(self) -> None:
        import jax
        import optax

        import jaxopt_course as joc

        task = joc.load_task("digits")
        data = jax.device_put(task.train)
        count = len(data["inputs"])
        steps = count // BATCH

        def start(seed):
            key = jax.random.key(seed)
            params, state = task.init(key)
            return (params, state, optax.adam(1.0).init(params)), key

        def epoch(carry, key, rate):
            def step(carry, index):
                params, state, memory = carry
                batch = jax.tree.map(lambda x: x[index], data)
                g, (state, _) = jax.grad(task.loss, has_aux=True)(params, state, batch, key)
                updates, memory = optax.adam(rate).update(g, memory)
                return (optax.apply_updates(params, updates), state, memory), None

            order = jax.random.permutation(key, count)[: steps * BATCH].reshape(steps, BATCH)
            carry, _ = jax.lax.scan(step, carry, order)
            return carry, task.evaluate(carry[0], carry[1], task.valid)["accuracy"]

        def whole(rate, seed):
            carry, key = start(seed)
            keys = jax.random.split(key, EPOCHS)
            return jax.lax.scan(lambda c, k: epoch(c, k, rate), carry, keys)[1][-1]

        self.start, self.epoch, self.whole = jax.jit(start), jax.jit(epoch), jax.jit(whole)
        self.keys = lambda key: list(jax.random.split(key, EPOCHS))


def hyperoptax(stop: bool) -> tuple[float, float]:
    """A grid, mapped over 16 trials at a time, the loop compiled."""
    import jax
    from hyperoptax.grid import GridSearch
    from hyperoptax.spaces import DiscreteSpace

    training = Training()
    space = {name: DiscreteSpace(values) for name, values in GRID.items()}
    state, search = GridSearch.init(space, n_parallel=SIDE_BY_SIDE)
    objective = lambda key, config: training.whole(config["rate"], config["seed"].astype(int))
    key, calls = jax.random.PRNGKey(0), RATES * SEEDS // SIDE_BY_SIDE
    _, (found, results) = search.optimize_scan(state, key, objective, calls)
    best = int(np.argmax(results))
    return float(np.ravel(found["rate"])[best]), float(np.max(results))


def optuna(stop: bool) -> tuple[float, float]:
    """A grid, one trial after another."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    training = Training()

    def objective(trial):
        rate, seed = (trial.suggest_categorical(name, GRID[name]) for name in GRID)
        if not stop:
            return float(training.whole(rate, seed))
        carry, key = training.start(seed)
        for number, own in enumerate(training.keys(key)):
            carry, accuracy = training.epoch(carry, own, rate)
            trial.report(float(accuracy), number + 1)
            if trial.should_prune():
                raise optuna.TrialPruned
        return float(accuracy)

    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.GridSampler(GRID, seed=0),
        pruner=optuna.pruners.SuccessiveHalvingPruner(reduction_factor=ETA) if stop else None,
    )
    study.optimize(objective, n_trials=RATES * SEEDS)
    return study.best_params["rate"], study.best_value


def ray(stop: bool) -> tuple[float, float]:
    """A grid, one process a core, reused."""
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
    import ray
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler

    class Trial(tune.Trainable):
        def setup(self, config):
            self.training = Training()
            self.reset_config(config)

        def reset_config(self, config):
            self.rate, self.seed, self.done = config["rate"], config["seed"], 0
            self.carry, key = self.training.start(self.seed)
            self.keys = self.training.keys(key)
            return True

        def step(self):
            if not stop:
                accuracy = self.training.whole(self.rate, self.seed)
                return {"accuracy": float(accuracy), "done": True}
            self.carry, accuracy = self.training.epoch(self.carry, self.keys[self.done], self.rate)
            self.done += 1
            return {"accuracy": float(accuracy), "done": self.done == EPOCHS}

        def save_checkpoint(self, _):
            return {}

        def load_checkpoint(self, _):
            pass

    folder = tempfile.mkdtemp()
    ray.init(num_cpus=os.cpu_count(), include_dashboard=False, log_to_driver=False)
    scheduler = ASHAScheduler(max_t=EPOCHS, reduction_factor=ETA) if stop else None
    tuner = tune.Tuner(
        tune.with_resources(Trial, {"cpu": 1}),
        param_space={name: tune.grid_search(values) for name, values in GRID.items()},
        tune_config=tune.TuneConfig(
            metric="accuracy", mode="max", scheduler=scheduler, reuse_actors=True
        ),
        run_config=tune.RunConfig(verbose=0, storage_path=folder),
    )
    best = tuner.fit().get_best_result()
    return best.config["rate"], best.metrics["accuracy"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--way", choices=WAYS, help="this one only, in this process")
    arguments = parser.parse_args()
    if arguments.way:
        _, function, stop = WAYS[arguments.way]
        start = time.perf_counter()
        rate, accuracy = globals()[function](stop)
        print(json.dumps([time.perf_counter() - start, rate, accuracy]))
        return
    found = {}
    for _ in range(arguments.repeats):
        for name, (module, _, _) in WAYS.items():
            if importlib.util.find_spec(module) is None:
                print(f"{name}: {module} is not installed, skipped")
                continue
            command = [sys.executable, __file__, "--way", name]
            said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
            run = json.loads(said.splitlines()[-1])
            found[name] = min(found.get(name, run), run)
    print(f"{'way':<24}{'seconds':>9}{'we are':>9}{'rate':>10}{'valid accuracy':>16}")
    for name, (seconds, rate, accuracy) in found.items():
        like = "jaxopt_course" + (", ASHA" if name.endswith("ASHA") else "")
        ratio = seconds / found[like][0]
        print(f"{name:<24}{seconds:>9.1f}{ratio:>8.1f}x{rate:>10.2g}{accuracy:>16.4f}")


if __name__ == "__main__":
    main()
