"""Ray Core: the devices of its nodes, an actor each.

Ray starts processes and carries messages; which rows a device gets, what is decided and what is
saved stays in the sweep's own process.  An actor that dies is made again as long as its node lives.
"""

import contextlib
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxopt_course.clusters.actor import KINDS, Actor, environment_of, facts_of
from jaxopt_course.clusters.connect import connect, imported
from jaxopt_course.clusters.worker import RayWorker, Slot
from jaxopt_course.sweeps.messages import Code, Leaves
from jaxopt_course.sweeps.patience import is_number

LOOK_SECONDS = 1.0  # between two looks at the nodes
OTHERS_SECONDS = 1.0  # for the others to say what they are, once the first device has
DEATHS = 3  # of an actor before it has answered once, after which its place stays empty


@dataclass(frozen=True)
class Ray:
    """Train on the devices of a Ray cluster: ``sweep(..., cluster=joc.Ray())``.

    Nodes may join, fall silent and die while a sweep runs; the table is that of one process with
    devices of the same kind, bit for bit.  Programs travel as machine code, compiled here, so
    nothing of your code need be installed there but this package, in the same version.

    Attributes:
        address: of the cluster, as ``ray.init`` takes it: "auto" is the one of this machine,
            "local" one that is started for this sweep alone, or "host:port".
        devices_per_node: actors on each node; default its GPUs, or its CPUs where it has none.
        silent_seconds: after so long without an answer a device's rows are given to others too;
            the first answer counts, so that a slow device costs time and no results.
        start_seconds: how long the sweep waits for its first device.
        mixed: whether nodes may have other CPUs, GPUs or versions of JAX than this process.  They
            compile the program themselves, and agree to rounding: the manifest's ``mixed`` says
            which trials ran on which node, and where an unlike one trained, ``repeatable`` is
            false, with which :meth:`Study.replay` compares to rounding.

    Raises:
        TypeError, ValueError: of the wrong kind, or not positive.
    """

    address: str = "auto"
    devices_per_node: int | None = None
    silent_seconds: float = 60.0
    start_seconds: float = 120.0
    mixed: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.address, str) or not self.address:
            raise TypeError(
                f'address must be a text, as "auto" or "host:port", not {self.address!r}'
            )
        if not isinstance(self.mixed, bool):
            raise TypeError(f"mixed must be True or False, not {self.mixed!r}")
        for name in ("devices_per_node", "silent_seconds", "start_seconds"):
            value = getattr(self, name)
            whole = name == "devices_per_node"
            if value is None and whole:
                continue
            fits = is_number(value) and (isinstance(value, int | np.integer) or not whole)
            if not fits or not value > 0:
                raise ValueError(f"{name} must be a positive number, not {value!r}")
            object.__setattr__(self, name, int(value) if whole else float(value))

    @contextlib.contextmanager
    def opened(self, device: Any) -> Iterator["RayWorkers"]:
        """Connect, for as long as a sweep lasts.

        Args:
            device: of this process; those of the nodes must be of its kind, if not ``mixed``.

        Raises:
            ImportError: Ray is not installed, or of another version.
            ConnectionError: nobody answers at the address, or no device in time.
            ValueError: a node has other code or another Ray; or, if not ``mixed``, another jax,
                other devices or instructions.  A node that says so later than the first device is
                ready is left out, with a warning.
        """
        ray = imported(self.mixed)
        ours = not ray.is_initialized()
        if ours:
            connect(ray, self.address)
        workers = RayWorkers(ray, self, device)
        try:
            workers.start()
            yield workers
        finally:
            workers.close()
            if ours:
                ray.shutdown()


class RayWorkers:
    """The actors of a cluster, as they come and go; see ``sweeps.messages.Workers``."""

    def __init__(self, ray: Any, settings: Ray, device: Any) -> None:
        self.calls: dict[str, int] = {}
        self.silent_seconds = settings.silent_seconds
        self._ray, self._settings, self._mine = ray, settings, facts_of(device)
        self._platform = device.platform
        self._slots: dict[tuple[str, int], Slot] = {}
        self.platforms: list[str] = []
        self._message: Any = None
        self._most, self._looked, self._loaded = 0, 0.0, False

    def start(self) -> None:
        """Wait for the first device, and for others that come with it; see :meth:`Ray.opened`."""
        until, failed = time.monotonic() + self._settings.start_seconds, []
        while not any(slot.checked for slot in self._slots.values()):
            self._look()
            for slot in list(self._slots.values()):
                self._check(slot, refuse=True)
            failed = [slot for slot in self._slots.values() if slot.deaths >= DEATHS]
            if failed and len(failed) == len(self._slots):
                raise ConnectionError(
                    f"no process of the Ray cluster stays alive; on {failed[0].name}: "
                    f"{failed[0].why} (is this package installed there, in the same version?)"
                )
            if time.monotonic() > until:
                raise ConnectionError(
                    f"no device of the Ray cluster was ready within "
                    f"{self._settings.start_seconds:g} s, of {len(self._slots)} that it has; "
                    '"ray status" says what they are busy with'
                )
            self._pause([slot.coming for slot in self._slots.values() if slot.coming is not None])
        if coming := [slot.coming for slot in self._slots.values() if slot.coming is not None]:
            self._ray.wait(coming, num_returns=len(coming), timeout=OTHERS_SECONDS)
            for slot in list(self._slots.values()):
                self._check(slot, refuse=True)
        if self._settings.mixed:
            found = {slot.platform for slot in self._slots.values() if slot.checked}
            self.platforms = sorted(found | {self._platform})

    def _pause(self, coming: list[Any]) -> None:
        if coming:
            self._ray.wait(coming, num_returns=1, timeout=0.2)
        else:
            time.sleep(0.2)

    def begin(self, code: Code, data: Leaves, most: int) -> None:
        """See ``Workers``.

        Raises:
            MemoryError: neither this node's store nor its disk has room for program and data.
        """
        known, self._loaded = self._ray.exceptions, False
        try:
            self._message, self._most = (self._ray.put(code), self._ray.put(data)), most
        except (known.ObjectStoreFullError, known.OutOfDiskError) as error:  # Ray spills to disk
            size = sum(x.nbytes for x in data) / 2**20
            raise MemoryError(
                f"Ray's object store has no room for the data ({size:.0f} MiB), nor has the disk "
                "to which it spills: start Ray with --object-store-memory=BYTES, or make room "
                "under its --temp-dir"
            ) from error
        for slot in self._slots.values():
            slot.loaded, slot.coming = False, None if slot.checked else slot.coming

    def joined(self) -> Sequence["RayWorker"]:
        """See ``Workers``.

        Raises:
            RuntimeError: no device that there is could load the program.
        """
        if time.monotonic() - self._looked >= LOOK_SECONDS:
            self._look()
        found = []
        for slot in list(self._slots.values()):
            self._check(slot, refuse=False)
            if not slot.checked or slot.loaded:
                continue
            if slot.coming is None and self._under_way() < self._most:
                slot.coming = slot.actor.load.remote(*self._message, slot.alike)
            if slot.coming is not None and self._came(slot):
                slot.loaded = self._loaded = True
                found.append(RayWorker(self._ray, slot, self._died))
        out = [slot for slot in self._slots.values() if slot.deaths >= DEATHS]
        if out and not self._loaded and len(out) == len(self._slots):
            where = f"on {out[0].name}: {out[0].why}"
            raise RuntimeError(f"no device of the Ray cluster could load the program; {where}")
        return found

    def _under_way(self) -> int:
        return sum(
            one.checked and (one.loaded or one.coming is not None) for one in self._slots.values()
        )

    def wait(self, busy: Sequence[Any], seconds: float) -> None:
        """See ``Workers``."""
        oldest = [worker.calls[0] for worker in busy if worker.calls]
        if oldest:
            self._ray.wait(oldest, num_returns=1, timeout=seconds)
        else:
            time.sleep(seconds)

    def close(self) -> None:
        """Let all actors go."""
        for slot in self._slots.values():
            if slot.actor is not None:
                with contextlib.suppress(Exception):  # it may be dead, or the cluster gone
                    self._ray.kill(slot.actor)

    def _look(self) -> None:
        """Make an actor in each free place of each node."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        self._looked = time.monotonic()
        for node in self._ray.nodes():
            if not node["Alive"]:
                continue
            has = node["Resources"]
            gpu, platform = self._platform == "gpu", self._platform
            if self._settings.mixed:  # what it has, and not what this process has
                gpu = has.get("GPU", 0) >= 1
                platform = "gpu" if gpu else "cpu"
            count = int(has.get("GPU" if gpu else "CPU", 0))
            if self._settings.devices_per_node is not None and count:
                count = self._settings.devices_per_node
            for number in range(count):
                key = node["NodeID"], number
                if key not in self._slots:
                    where = f"{node['NodeManagerHostname']} ({key[0][:6]}), device {number}"
                    self._slots[key] = Slot(where, gpu, key[0])
                slot = self._slots[key]
                if slot.actor is None and slot.deaths < DEATHS:
                    there = NodeAffinitySchedulingStrategy(node_id=slot.node, soft=False)
                    share = min(1.0, has.get("CPU", 0.0) / count)
                    needs = {"num_gpus": 1.0, "num_cpus": 0.0} if gpu else {"num_cpus": share}
                    made = self._ray.remote(Actor).options(
                        max_restarts=0, scheduling_strategy=there, **needs
                    )
                    slot.actor = made.remote(environment_of(platform))
                    slot.coming = slot.actor.facts.remote()
        alive = {node["NodeID"] for node in self._ray.nodes() if node["Alive"]}
        for key in [key for key in self._slots if key[0] not in alive]:
            del self._slots[key]

    def _check(self, slot: Slot, refuse: bool) -> None:
        """Compare what a new actor says of itself with this process."""
        if slot.checked or slot.coming is None:
            return
        facts = self._came(slot)
        if not facts:
            return
        mine, platform = self._mine, facts.get("platform", "")
        has = {name: facts.get(name) for name in mine}  # other code may not say all of it
        unlike = [name for name in mine if has[name] != mine[name]]
        allowed = self._settings.mixed and set(unlike) <= {*KINDS}
        if not unlike or (allowed and (refuse or platform in self.platforms)):
            slot.checked, slot.alike, slot.platform = True, not unlike, platform
            if self._settings.mixed:
                kind = {name: has[name] for name in KINDS}
                slot.facts = {"node": slot.name, **kind, "alike": slot.alike}
            return
        other = [f"{name} {has[name] or 'none'}, not {mine[name] or 'none'}" for name in unlike]
        why = "its trials would not be those of this process to the bit"
        if allowed:
            why = f"the sweep began without a {platform} device and has no program for one"
        said = f"the node {slot.name} has {'; '.join(other)}: {why}"
        if refuse:
            ways = "give it the same, or leave it out of the cluster"
            if not self._settings.mixed and set(unlike) <= {*KINDS}:
                ways += ", or allow rounding: joc.Ray(mixed=True)"
            raise ValueError(f"{said}; {ways}")
        self._leave_out(slot, said)

    def _came(self, slot: Slot) -> Any:
        """What an actor was asked for; nothing where it has not come, or never will."""
        ready, _ = self._ray.wait([slot.coming], timeout=0)
        if not ready:
            return None
        coming, slot.coming = slot.coming, None
        try:
            return self._ray.get(coming) or True
        except self._ray.exceptions.RayTaskError as error:
            why = " ".join(str(error.cause or error).split())[-200:]
            if self._message is None:  # nothing has begun that would be lost
                raise RuntimeError(f"the node {slot.name}: {why}") from error
            cannot = "load the program" if slot.checked else "say what it is"
            self._leave_out(slot, f"the node {slot.name} cannot {cannot} ({why})", why)
            return None
        except self._ray.exceptions.RayError as error:
            self._died(slot, error)
            return None

    def _leave_out(self, slot: Slot, said: str, why: str = "") -> None:
        """Let go of an actor for good, and say why."""
        with contextlib.suppress(Exception):
            self._ray.kill(slot.actor)
        slot.actor, slot.coming, slot.checked, slot.deaths = None, None, False, DEATHS
        slot.why = why or said
        warnings.warn(f"{said}; it is left out", stacklevel=2)

    def _died(self, slot: Slot, error: Exception) -> None:
        """Let go of an actor; one that never gets anywhere is not made for ever."""
        slot.deaths = 0 if slot.loaded else slot.deaths + 1
        with contextlib.suppress(Exception):
            self._ray.kill(slot.actor)
        slot.actor, slot.coming, slot.checked, slot.loaded = None, None, False, False
        slot.why = " ".join(str(error).split())[-200:] or type(error).__name__
        if slot.deaths == DEATHS and self._most:
            warnings.warn(
                f"the node {slot.name} is left out: its process died {DEATHS} times before it had "
                f"done anything ({slot.why})",
                stacklevel=2,
            )
