"""Everything that is to be known of one GPU, in at most eight minutes.

Question  On this device: how many training steps a second for N trials, against one after another
          and against vmap by hand; which number of lanes is best; what do deterministic operations,
          fixed autotuning and float32 products cost, and do resume and replay give the same bits in
          a second process; what of the memory's bandwidth does an optimizer step reach, beside
          optax's; transfers, compilation, memory; does the suite's short part pass?
Method    Each section in a process of its own, which has what is left of the time; a section that
          fails or runs out of it is said, and the others go on.  Medians of three runs, warm.
Needs     Python 3.12, jax 0.11 or newer with CUDA; pytest for the last section
Run       python -m experiments.benchmarks.gpu [--minutes 8] [--out runs/gpu]
          python -m experiments.benchmarks.gpu --small    (a rehearsal of a minute, on any device)
Result    printed; OUT/rows.jsonl and OUT/gpu.md.
"""

import argparse
import contextlib
import hashlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from experiments.benchmarks.side_by_side.table import grid_of

ROOT = Path(__file__).parents[2]
SETTINGS = {  # whether the compiler is told to repeat its bits, and the products of float32
    "neither": (False, "default"),
    "same bits in every process": (True, "default"),
    "and float32 products in full, as a sweep has it": (True, "highest"),
}
SHORT_PART = ("optax_alias", "engine", "replay")
TRIALS = {"mlp": (1, 4, 16, 64, 256, 1024, 4096), "cnn": (1, 4, 16, 64, 256)}
LANES = {"mlp": (64, 256, 1024, 4096), "cnn": (8, 32, 64, 256)}
EPOCHS = {"mlp": 10, "cnn": 4}
SMALL = {"trials": {"mlp": (2,), "cnn": (1,)}, "lanes": {"mlp": (), "cnn": ()}, "bits": 2}


def machine(small):
    """What this is."""
    import jax

    device = jax.devices()[0]
    yield {
        "device": device.device_kind, "platform": device.platform, "jax": jax.__version__,
        "python": platform.python_version(), "cores": os.cpu_count(),
    }  # fmt: skip


def mlp(small):
    """Trial-steps a second of the MLP."""
    yield from throughput("mlp", small)


def cnn(small):
    """Trial-steps a second of the CNN."""
    yield from throughput("cnn", small)


def throughput(name, small):
    """One after another, vmap by hand, the engine's default; then other numbers of lanes."""
    import jax

    from experiments.benchmarks.side_by_side import by_hand, ours, workloads

    trials = SMALL["trials"][name] if small else TRIALS[name]
    widths = SMALL["lanes"][name] if small else LANES[name]
    steps = workloads.WORKLOADS[name].epoch * (1 if small else EPOCHS[name])
    task, most = workloads.make_task(name), workloads.made(name, range(max(trials)), steps)
    serial = rate(by_hand.scan(first(most, 1)), steps)
    yield {"workload": name, "trials": 1, "way": "one after another", "rate": serial}

    def engine(case, lanes):
        bucket, session = ours.session_of(case, task, lanes, jax.local_devices()[:1])
        lanes, compiling = session.program.lanes, session.program.seconds
        found = rate(ours.trainer(bucket.columns.trials, session), steps * len(case.trials))
        return {
            "workload": name, "trials": len(case.trials), "way": f"engine, {lanes} lanes",
            "rate": found, "times_serial": found / serial, "compile_seconds": compiling,
            "peak_mib": peak_mib(),
        }  # fmt: skip

    for count in trials:
        case = first(most, count)
        yield engine(case, None)
        with contextlib.suppress(MemoryError):
            found = rate(by_hand.vmap(case), steps * count)
            yield {
                "workload": name, "trials": count, "way": "vmap by hand", "rate": found,
                "times_serial": found / serial,
            }  # fmt: skip
    for lanes in widths:
        yield engine(most, lanes)


def first(case, count):
    """The first trials of a case."""
    return case._replace(trials=case.trials[:count])


def rate(run, trial_steps):
    """A second; the median of three runs after one that compiles."""
    run()
    return trial_steps / statistics.median(seconds(run) for _ in range(3))


def seconds(run):
    """Of one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def peak_mib():
    """Of the device, so far in this process; None where it does not count."""
    import jax

    held = jax.local_devices()[0].memory_stats() or {}
    return held.get("peak_bytes_in_use", 0) / 2**20 or None


def steps(small):
    """An optimizer step beside optax's, and its share of the rate of a copy."""
    import jax
    import jax.numpy as jnp
    import optax

    from experiments.benchmarks import step_time

    shapes = {"2 x 64": (2, 64)} if small else step_time.SHAPES
    ones = jnp.ones((2**16 if small else 2**28) // 4)
    copy = jax.jit(lambda x: x + 1)
    jax.block_until_ready(copy(ones))
    best = min(seconds(lambda: jax.block_until_ready(copy(ones))) for _ in range(10))
    copied = 2 * ones.nbytes / best
    yield {"way": "copy", "gb_per_second": copied / 1e9}
    for label, (leaves, size) in shapes.items():
        keys = jax.random.split(jax.random.key(0), 2)
        params, gradients = (list(jax.random.normal(key, (leaves, size))) for key in keys)
        makers = step_time.OPTIMIZERS["adam"]
        ratio = step_time.step_ratio(makers, params, gradients, 2 if small else 20)
        runner = step_time.Runner(makers[1](), optax.apply_updates, params, gradients)
        runner.seconds(2)
        moved = 7 * 4 * leaves * size / (runner.seconds(20) / 20)  # w, m, v there and back, and g
        yield {
            "way": f"adam, {label}", "ours_over_optax": ratio, "gb_per_second": moved / 1e9,
            "share_of_copy": moved / copied,
        }  # fmt: skip


def transfer(small):
    """To the device and back."""
    import jax
    import numpy as np

    array = np.ones(2**16 if small else 2**26, np.float32)
    put = lambda: jax.block_until_ready(jax.device_put(array))
    held = put() + 0
    there, back = (min(seconds(run) for _ in range(5)) for run in (put, lambda: np.array(held)))
    for way, took in {"to the device": there, "from the device": back}.items():
        yield {"way": way, "gb_per_second": array.nbytes / took / 1e9}


def bits(small):
    """Sweep; sweep, cut short; resume and replay in a second process: under each setting."""
    plain = None
    for name, setting in list(SETTINGS.items())[:: 2 if small else 1]:
        with tempfile.TemporaryDirectory() as folder:
            whole = child("whole", f"{folder}/whole", small, *setting)
            child("half", f"{folder}/half", small, *setting)
            again = child("resume", f"{folder}/half", small, *setting)
        plain = plain or whole["seconds"]
        yield {
            "setting": name, "resume_same_bits": again["sha256"] == whole["sha256"],
            "replay_same_bits": again["identical"], "seconds": whole["seconds"],
            "times_as_long": whole["seconds"] / plain,
        }  # fmt: skip


def child(part, folder, small, repeats, precision):
    """Such a process's last line."""
    command = [*COMMAND, "--part", part, folder, *(["--small"] if small else [])]
    command += [] if repeats else ["--free"]
    env = os.environ | {"JAX_DEFAULT_MATMUL_PRECISION": precision}
    done = subprocess.run(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def part_of_bits(part, folder, small):
    """What a child of ``bits`` does."""
    import jax
    import numpy as np

    import jaxopt_course as joc
    from experiments.benchmarks.side_by_side import workloads

    task = workloads.make_task("logistic" if small else "mlp")
    how = {"devices": jax.local_devices()[:1], "progress": False}
    if part == "resume":
        study = joc.Study.resume(folder, task=task, **how)
    else:
        rates = np.geomspace(1e-4, 1e-2, SMALL["bits"] if small else 64)
        study = interrupted_or_whole(task, joc.grid(learning_rate=rates), part, folder, small, how)
    values = np.ascontiguousarray(study.curves["train_loss"].values)
    told = {"sha256": hashlib.sha256(values.tobytes()).hexdigest()}
    told |= {"seconds": study.events[0]["seconds"]}
    if part == "resume":
        told |= {"identical": study.replay(1, task=task).identical}
    print(json.dumps(told))


def interrupted_or_whole(task, trials, part, folder, small, how):
    """A sweep; "half" of one ends after the first reading."""
    import jaxopt_course as joc

    def stop(_):
        raise KeyboardInterrupt

    try:
        return joc.sweep(
            task,
            trials,
            "adam",
            epochs=16 if small else 40,
            batch_size=64,
            directory=folder,
            on_reading=stop if part == "half" else None,
            **how,
        )
    except joc.SweepInterrupted as cut:
        return cut.study


def suite(small):
    """The short part of the tests."""
    files = [f"tests/test_{name}.py" for name in SHORT_PART]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run([*command, *files], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    said = done.stdout.splitlines() or ["nothing"]
    yield {"files": " ".join(files), "passes": done.returncode == 0, "said": said[-1]}
    for line in said:
        if line.startswith("FAILED"):
            yield {"said": line[:200]}


SECTIONS = {
    "machine": machine, "bits": bits, "mlp": mlp, "cnn": cnn, "steps": steps,
    "transfer": transfer, "suite": suite,
}  # fmt: skip
COMMAND = [sys.executable, "-m", "experiments.benchmarks.gpu"]


def main(sections, minutes, out, small):
    """Run the sections one after another; print and write their rows."""
    out.mkdir(parents=True, exist_ok=True)
    end = time.perf_counter() + 60 * minutes
    rows = []
    environment = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "PYTHONUNBUFFERED": "1"} | os.environ
    for name in sections:
        command = [*COMMAND, "--section", name, *(["--small"] if small else [])]
        start = time.perf_counter()
        said, problem = "", ""
        with subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True,
            start_new_session=True,
        ) as process:  # fmt: skip
            try:
                said, _ = process.communicate(timeout=max(1.0, end - start))
                problem = f"failed ({process.returncode})" if process.returncode else ""
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                said, problem = process.communicate()[0], "out of time"
        found = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
        found += [{"problem": problem}] if problem else []
        rows += [{"section": name} | row for row in found]
        print(f"\n{name}: {time.perf_counter() - start:.0f} s\n\n{grid_of(found)}", flush=True)
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (out / "rows.jsonl").write_text(lines, encoding="utf-8")
    (out / "gpu.md").write_text(page(rows), encoding="utf-8")
    print(f"\n{out / 'gpu.md'}")
    return rows


def page(rows):
    """A table a section."""
    names = dict.fromkeys(row["section"] for row in rows)
    without = lambda row: {key: value for key, value in row.items() if key != "section"}
    blocks = [
        f"## {name}\n\n{grid_of([without(row) for row in rows if row['section'] == name])}"
        for name in names
    ]
    return "\n".join(blocks)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sections", nargs="+", default=list(SECTIONS), choices=list(SECTIONS))
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "gpu")
    parser.add_argument("--small", action="store_true", help="a rehearsal, on any device")
    parser.add_argument("--section", choices=SECTIONS, help="this one only, in this process")
    parser.add_argument("--free", action="store_true", help="the compiler need not repeat its bits")
    parser.add_argument("--part", nargs=2, help="for the processes of the section bits")
    arguments = parser.parse_args()
    if arguments.free:
        from jaxopt_course.sweeps import program

        program.GPU_REPEATS = {}
    if arguments.part:
        part_of_bits(*arguments.part, arguments.small)
    elif arguments.section:
        for row in SECTIONS[arguments.section](arguments.small):
            print(json.dumps(row), flush=True)
    else:
        main(arguments.sections, arguments.minutes, arguments.out, arguments.small)
