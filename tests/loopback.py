"""A cluster in this process: executors in threads, that may die or fall silent."""

import contextlib
import copy
import queue
import threading
import time

import jax

from jaxopt_course.sweeps.executor import Executor
from jaxopt_course.sweeps.messages import Lost


class Threads:
    """``cluster=`` of some devices of this process.

    Args:
        devices: how many at first.
        events: (worker, number of its work) -> "die", or seconds to be silent before it.
        joins: seconds -> a further one.
        silent_seconds: as of ``joc.Ray``.
        unlike: as with ``joc.Ray(mixed=True)``, numbers of the devices of another kind.
    """

    def __init__(self, devices=2, events=None, joins=(), silent_seconds=60.0, unlike=None):
        self.devices, self.events, self.joins = devices, events or {}, joins
        self.unlike = unlike  # numbers of those that compile themselves; None: all must be alike
        self.silent_seconds = silent_seconds
        self.workers = []

    @contextlib.contextmanager
    def opened(self, device):
        group = Group(self)
        try:
            yield group
        finally:
            for one in group.all:
                one.inbox.put(None)
            for one in group.all:
                one.thread.join()


def loaded(message, alike=True, known={}):  # noqa: B006 (to load takes longer than to train)
    """An executor with this program, loaded once."""
    code, data = message
    key = code.segment, alike, *(x.tobytes() for x in data)
    if key not in known:
        known[key] = Executor(jax.devices()[1])
        known[key].load(code, data, alike)
    return known[key]


class Group:
    def __init__(self, cluster):
        self.cluster, self.silent_seconds = cluster, cluster.silent_seconds
        self.all, self.calls, self.news = [], {}, threading.Condition()
        self.platforms = [] if cluster.unlike is None else ["cpu"]

    def begin(self, code, data, most):
        self.message, self.began, self.late = (code, data), time.perf_counter(), []
        self.fresh = [self._one(i) for i in range(min(self.cluster.devices, most))]
        self.late = list(self.cluster.joins)

    def _one(self, number):
        one = InThread(self, f"thread {number}", number)
        unlike = self.cluster.unlike
        if unlike is not None:
            one.facts = {"node": one.name, "alike": number not in unlike}
        one.executor = copy.copy(loaded(self.message, number not in (unlike or ())))
        one.executor.empty(self.message[0])
        self.all.append(one)
        return one

    def joined(self):
        while self.late and time.perf_counter() - self.began >= self.late[0]:
            self.late.pop(0)
            self.fresh.append(self._one(len(self.all)))
        fresh, self.fresh = self.fresh, []
        return fresh

    def wait(self, busy, seconds):
        with self.news:
            self.news.wait_for(lambda: any(one.answered() for one in busy), min(seconds, 0.02))


class InThread:
    def __init__(self, group, name, number):
        self.group, self.name, self.number = group, name, number
        self.inbox, self.outbox = queue.Queue(), queue.Queue()
        self.dead, self.facts = False, {}
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        count = 0
        while (work := self.inbox.get()) is not None:
            event = self.group.cluster.events.get((self.number, count))
            count += 1
            if event == "die":
                self.dead = True
            elif event is not None:
                time.sleep(event)
            self.outbox.put(Lost("killed") if self.dead else self.executor.work(work))
            with self.group.news:
                self.group.news.notify_all()

    def send(self, work):
        self.inbox.put(work)

    def answered(self):
        return not self.outbox.empty()

    def answer(self):
        answer = self.outbox.get()
        if isinstance(answer, Lost):
            raise answer
        return answer
