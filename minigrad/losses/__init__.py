"""Losses: how wrong the predictions p are about the targets t, as one number, and its derivative.

`loss` has the convention that all of them keep.
"""

from minigrad.losses.binary import (
    BinaryCrossEntropy as BinaryCrossEntropy,
    BinaryCrossEntropyOnLogits as BinaryCrossEntropyOnLogits,
)
from minigrad.losses.categorical import (
    CategoricalCrossEntropy as CategoricalCrossEntropy,
    CategoricalCrossEntropyOnLogits as CategoricalCrossEntropyOnLogits,
    KLDivergence as KLDivergence,
    NegativeLogLikelihood as NegativeLogLikelihood,
)
from minigrad.losses.combined import SumOfLosses as SumOfLosses
from minigrad.losses.directions import SHORTEST as SHORTEST, CosineSimilarity as CosineSimilarity
from minigrad.losses.hinge import Hinge as Hinge
from minigrad.losses.loss import (
    PADDING as PADDING,
    LabelSmoothing as LabelSmoothing,
    Loss as Loss,
    check_step_labels as check_step_labels,
    check_weights as check_weights,
)
from minigrad.losses.regression import (
    GaussianNLL as GaussianNLL,
    Huber as Huber,
    MeanAbsoluteError as MeanAbsoluteError,
    MeanSquaredError as MeanSquaredError,
    Poisson as Poisson,
    Quantile as Quantile,
)
