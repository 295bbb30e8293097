"""`compare --ray` on two nodes of this machine, one killed midway, and the same without Ray.

Question  Is the study that of one machine, file by file, though a node dies while it trains?
Method    A head without devices and two nodes of one each, on loopback.  Once the command has told
          how far it is, the second node's raylet and processes get SIGKILL.  Then the same command
          trains on this machine's own cores, and the files of both are compared.
Needs     pip install 'jaxopt-course[ray]'
Run       python -m experiments.benchmarks.killed_node [--epochs 400] [--out runs/killed]
Result    the command's own output, and a line a file; the exit status is 1 where one differs.
"""

import argparse
import contextlib
import filecmp
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from experiments.benchmarks import ray_nodes

OPTIMIZERS = ["sgd", "momentum", "adam", "adamw"]
ASKED = ["compare", "--task", "wine", "--optimizers", *OPTIMIZERS, "--trials", "32", "--seeds", "4"]
ASKED += ["--confirm", "5"]
FILES = ["trials.csv", "curves.nc", "confirm/trials.csv", "confirm/curves.nc"]


def nodes() -> tuple[Any, Any]:
    """A cluster, and the node that is to die."""
    cluster = ray_nodes.head()
    cluster.add_node(**ray_nodes.NODE)
    return cluster, cluster.add_node(**ray_nodes.NODE)


def kill(cluster: Any, node: Any) -> None:
    """SIGKILL for all that runs of a node."""
    [raylet] = [one.process for one in node.all_processes["raylet"]]
    found = subprocess.run(["pgrep", "-P", str(raylet.pid)], capture_output=True, text=True)
    for pid in map(int, found.stdout.split()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    cluster.remove_node(node, allow_graceful=False)


def main(epochs: int, out: Path) -> int:
    """Print both outputs and the comparison; the exit status."""
    asked = [*ASKED, "--epochs", str(epochs), "--overwrite"]
    command = [sys.executable, "-m", "jaxopt_course", *asked]
    cluster, dying = nodes()
    try:
        more = ["--ray", cluster.address, "--out", str(out / "ray")]
        print("$ jaxopt-course", *asked, *more, flush=True)
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        with subprocess.Popen([*command, *more], **pipes) as process:
            for line in process.stdout:
                print(line, end="", flush=True)
                if dying is not None and "trial-steps/s" in line:
                    kill(cluster, dying)
                    print("[the second node is killed]", flush=True)
                    dying = None
        if process.returncode or dying is not None:
            print(f"not shown: the command ended with {process.returncode}, all nodes alive or not")
            return 1
    finally:
        cluster.shutdown()
    more = ["--out", str(out / "here")]
    print("$ jaxopt-course", *asked, *more, flush=True)
    nowhere = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run([*command, *more], check=True, **nowhere)
    same = {name: filecmp.cmp(out / "ray" / name, out / "here" / name, False) for name in FILES}
    for name, equal in same.items():
        print(f"{name}: {'the same bytes' if equal else 'OTHER BYTES'}")
    return 0 if all(same.values()) else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=400, help="of each trial")
    parser.add_argument("--out", type=Path, default=Path("runs/killed"), help="of both studies")
    sys.exit(main(**vars(parser.parse_args())))
