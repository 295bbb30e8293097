"""How long does the same search take with Optuna, Ray Tune and hyperoptax, from a cold start?

Question  64 learning rates of Adam on the digits, 27 epochs each, validation accuracy after every
          epoch: seconds from the first import to the best learning rate, all trials trained to the
          end, and with ASHA (eta = 3) where a library has it.
Method    MLP 64-32-10, batch 64.  Each way in a process of its own.  The peers train with optax by
          a program that is as good as JAX allows: data on the device, the rate traced, so that it
          is compiled once a process; a call a trial (a call an epoch with ASHA).  Optuna runs one
          trial after another; Ray Tune one process a core, which it reuses (``reuse_actors``);
          hyperoptax maps 16 trials at a time.  What each reaches is printed too.
Needs     pip install optuna "ray[tune]" hyperoptax (what is missing is skipped, and said)
Run       python experiments/benchmarks/peers.py [--repeats 2]
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time

import numpy as np

TRIALS, EPOCHS, BATCH, ETA, SIDE_BY_SIDE = 64, 27, 64, 3, 16
RATES = np.geomspace(1e-5, 1.0, TRIALS).tolist()
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
    table = joc.grid(optimizer="adam", learning_rate=RATES)
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
        import jax.numpy as jnp
        import optax

        import jaxopt_course as joc

        task = joc.load_task("digits")
        (x, y), (vx, vy) = (tuple(map(jnp.asarray, part)) for part in (task.train, task.valid))
        steps = len(x) // BATCH

        def logits(params, x):
            return jnp.tanh(x @ params["w"] + params["b"]) @ params["v"] + params["c"]

        def loss(params, x, y):
            return optax.softmax_cross_entropy_with_integer_labels(logits(params, x), y).mean()

        def start(key):
            normal = lambda key, shape: jax.random.normal(key, shape) / jnp.sqrt(shape[0])
            one, two = jax.random.split(key)
            w, v = normal(one, (64, 32)), normal(two, (32, 10))
            params = {"w": w, "b": jnp.zeros(32), "v": v, "c": jnp.zeros(10)}
            return params, optax.adam(1.0).init(params)

        def epoch(carry, key, rate):
            def step(carry, index):
                params, state = carry
                g = jax.grad(loss)(params, x[index], y[index])
                updates, state = optax.adam(rate).update(g, state)
                return (optax.apply_updates(params, updates), state), None

            order = jax.random.permutation(key, len(x))[: steps * BATCH].reshape(steps, BATCH)
            carry, _ = jax.lax.scan(step, carry, order)
            return carry, (logits(carry[0], vx).argmax(1) == vy).mean()

        def whole(rate, key):
            keys = jax.random.split(key, EPOCHS)
            return jax.lax.scan(lambda c, k: epoch(c, k, rate), start(key), keys)[1][-1]

        self.start, self.epoch, self.whole = jax.jit(start), jax.jit(epoch), jax.jit(whole)
        self.key = jax.random.key(0)
        self.keys = list(jax.random.split(self.key, EPOCHS))


def hyperoptax(stop: bool) -> tuple[float, float]:
    """A grid, mapped over 16 trials at a time, the loop compiled."""
    import jax
    from hyperoptax.grid import GridSearch
    from hyperoptax.spaces import DiscreteSpace

    training = Training()
    space = {"rate": DiscreteSpace(RATES)}
    state, search = GridSearch.init(space, n_parallel=SIDE_BY_SIDE)
    objective = lambda key, config: training.whole(config["rate"], training.key)
    key, calls = jax.random.PRNGKey(0), TRIALS // SIDE_BY_SIDE
    _, (found, results) = search.optimize_scan(state, key, objective, calls)
    best = int(np.argmax(results))
    return float(np.ravel(found["rate"])[best]), float(np.max(results))


def optuna(stop: bool) -> tuple[float, float]:
    """A grid, one trial after another."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    training = Training()

    def objective(trial):
        rate = trial.suggest_float("rate", RATES[0], RATES[-1])
        if not stop:
            return float(training.whole(rate, training.key))
        carry = training.start(training.key)
        for number, key in enumerate(training.keys):
            carry, accuracy = training.epoch(carry, key, rate)
            trial.report(float(accuracy), number + 1)
            if trial.should_prune():
                raise optuna.TrialPruned
        return float(accuracy)

    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.GridSampler({"rate": RATES}, seed=0),
        pruner=optuna.pruners.SuccessiveHalvingPruner(reduction_factor=ETA) if stop else None,
    )
    study.optimize(objective, n_trials=TRIALS)
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
            self.rate, self.done = config["rate"], 0
            self.carry = self.training.start(self.training.key)
            return True

        def step(self):
            if not stop:
                accuracy = self.training.whole(self.rate, self.training.key)
                return {"accuracy": float(accuracy), "done": True}
            key = self.training.keys[self.done]
            self.carry, accuracy = self.training.epoch(self.carry, key, self.rate)
            self.done += 1
            return {"accuracy": float(accuracy), "done": self.done == EPOCHS}

        def save_checkpoint(self, _):
            return {}

        def load_checkpoint(self, _):
            pass

    ray.init(num_cpus=os.cpu_count(), include_dashboard=False, log_to_driver=False)
    scheduler = ASHAScheduler(max_t=EPOCHS, reduction_factor=ETA) if stop else None
    tuner = tune.Tuner(
        tune.with_resources(Trial, {"cpu": 1}),
        param_space={"rate": tune.grid_search(RATES)},
        tune_config=tune.TuneConfig(
            metric="accuracy", mode="max", scheduler=scheduler, reuse_actors=True
        ),
        run_config=tune.RunConfig(verbose=0),
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
