"""Pictures that stand in an HTML page itself: drawings as SVG in the page's colours, rows as small PNGs."""

from __future__ import annotations

import base64
import io
import math
import re
import warnings
from collections.abc import Callable
from html import escape
from typing import Any

from minigrad.parameter import Array

INK = "#010203"  # stands for the page's own text colour in what matplotlib draws


def drawing(draw: Callable[[Any], Any], size: tuple[float, float], name: str, caption: str = "") -> str:
    """What `draw` draws, as SVG in the page itself, so that it takes on the page's colours."""
    import matplotlib.style
    from matplotlib.figure import Figure

    colors = dict.fromkeys(
        ["text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color", "legend.labelcolor"], INK
    )
    style = {"svg.fonttype": "none", "svg.hashsalt": name, "axes.facecolor": "none", **colors}
    file = io.StringIO()
    with matplotlib.style.context(["default", style]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # the browser's font draws the text, and has the glyph
        figure = Figure(figsize=size, layout="constrained")
        draw(figure.subplots())
        figure.savefig(file, format="svg", transparent=True, dpi=200, metadata={"Date": None})
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", file.getvalue(), flags=re.DOTALL)
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg)
    known = set(re.findall(r"#([\w-]+)", svg))
    svg = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in known else "", svg)
    svg = svg.replace(INK, "currentColor").replace("<svg", f'<svg role="img" aria-label="{escape(name)}"', 1)
    width = f"{size[0] * 120:.0f}px"
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f'<figure style="max-width:{width}">{svg.strip()}{below}</figure>'


def tile(row: Array, colors: Any, low: float, high: float, name: str) -> str:
    """A row as a small picture, one pixel for each number."""
    from matplotlib.image import imsave

    side, file = math.isqrt(row.size), io.BytesIO()
    imsave(file, row.reshape(side, side), cmap=colors, vmin=low, vmax=high, format="png")
    encoded = base64.b64encode(file.getvalue()).decode()
    return f'<img alt="{escape(name)}" src="data:image/png;base64,{encoded}">'
