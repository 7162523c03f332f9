"""scikit-learn's base classes with the types that it does not declare: for type checkers these, for Python its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import Self

    class BaseEstimator:
        """What every estimator has: constructor arguments by name, and what metadata its methods ask for."""

        def get_params(self, deep: bool = True) -> dict[str, Any]:
            """The constructor's arguments, by name; with `deep` those of estimators among them, as "name__argument"."""
            ...

        def set_params(self, **params: Any) -> Self:
            """Set constructor arguments by name."""
            ...

        def get_metadata_routing(self) -> Any:
            """What metadata the methods ask for, as scikit-learn's MetadataRequest."""
            ...

        def set_fit_request(self, *, sample_weight: bool | str | None = ...) -> Self:
            """Whether a pipeline hands `sample_weight` to `fit`, or under which name."""
            ...

        def set_partial_fit_request(
            self, *, classes: bool | str | None = ..., sample_weight: bool | str | None = ...
        ) -> Self:
            """Likewise for `partial_fit`; a regressor has no `classes`."""
            ...

        def set_score_request(self, *, sample_weight: bool | str | None = ...) -> Self:
            """Likewise for `score`."""
            ...

        def __sklearn_tags__(self) -> Any: ...

    class ClassifierMixin:
        """What every classifier has."""

        def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
            """The accuracy of `predict(X)`: the share of rows that are right, of several labels in all of them."""
            ...

    class RegressorMixin:
        """What every regressor has."""

        def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
            """R² of `predict(X)`: 1 is perfect, and the mean of y would have 0."""
            ...

else:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

__all__ = ["BaseEstimator", "ClassifierMixin", "RegressorMixin"]
