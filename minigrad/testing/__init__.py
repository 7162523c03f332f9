"""Proof that a layer, a loss or a model is right, or a sentence that says what is wrong with it.

    from minigrad.testing import check_layer

    print(check_layer(MyLayer(4, 3)))

`check_layer`, `check_loss`, `check_model` and `check_optimizer` need NumPy alone; `python -m minigrad.testing` shows
what they say of a few wrong layers. `layer_test` and the strategies `sizes`, `batches`, `layers` and `networks`
need Hypothesis (`pip install "minigrad-nn[testing]"`), which is imported when one of them is.

The package has two halves. Catching: `contract` tries the `rules`, one by one, on a `bench`, and `oracle` says what a
right gradient is. A rule that is broken raises evidence. Naming: `naming` reads what bug that is evidence of, tries
changes of the code, and tells the one that makes it right; it is loaded when a diagnosis is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minigrad.testing.contract import check_layer
from minigrad.testing.loss import check_loss
from minigrad.testing.model import check_model
from minigrad.testing.optimizer import check_optimizer
from minigrad.testing.plain import check_gradient
from minigrad.testing.report import GradientError, Report
from minigrad.version import installing

if TYPE_CHECKING:
    from minigrad.testing.strategies import batches, layer_test, layers, networks, sizes

__all__ = [
    "GradientError",
    "Report",
    "batches",
    "check_gradient",
    "check_layer",
    "check_loss",
    "check_model",
    "check_optimizer",
    "layer_test",
    "layers",
    "networks",
    "sizes",
]


def __getattr__(name: str) -> Any:
    """The property-based part, imported when it is asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from minigrad.testing import strategies
    except ModuleNotFoundError as error:
        if error.name != "hypothesis":
            raise
        raise ImportError(f"{name} needs Hypothesis: {installing('testing')}") from error
    return getattr(strategies, name)
