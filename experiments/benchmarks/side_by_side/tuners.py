"""Optuna, Ray Tune and hyperoptax, each as its documentation has it, around a jitted training."""

import os
import tempfile

import numpy as np


def optuna(case):
    """``study.optimize`` over a grid of trials, one after another."""
    import jax
    import optuna

    from experiments.benchmarks.side_by_side.by_hand import train_of

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    train = jax.jit(train_of(case.workload))
    held = jax.device_put([(case.start(s), case.order[s]) for s in range(len(case.order))])
    x, y = jax.device_put((case.inputs, case.targets))

    def run():
        curves = {}

        def objective(trial):
            i = trial.suggest_categorical("trial", range(len(case.trials)))
            w, order = held[case.seeds[i]]
            curves[i] = np.asarray(train(w, case.rates[i], order, x, y))
            return float(curves[i][-1])

        sampler = optuna.samplers.GridSampler({"trial": range(len(case.trials))}, seed=0)
        study = optuna.create_study(sampler=sampler)
        study.optimize(objective, n_trials=len(case.trials))
        return np.stack([curves[i] for i in range(len(case.trials))])

    return run


def ray(case):
    """``Tuner.fit`` over a grid of trials, one process a core, reused."""
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
    import ray
    from ray import tune

    class Training(tune.Trainable):
        def setup(self, config, case):
            import jax

            from experiments.benchmarks.side_by_side.by_hand import train_of

            self.case, self.train = case, jax.jit(train_of(case.workload))
            self.data = jax.device_put((case.inputs, case.targets))
            self.reset_config(config)

        def reset_config(self, config):
            self.trial = config["trial"]
            return True

        def step(self):
            case, seed = self.case, self.case.seeds[self.trial]
            rate = case.rates[self.trial]
            losses = self.train(case.start(seed), rate, case.order[seed], *self.data)
            curve = np.asarray(losses)
            return {"loss": float(curve[-1]), "curve": curve.tolist(), "done": True}

        def save_checkpoint(self, _):
            return {}

        def load_checkpoint(self, _):
            pass

    ray.init(num_cpus=os.cpu_count(), include_dashboard=False, log_to_driver=False)
    trainable = tune.with_parameters(Training, case=case)

    def run():
        tuner = tune.Tuner(
            tune.with_resources(trainable, {"cpu": 1}),
            param_space={"trial": tune.grid_search(list(range(len(case.trials))))},
            tune_config=tune.TuneConfig(metric="loss", mode="min", reuse_actors=True),
            run_config=tune.RunConfig(verbose=0, storage_path=tempfile.mkdtemp()),
        )
        found = {r.config["trial"]: r.metrics["curve"] for r in tuner.fit()}
        return np.stack([found[i] for i in range(len(case.trials))])

    return run


def hyperoptax(case):
    """``GridSearch.optimize_scan``, so many trials at a time as a chunk of vmap has."""
    import jax
    from hyperoptax.grid import GridSearch
    from hyperoptax.spaces import DiscreteSpace

    from experiments.benchmarks.side_by_side.by_hand import refuse_too_large, train_of

    train = train_of(case.workload)
    x, y, weights, order = jax.device_put((case.inputs, case.targets, case.weights, case.order))
    count = len(case.trials)
    width = min(case.workload.chunk, count)
    refuse_too_large(case, width)
    rates, seeds = jax.device_put((case.rates, case.seeds))

    def objective(_, config):
        i = config["trial"].astype(int)
        w = jax.tree.map(lambda leaf: leaf[seeds[i]], weights)
        return -train(w, rates[i], order[seeds[i]], x, y).mean()

    def search(key):
        space = {"trial": DiscreteSpace(list(range(count)))}
        state, search = GridSearch.init(space, n_parallel=width)
        return search.optimize_scan(state, key, objective, count // width)[1]

    search = jax.jit(search)

    def run():
        found, results = search(jax.random.PRNGKey(0))
        means = np.zeros(count)
        means[np.ravel(found["trial"]).astype(int)] = -np.ravel(results)
        return means[:, None]

    return run
