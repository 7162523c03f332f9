"""What the parts of a check may take, in seconds of the processor, and when such a time is up.

It is this thread's own time: a machine that is busy elsewhere does not change what a check says.
"""

from __future__ import annotations

import time

CHECK = 4.0  # of a layer; then the costly rules are left out that no other depends on
PROOF = 2.0  # of gradients; then it does with fewer directions, entries and situations
BETWEEN_THRESHOLDS = 0.1  # to find an x there
OTHER_WIDTHS = 0.5  # to prove the same layer with these
REWRITTEN = 1.0  # to prove a layer that has been changed

LOCATING = 1.0  # which entries of a gradient are wrong
# Why they are, as `diagnosis` asks; most of it ends soon.
SIGNATURES, ONE_CHANGE, WAYS, OTHER_FORWARD, SEVERAL_CHANGES = 1.0, 1.5, 0.5, 1.0, 0.8
WRITTEN_OUT = 1.0  # which numbers are sizes
REFUSAL = 0.7  # why backward raises
LINE_BY_LINE, AS_ASKED = 1.5, 1.0  # which lines are not what a lesson asks for

TIMES = 1.0
"""All of it so many times: tests take more, so that none depends on how fast a machine is."""


class Deadline:
    """So many seconds of the processor from now on."""

    def __init__(self, seconds: float) -> None:
        self._begun, self._seconds = time.thread_time(), TIMES * seconds
        self._at = time.perf_counter()

    def is_over(self, part: float = 1.0) -> bool:
        """Whether this part of the time is up; before it is on the clock, which costs less to ask, it can't be."""
        seconds = part * self._seconds
        return time.perf_counter() - self._at > seconds and time.thread_time() - self._begun > seconds
