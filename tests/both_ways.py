"""A training that is recorded as a program and one that goes layer by layer leave the same bits."""

import numpy as np


def fit_both_ways(make, x, t, optimizer, **options):
    """The model that `make` makes, trained as a program with the `optimizer` that is made, and its history.

    The same one, trained layer by layer, has the same parameters, gradients and losses.
    """
    models, histories = [make(), make()], []
    for model, steps in zip(models, (2, 10**9), strict=True):
        model.steps_by_hand = steps
        histories.append(model.fit(x, t, optimizer=optimizer(), **options))
    recorded, plain = models
    assert np.array_equal(recorded.theta, plain.theta) and np.array_equal(recorded.dtheta, plain.dtheta)
    assert np.array_equal(recorded.predict(x), plain.predict(x))
    assert histories[0].loss == histories[1].loss
    return recorded, histories[0]
