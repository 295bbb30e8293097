"""CPU cores as devices: before JAX starts, or a clear error."""

import subprocess
import sys

import jax
import pytest

import jaxopt_course as joc


def test_after_jax_has_started_it_is_too_late():
    assert jax.local_device_count() == 4  # conftest, and this line starts JAX
    with pytest.raises(RuntimeError, match=r"started already, with 4 CPU device.*use_cpu_cores.2."):
        joc.use_cpu_cores(2)
    assert joc.use_cpu_cores(4) == 4  # nothing to change


@pytest.mark.parametrize("n", [0, -1, 1.5, True])
def test_a_wrong_number_is_named(n):
    with pytest.raises(ValueError, match="n must be a whole number"):
        joc.use_cpu_cores(n)


def test_the_cores_that_the_process_may_use():
    code = (
        "import os, jaxopt_course as joc\n"
        "n = joc.use_cpu_cores()\n"
        "import jax\n"
        "print(n == len(os.sched_getaffinity(0)) == jax.local_device_count('cpu'))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "True\n"
