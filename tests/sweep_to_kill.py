"""A sweep in a process of its own, for tests that kill it: ``sweep_to_kill.py DIRECTORY CASE N``.

It sweeps, or goes on where a directory holds a sweep that was cut short, on N devices, saves as
often as it can, and says "saved" after each checkpoint.  ``confirm`` as the case confirms the study
that is there, and says "saved" whenever it has read how far the devices are: nothing is saved then.
Once it has said so it waits for a line, or the end, of its standard input: until then it is
running, however fast the machine is.
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np

import jaxopt_course as joc
from jaxopt_course.records import checkpoints
from jaxopt_course.sweeps import engine

DIVERGING = [1e-3, 0.1, 1e30]


def table(optimizers=("sgd", "adam"), seeds=3, **more):
    return joc.grid(optimizer=optimizers, learning_rate=DIVERGING, **more, seed=range(seeds))


CASES = {
    "plain": {},
    "quick": {"trials": table(["adam"]), "scheduler": joc.SuccessiveHalving()},  # to compile
    "halving": {"scheduler": joc.SuccessiveHalving()},
    "asha": {"scheduler": joc.ASHA(eta=2, min_steps=15_000)},
    "buckets": {"trials": table(batch_size=[3, 4]), "static": ["batch_size"], "batch_size": None},
}


def make_task(scale=2.0, dtype=jnp.bfloat16, breaks_at=None):
    """A line through noisy points, with a weight in bfloat16 and one in float32.

    After ``breaks_at`` steps a good loss is NaN.
    """
    x = np.linspace(-1, 1, 8, dtype=np.float32)
    part = {"x": x, "y": np.float32(scale) * x + np.float32(0.1) * np.cos(9 * x)}

    def init(key):
        return {"w": jax.random.normal(key, ()).astype(dtype), "b": jnp.zeros(())}, jnp.int32(0)

    def loss(params, state, batch, key):
        predicted = params["w"].astype(jnp.float32) * batch["x"] + params["b"]
        noise = 0.01 * jax.random.normal(key, ())
        loss = jnp.mean((predicted - batch["y"] + noise) ** 2)
        if breaks_at is not None:
            loss = jnp.where((state >= breaks_at) & (loss < 0.3), jnp.nan, loss)
        return loss, (state + 1, {})

    def evaluate(params, state, part):
        predicted = params["w"].astype(jnp.float32) * part["x"] + params["b"]
        return {"loss": jnp.mean((predicted - part["y"]) ** 2)}

    return joc.Task("own", init, loss, evaluate, part, part, part, {"loss": "min"})


def sweep(directory, case="plain", devices=1, steps=600, task=None, **settings):
    settings = {"trials": table(), "batch_size": 3} | CASES[case] | settings
    return joc.sweep(
        task=task or make_task(),
        steps=steps,
        evaluate_every=20,
        lanes=4,
        directory=directory,
        devices=jax.devices()[:devices],
        progress=False,
        **settings,
    )


def save_always(monkeypatch=None):
    """Short segments, and a checkpoint after each."""
    settings = {"SEGMENT_SECONDS": 1e-3, "SAVE_SECONDS": 0.0, "SAVE_SHARE": 1e9}
    for name, value in settings.items():
        if monkeypatch is None:
            setattr(engine, name, value)
        else:
            monkeypatch.setattr(engine, name, value)


def confirm(directory, devices=1):
    study = joc.Study.load(directory)
    return study.confirm(
        CONFIRMING, task=make_task(), devices=jax.devices()[:devices], progress=False
    )


def main(directory, case, devices):
    save_always()
    where, name = (engine._Loop, "read") if case == "confirm" else (checkpoints, "save")
    act, told = getattr(where, name), []

    def act_and_tell(*arguments):
        act(*arguments)
        print("saved", flush=True)
        if not told:
            told.append(sys.stdin.readline())

    setattr(where, name, act_and_tell)
    if case == "confirm":
        confirm(directory, int(devices))
        return
    try:
        checkpoints.asked(directory)
    except FileNotFoundError:
        sweep(directory, case, int(devices), STEPS)
    else:
        joc.Study.resume(
            directory, task=make_task(), devices=jax.devices()[: int(devices)], progress=False
        )


STEPS = 30_000  # a second or two, most of which is saving
CONFIRMING = range(3, 6)  # seeds

if __name__ == "__main__":
    jax.config.update("jax_num_cpu_devices", 2)
    main(*sys.argv[1:])
