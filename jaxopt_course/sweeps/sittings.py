"""Who sat in which lane, from when to when: for people who look at it; no result depends on it."""

import time
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

MOST = 4_000  # that are kept: beyond, a picture shows nothing more


class Sitting(NamedTuple):
    """A trial in a lane; seconds since the sweep began."""

    device: str
    lane: int
    row: int
    begin: float
    end: float


@dataclass
class Sittings:
    """Those of one run of a sweep, in the order in which they began to be read."""

    begun: float = field(default_factory=time.perf_counter)
    kept: list[Sitting] = field(default_factory=list)
    last: dict[tuple[str, int], int] = field(default_factory=dict)  # place of a lane's last one

    def note(self, device: str, guests: np.ndarray, begin: float, end: float) -> None:
        """A call has been read: who sat in the device's lanes meanwhile.

        Args:
            device: by name.
            guests: (W,), rows of the table, negative where nobody sat.
            begin: of the call, by ``time.perf_counter``.
            end: likewise.
        """
        begin, end = begin - self.begun, end - self.begun
        for lane in np.flatnonzero(guests >= 0).tolist():
            row, place = int(guests[lane]), self.last.get((device, lane))
            if place is not None and self.kept[place].row == row:  # has stayed
                self.kept[place] = self.kept[place]._replace(end=end)
            elif len(self.kept) < MOST:
                self.last[device, lane] = len(self.kept)
                self.kept.append(Sitting(device, lane, row, begin, end))
            else:
                self.last.pop((device, lane), None)

    def told(self, numbers: np.ndarray) -> list[list[str | int | float]]:
        """As an event has them: device, lane, trial, begin, end.

        Args:
            numbers: (N,), the trial of each row.
        """
        return [
            [one.device, one.lane, int(numbers[one.row]), round(one.begin, 3), round(one.end, 3)]
            for one in self.kept
        ]
