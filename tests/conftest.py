"""The weather of tests: four CPU devices, strict rank promotion, quick compiles, patient collector.

A sweep lowers and compiles its programs for each device: by default it finds one here, and tests of
what several do name them (``devices=jax.devices()[:2]``).

Many programs are compiled again and again: workers, and what tests start, share them in a directory
that lasts as long as the run.  To store one costs a tenth of compiling it, to find it saves two
thirds.

Thousands of little programs are compiled once and run once: LLVM's optimizations would cost a fifth
of the time, the emitters of fusions half of it, and the 32 modules that each program is cut into,
for as many threads, two fifths of what is left.  Where bits are claimed, tests ask for the default
effort (``DEFAULT_EFFORT`` of helpers.py); the engine's programs are optimized as its users' are
where the fixture ``optimized`` is asked for (``optimized_here``: in one test): in the tests of
lanes, resume and replay, which hold the promise of bits.
"""

import atexit
import gc
import os
import shutil
import signal
import tempfile
from pathlib import Path

import jaxlib.version

FLAGS = {
    "xla_backend_optimization_level": "0",
    "xla_cpu_use_fusion_emitters": "false",
    "xla_cpu_parallel_codegen_split_count": "1",
}
if jaxlib.version.__version_info__ >= (0, 11):
    del FLAGS["xla_cpu_use_fusion_emitters"]  # there is no choice any more
words = [os.environ.get("XLA_FLAGS", ""), *(f"--{name}={value}" for name, value in FLAGS.items())]
os.environ["XLA_FLAGS"] = " ".join(words)
# threads of a BLAS wait for each other in a loop, on the cores that the other workers need: of a
# decomposition of a small matrix nine tenths of the time; who is here already keeps his
os.environ |= dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in the background of a script
    signal.signal(signal.SIGINT, signal.default_int_handler)
if "PYTEST_XDIST_WORKER" not in os.environ:  # whoever starts workers owns what they share
    os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="programs-")
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    atexit.register(shutil.rmtree, os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)

import jax  # noqa: E402  (flags first)
import pytest  # noqa: E402
from jax._src.interpreters import mlir  # noqa: E402
from jax.experimental.compilation_cache import compilation_cache  # noqa: E402

from jaxopt_course.problems import catalog  # noqa: E402
from jaxopt_course.sweeps import program, recent  # noqa: E402

OPTIMIZED = tuple(
    effort | {key: True for key in FLAGS if key == "xla_cpu_use_fusion_emitters"}
    for effort in program.CPU_EFFORT
)
program.CPU_EFFORT = ({}, {})


def as_users_have_them():
    """The engine's programs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program, "CPU_EFFORT", OPTIMIZED)
        yield


@pytest.fixture(scope="module")
def chromium():
    """Debian's browser, for tests that are marked ``browser``."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("no chromium here: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


optimized = pytest.fixture(as_users_have_them, scope="module")
optimized_here = pytest.fixture(as_users_have_them)


def share_dialects():
    """One MLIR context for all programs: making one takes a third of compiling a small program."""
    fresh, kept = mlir.make_ir_context, []

    def shared():
        if not kept:
            kept.append(fresh())
            jax.jit(lambda x: x + 1).lower(0.0).compile()  # loads the rest, before threads do
        return kept[0]

    mlir.make_ir_context = shared


if hasattr(mlir, "make_ir_context"):  # private to jax: without it tests are slower, no more
    share_dialects()


def share_tasks():
    """Sweeps of one name train one task, which nobody can change; to make it is a tenth of a sweep.

    ``load_task`` makes it anew, as ever.
    """
    make, made = catalog.task_of, {}

    def shared(task):
        if not isinstance(task, str) or task not in catalog.TASKS:
            return make(task)
        if task not in made:
            made[task] = make(task)
        return made[task]

    catalog.task_of = shared


share_tasks()
jax.config.update("jax_compilation_cache_dir", os.environ["JAX_COMPILATION_CACHE_DIR"])
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_rank_promotion", "raise")
every_device = jax.local_devices
jax.local_devices = lambda *args, **kwargs: every_device(*args, **kwargs)[:1]
gc.set_threshold(300_000, 50, 1000)  # by default a fifth of the time goes into walking programs


@pytest.fixture
def no_jax_cache():
    """JAX has no cache: a program that it brings from there is not packed by us."""
    jax.config.update("jax_enable_compilation_cache", False)
    compilation_cache.reset_cache()
    recent.of_process.cache_clear()  # nor are ours still there
    yield
    jax.config.update("jax_enable_compilation_cache", True)
    compilation_cache.reset_cache()


SPREAD = ("test_lessons", "test_guides", "test_flax_guides")  # long tests that share nothing


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """One worker runs a file (``--dist loadgroup``): what its tests share is made once.

    Groups in the names of tests, as xdist 3.8 has them, are not heeded with pytest 9.2.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            file = nodeid.partition("::")[0]
            return nodeid if Path(file).stem in SPREAD else file

    return ByFile(config, log) if config.getvalue("dist") == "loadgroup" else None


collect_ignore = [  # scripts that need what the suite has not
    "data/rliable_numbers.py",
    "robustness_frameworks.py",
]
