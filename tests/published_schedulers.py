"""The published schedulers, one configuration after the other, to judge our judges by.

Written from the papers; nothing here knows of lanes, arrivals or early certainty.
"""

import itertools
import math

import numpy as np


def bad(score):
    return not np.isfinite(score)


def halve(curves, members, rungs, eta):
    """Jamieson, Talwalkar (2016): at each rung keep the best floor(n / eta), at least one."""
    reached = dict.fromkeys(members, rungs[0])
    alive = list(members)
    for rung, following in itertools.pairwise(rungs):
        keep = max(1, math.floor(len(alive) / eta))
        ranked = sorted(alive, key=lambda c: (bad(curves[c][rung - 1]), curves[c][rung - 1], c))
        ranked = [c for c in ranked[:keep] if not bad(curves[c][rung - 1])]
        alive = ranked
        reached |= dict.fromkeys(alive, following)
    return reached


def asha(curves, order, rungs, eta):
    """Li et al. (2020), algorithm 2, with one worker, until nobody is left to start.

    Then the best of the highest rung climbs on alone (ours: the paper trains until it is stopped).
    """
    arrived = [[] for _ in rungs]  # configurations at each rung, in order of arrival
    promoted = [set() for _ in rungs]
    reached, fresh = {}, iter(order)

    def get_job():
        for k in reversed(range(len(rungs) - 1)):
            score = lambda c, k=k: curves[c][rungs[k] - 1]
            ranked = sorted(
                arrived[k], key=lambda c: (bad(score(c)), 0 if bad(score(c)) else score(c))
            )
            candidates = ranked[: math.floor(len(arrived[k]) / eta)]
            promotable = [c for c in candidates if c not in promoted[k] and not bad(score(c))]
            if promotable:
                promoted[k].add(promotable[0])
                return promotable[0], k + 1
        return next(fresh, None), 0

    def last_one():
        highest = max(k for k in range(len(rungs)) if arrived[k])
        there = [c for c in arrived[highest] if not bad(curves[c][rungs[highest] - 1])]
        if highest + 1 == len(rungs) or not there:
            return None, 0
        return min(there, key=lambda c: curves[c][rungs[highest] - 1]), highest + 1

    while True:
        c, k = get_job()
        if c is None:
            c, k = last_one()
        if c is None:
            return reached
        arrived[k].append(c)
        reached[c] = rungs[k]


def median(curves, order, rungs, least):
    """Golovin et al. (2017), 3.2.1, at each rung in the given order."""
    reached = dict.fromkeys(order, rungs[0])
    alive = list(order)
    for rung, following in itertools.pairwise(rungs):
        before, going = [], []
        for c in alive:
            own = np.where(np.isfinite(curves[c][:rung]), curves[c][:rung], np.inf)
            worse = len(before) >= least and own.min() > np.median(before)
            if not bad(curves[c][rung - 1]) and not worse:
                going.append(c)
            before.append(own.mean())
        alive = going
        reached |= dict.fromkeys(alive, following)
    return reached


def top_down(intervals, eta, most=None):
    """R, R/eta, R/eta², … down to an evaluation, or as often as ``most`` can be divided."""
    rungs, size, left = [], float(intervals), most
    while size >= 1 - 1e-9 and (most is None or left >= 1 - 1e-9):
        rungs.append(math.ceil(size - 1e-9))
        size, left = size / eta, None if left is None else left / eta
    return sorted(set(rungs))
