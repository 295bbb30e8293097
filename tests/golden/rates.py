"""Learning rates of PyTorch and Keras over whole horizons (needs ``pip install '.[parity]'``).

``schedules.json`` holds what :func:`run` gives; ``python -m golden.make`` writes it.
"""

import itertools
import os

import numpy as np

STEPS = 240
ONE_CYCLES = {
    "cos": {"total_steps": 240},
    "cos_three": {"total_steps": 200, "three_phase": True, "pct_start": 0.37},
    "linear": {"total_steps": 197, "anneal_strategy": "linear", "div_factor": 7.0},
    "linear_three": {
        "total_steps": 240,
        "anneal_strategy": "linear",
        "three_phase": True,
        "final_div_factor": 33.0,
    },
}
RESTARTS = [(7, 1, 0.0), (7, 2, 0.003), (10, 3, 0.0), (1, 2, 0.0), (13, 10, 0.01)]
CYCLES = [(7, 1.0, 0.01), (10, 2.5, 0.0), (240, 1.0, 0.0)]  # decay_steps, power, end
KERAS_RESTARTS = [(7, 1.0, 0.9, 0.1), (10, 3.0, 0.5, 0.05), (11, 1.5, 0.8, 0.0), (13, 10.0, 2.0, 0)]
PLATEAUS = list(itertools.product((0.5, 0.9), (1, 4), (0, 1, 3)))  # factor, patience, cooldown


def losses():
    """What plateaus look at: it falls, rests, is noisy, and is NaN twice."""
    noise = np.random.default_rng(3).normal(size=STEPS)
    falling = np.exp(-np.arange(STEPS) / 40) + 0.02 * noise
    falling[150:180] = falling[150]
    falling[[5, 100]] = np.nan
    return falling


def run():
    """name -> rates at the steps 0, 1, ... for η_0 = 0.1; of plateaus after each loss."""
    found = {f"torch.onecycle.{name}": _one_cycle(o) for name, o in ONE_CYCLES.items()}
    found["torch.restarts"] = [_restarts(*numbers) for numbers in RESTARTS]
    found["torch.plateau"] = [_torch_plateau(*numbers) for numbers in PLATEAUS]
    found["keras.plateau"] = [_keras_plateau(*numbers) for numbers in PLATEAUS]
    schedules = _keras().optimizers.schedules
    found["keras.cycles"] = [
        _keras_rates(schedules.PolynomialDecay(0.1, n, end, power, cycle=True))
        for n, power, end in CYCLES
    ]
    found["keras.restarts"] = [
        _keras_rates(schedules.CosineDecayRestarts(0.1, *numbers)) for numbers in KERAS_RESTARTS
    ]
    return found


def _torch(make, steps, rate=0.1, seen=()):
    import torch

    opt = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))], lr=rate)
    scheduler, rates = make(torch.optim.lr_scheduler, opt), []
    for step in range(steps):
        if len(seen):
            scheduler.step(float(seen[step]))
        rates.append(float(opt.param_groups[0]["lr"]))
        opt.step()
        if not len(seen) and step + 1 < steps:  # OneCycleLR raises after its last step
            scheduler.step()
    return rates


def _one_cycle(options):
    return _torch(lambda kinds, opt: kinds.OneCycleLR(opt, 0.1, **options), options["total_steps"])


def _restarts(first, times, least):
    return _torch(lambda k, opt: k.CosineAnnealingWarmRestarts(opt, first, times, least), STEPS)


def _torch_plateau(factor, patience, cooldown):
    make = lambda kinds, opt: kinds.ReduceLROnPlateau(
        opt, factor=factor, patience=patience, cooldown=cooldown, min_lr=1e-4
    )
    return _torch(make, STEPS, seen=losses())


def _keras():
    os.environ.setdefault("KERAS_BACKEND", "jax")
    import jax

    jax.config.update("jax_enable_x64", True)
    import keras

    keras.config.set_floatx("float64")
    return keras


def _keras_rates(schedule):
    import jax

    return np.asarray(jax.jit(jax.vmap(schedule))(np.arange(STEPS))).tolist()


def _keras_plateau(factor, patience, cooldown):
    keras = _keras()

    class Holder:
        learning_rate = 0.1

    model = Holder()
    model.optimizer = Holder()
    callback = keras.callbacks.ReduceLROnPlateau(
        "loss", factor, patience, mode="min", cooldown=cooldown, min_lr=1e-4
    )
    callback.set_model(model)
    # of a model's metrics it would read the direction, which is given
    callback.monitor_op, callback.min_delta = np.less, -callback.min_delta
    callback.on_train_begin()
    rates = []
    for epoch, loss in enumerate(losses()):
        callback.on_epoch_end(epoch, {"loss": float(loss)})
        rates.append(float(model.optimizer.learning_rate))
    return rates
