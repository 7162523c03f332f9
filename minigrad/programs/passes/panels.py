"""Panels: the parts in which a BLAS library adds up a long sum of products.

A sum in floating point depends on its order. A BLAS library works through long sums in panels (Goto and van de Geijn,
"Anatomy of high-performance matrix multiplication", ACM TOMS 34, 2008), and whoever adds up the products of its panels
has the very same sums. Which panels they are is found by trying, on numbers at random.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TypeAlias

Panels: TypeAlias = list[tuple[int, int]]

PANELS = (448, 384, 320, 256, 352, 512, 640, 768, 240, 192, 128)
"""Rows of a panel in OpenBLAS's kernels for the processors of the day (GEMM_Q in its param.h)."""
ROUNDED = (16, 8, 4, 1)
"""What the last two panels are rounded to by one thread (GEMM_UNROLL_M); several threads do not round them."""


def in_panels(rows: int, size: int, multiple: int) -> Panels:
    """Full panels while there are rows for two; of fewer, one half, rounded up (OpenBLAS's level3.c)."""
    bounds = [0]
    while (left := rows - bounds[-1]) > 0:
        half = -(-left // 2) if multiple == 1 else -(-(left // 2) // multiple) * multiple
        bounds.append(bounds[-1] + (size if left >= 2 * size else half if left > size else left))
    return list(pairwise(bounds))


def ways_to_panel(rows: int) -> Iterator[Panels]:
    """All the panels that a sum of so many products may have, each once; more than one."""
    tried: list[Panels] = []
    for panels in (in_panels(rows, size, multiple) for size in PANELS for multiple in ROUNDED):
        if len(panels) > 1 and panels not in tried:
            tried.append(panels)
            yield panels
