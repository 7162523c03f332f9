"""Small changes of images that leave what they show: for `fit(…, augment=shifts(2))`.

Images are rows of x: (B, h, w, channels), (B, h, w), or flat (B, h h) for square ones. Several changes in a row are a
function of one's own: `augment=lambda x, rng: shift(rotate(x, rng), rng)`. Source: Simard, Steinkraus and Platt, "Best
practices for convolutional neural networks applied to visual document analysis", ICDAR 2003.
"""

from __future__ import annotations

import math

import numpy as np

from minigrad.configured import Configured
from minigrad.functions import floating
from minigrad.parameter import Array


class shifts(Configured):
    """Moves each image by up to so many pixels down or up, and right or left; what comes in is 0.

    Both distances are drawn evenly from [-pixels, pixels], for every image anew; a fraction of a pixel is interpolated.

    Raises ValueError for a number of pixels that is negative or not finite.
    """

    def __init__(self, pixels: float) -> None:
        if not 0 <= pixels < math.inf:
            raise ValueError(f"shifts({pixels}): the number of pixels must be finite and not negative")
        self.pixels = pixels

    def __call__(self, x: Array, rng: np.random.Generator) -> Array:
        """x -> the moved images, of x's shape."""
        images = as_images(x)
        b, h, w, _ = images.shape
        down, right = rng.uniform(-self.pixels, self.pixels, (2, b, 1, 1))
        return sample(images, np.arange(h)[:, None] - down, np.arange(w) - right).reshape(x.shape)


class rotations(Configured):
    """Turns each image about its centre by an angle drawn evenly from [-degrees, degrees]; what comes in is 0.

    Raises ValueError for a number of degrees that is negative or not finite.
    """

    def __init__(self, degrees: float) -> None:
        if not 0 <= degrees < math.inf:
            raise ValueError(f"rotations({degrees}): the number of degrees must be finite and not negative")
        self.degrees = degrees

    def __call__(self, x: Array, rng: np.random.Generator) -> Array:
        """x -> the turned images, of x's shape. A positive angle turns against the clock."""
        images = as_images(x)
        b, h, w, _ = images.shape
        angle = np.radians(rng.uniform(-self.degrees, self.degrees, (b, 1, 1)))
        down, right = np.arange(h)[:, None] - (h - 1) / 2, np.arange(w) - (w - 1) / 2
        from_down = np.cos(angle) * down + np.sin(angle) * right
        from_right = np.cos(angle) * right - np.sin(angle) * down
        return sample(images, from_down + (h - 1) / 2, from_right + (w - 1) / 2).reshape(x.shape)


def as_images(x: Array) -> Array:
    """Rows as (B, h, w, channels). Raises ValueError for flat rows that are no square."""
    if x.ndim == 2:
        side = math.isqrt(x.shape[1])
        if side * side != x.shape[1]:
            raise ValueError(f"rows of {x.shape[1]} numbers are no square images; give x the shape (rows, h, w)")
        return x.reshape(len(x), side, side, 1)
    if x.ndim not in (3, 4):
        raise ValueError(f"images are rows of shape (h, w), (h, w, channels) or flat and square, not {x.shape[1:]}")
    return x if x.ndim == 4 else x[..., None]


def sample(images: Array, row: Array, column: Array) -> Array:
    """The images (B, h, w, C) at places (B, h, w) between their pixels, bilinearly; 0 outside of them.

    With a = ⌊row⌋ and α = row - a, c = ⌊column⌋ and γ = column - c:

        y = (1-α) ((1-γ) x[a, c] + γ x[a, c+1]) + α ((1-γ) x[a+1, c] + γ x[a+1, c+1])
    """
    images = floating(images)
    b, h, w, channels = images.shape
    framed = np.zeros((b, h + 2, w + 2, channels), images.dtype)
    framed[:, 1:-1, 1:-1] = images
    row, column = (np.clip(place + 1, 0, n + 1) for place, n in ((row, h), (column, w)))
    a, c = np.minimum(row.astype(np.intp), h), np.minimum(column.astype(np.intp), w)
    alpha, gamma = (place[..., None].astype(images.dtype) for place in (row - a, column - c))
    flat, width = framed.reshape(-1, channels), w + 2
    corner = (np.arange(b)[:, None, None] * (h + 2) + a) * width + c
    above = (1 - gamma) * flat[corner] + gamma * flat[corner + 1]
    below = (1 - gamma) * flat[corner + width] + gamma * flat[corner + width + 1]
    y: Array = (1 - alpha) * above + alpha * below
    return y
