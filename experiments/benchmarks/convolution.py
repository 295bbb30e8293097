"""How fast is a training step of a convolutional network on CPU?

Question  Inside a scan, what does a step cost with ``joc``'s convolution (patches times a matrix),
          with Flax's own, and with PyTorch on the same cores?
Method    The notes' CNN for MNIST (28 x 28 x 1; convolutions 3 x 3 of 32 and 64, each with a 2 x 2
          max-pool; 64 and 10 units), batch 64, plain SGD, float32, random images.  Each way in a
          process of its own, held to the same cores; the ways take turns, and
          the fastest step of all turns counts, as the machine may be busy with other work.  JAX
          steps are a ``lax.scan``; PyTorch's a loop, as it is.
Needs     PyTorch for the last line (skipped, and said, where it is missing)
Run       python experiments/benchmarks/convolution.py [--cores 1] [--rounds 5] [--quick]
Result    printed: steps a second, milliseconds of processor a step, ours against each.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time

BATCH = 64
STEPS = {"joc": 20, "nnx": 2, "torch": 20}  # a turn; Flax's convolution takes its time
WANTED = {"nnx": 10.0, "torch": 1.0}


def in_jax(conv, pool, steps):
    """A function that trains for ``steps`` steps inside one scan."""
    import jax
    import jax.numpy as jnp
    import numpy as np
    import optax
    from flax import nnx

    class Net(nnx.Module):
        def __init__(self, rngs):
            self.conv1 = conv(1, 32, (3, 3), padding="VALID", rngs=rngs)
            self.conv2 = conv(32, 64, (3, 3), padding="VALID", rngs=rngs)
            self.dense1 = nnx.Linear(5 * 5 * 64, 64, rngs=rngs)
            self.dense2 = nnx.Linear(64, 10, rngs=rngs)

        def __call__(self, x):
            x = pool(nnx.relu(self.conv1(x)), (2, 2), (2, 2))
            x = pool(nnx.relu(self.conv2(x)), (2, 2), (2, 2))
            return self.dense2(nnx.relu(self.dense1(x.reshape(len(x), -1))))

    graph, params = nnx.split(Net(nnx.Rngs(0)))
    images = np.random.default_rng(0).random((steps, BATCH, 28, 28, 1), np.float32)
    labels = jnp.broadcast_to(jnp.arange(BATCH) % 10, (steps, BATCH))

    def loss(params, x, y):
        logits = nnx.merge(graph, params)(x)
        return optax.losses.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    def step(params, batch):
        gradients = jax.grad(loss)(params, *batch)
        return jax.tree.map(lambda w, g: w - 0.01 * g, params, gradients), None

    train = jax.jit(lambda params, data: jax.lax.scan(step, params, data)[0])
    data = jax.device_put((images, labels))
    return lambda: jax.block_until_ready(train(params, data))


def joc(steps):
    """Our convolution and max-pool."""
    from jaxopt_course.problems.convolution import Conv, max_pool

    return in_jax(Conv, max_pool, steps)


def plain(steps):
    """Flax's own."""
    from flax import nnx

    return in_jax(nnx.Conv, nnx.max_pool, steps)


def pytorch(steps):
    """The notes' way."""
    import torch
    from torch import nn

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    net = nn.Sequential(
        *(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(5 * 5 * 64, 64), nn.ReLU(), nn.Linear(64, 10)),
    )
    optimizer, criterion = torch.optim.SGD(net.parameters(), lr=0.01), nn.CrossEntropyLoss()
    images, labels = torch.rand(steps, BATCH, 1, 28, 28), torch.arange(BATCH) % 10

    def train():
        for x in images:
            optimizer.zero_grad()
            criterion(net(x), labels).backward()
            optimizer.step()

    return train


WAYS = {"joc": joc, "nnx": plain, "torch": pytorch}


def one_turn(way, steps):
    """Seconds of wall and of processor a step, the best of three calls after the first."""
    train = WAYS[way](steps)
    train()
    best = []
    for _ in range(3):
        wall, cpu = time.perf_counter(), time.process_time()
        train()
        best.append(((time.perf_counter() - wall) / steps, (time.process_time() - cpu) / steps))
    return [min(column) for column in zip(*best, strict=True)]


def main(cores, rounds, quick):
    """Print a line a way; return how many times faster ours is, in wall time."""
    found = {}
    for turn in range(1 if quick else rounds):
        for way in WAYS:
            if way == "torch" and importlib.util.find_spec("torch") is None:
                if turn == 0:
                    print("torch is not installed, skipped")
                continue
            command = [sys.executable, __file__, "--way", way, "--cores", str(cores)]
            said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
            run = json.loads(said.splitlines()[-1])
            found[way] = [min(pair) for pair in zip(found.get(way, run), run, strict=True)]
    print(f"{os.cpu_count()} cores, {cores} of them used, batch {BATCH}")
    print(f"{'way':<8}{'steps/s':>10}{'cpu ms/step':>14}{'joc is':>10}{'by cpu':>9}")
    ratios = {}
    for way, (wall, cpu) in found.items():
        ratios[way] = wall / found["joc"][0]
        by_cpu = cpu / found["joc"][1]
        print(f"{way:<8}{1 / wall:>10.1f}{1e3 * cpu:>14.1f}{ratios[way]:>9.2f}x{by_cpu:>8.2f}x")
    for way, least in WANTED.items():
        if way in ratios:
            print(f"{ratios[way]:.2f}x {way} (wanted: {least:g}x)")
    return ratios


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cores", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one round")
    parser.add_argument("--way", choices=WAYS, help="this one only, in this process")
    arguments = vars(parser.parse_args())
    if (way := arguments.pop("way")) is not None:
        allowed = sorted(os.sched_getaffinity(0))[-arguments["cores"] :]
        os.sched_setaffinity(0, allowed)  # before any library starts its threads
        print(json.dumps(one_turn(way, STEPS[way])))
    else:
        main(**arguments)
