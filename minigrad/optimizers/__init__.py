"""Optimizers: rules that move θ against its gradient; `optimizer` says what they have in common."""

from minigrad.optimizers.adam import Adam as Adam, AdamW as AdamW
from minigrad.optimizers.adam_relatives import Adamax as Adamax, NAdam as NAdam, RAdam as RAdam
from minigrad.optimizers.adaptive import Adadelta as Adadelta, Adagrad as Adagrad, RMSprop as RMSprop
from minigrad.optimizers.averaging import ParameterAverage as ParameterAverage
from minigrad.optimizers.clipping import ClipByNorm as ClipByNorm, ClipByValue as ClipByValue
from minigrad.optimizers.groups import ByPart as ByPart
from minigrad.optimizers.optimizer import (
    Optimizer as Optimizer,
    Rate as Rate,
    fraction as fraction,
    not_negative as not_negative,
)
from minigrad.optimizers.sgd import SGD as SGD
from minigrad.optimizers.signs import Lion as Lion, Rprop as Rprop
from minigrad.optimizers.wrapper import Wrapper as Wrapper
