"""Keras: ``fit`` on the JAX backend, 32 steps an execution, one model for all trials."""

import os

os.environ["KERAS_BACKEND"] = "jax"

import keras
import numpy as np

from experiments.benchmarks.side_by_side.keras_networks import model_of


def fit(case):
    """The examples of all steps laid end to end, so that ``fit`` visits them in our order."""
    model, paths = model_of(case.workload)
    kinds = keras.losses.BinaryCrossentropy, keras.losses.SparseCategoricalCrossentropy
    model.compile(
        optimizer=keras.optimizers.Adam(1e-3, epsilon=1e-8),
        loss=kinds[case.workload.outputs > 1](from_logits=True),
        steps_per_execution=min(32, case.steps),
    )
    model.optimizer.build(model.trainable_variables)
    new = [np.zeros(one.shape, one.dtype) for one in model.optimizer.variables]
    laid = {}
    for seed in sorted(set(case.seeds)):
        rows = case.order[seed].reshape(-1)
        laid[seed] = case.inputs[rows], case.targets[rows]

    def run():
        means = []
        for rate, seed in zip(case.rates, case.seeds, strict=True):
            start = case.start(seed)
            model.set_weights([start[path] for path in paths])
            for variable, value in zip(model.optimizer.variables, new, strict=True):
                variable.assign(value)
            model.optimizer.learning_rate = float(rate)
            x, y = laid[seed]
            history = model.fit(x, y, batch_size=case.workload.batch, shuffle=False, verbose=0)
            means.append(history.history["loss"])
        return np.asarray(means)

    return run
