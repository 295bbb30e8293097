"""The weather of tests: four CPU devices, strict rank promotion, quick compiles, patient collector.

Thousands of little programs are compiled once and run once: LLVM's optimizations would cost a fifth
of the time.  Where bits are claimed, tests ask for the default effort (``DEFAULT_EFFORT`` of
helpers.py), as the engine does for its own programs.
"""

import gc
import os

os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_backend_optimization_level=0"

import jax

jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_rank_promotion", "raise")
gc.set_threshold(300_000, 50, 1000)  # by default a fifth of the time goes into walking programs

collect_ignore = ["robustness_frameworks.py"]  # a script that needs torch and keras, no tests
