"""Hints: what to write in the place of other frameworks' words.

Where a meaning is clear, the word simply works; this file has the others. Each sentence is told in the error that
Python would raise anyway.
"""

from __future__ import annotations

import inspect
import opcode
import sys
from collections.abc import Callable
from typing import Any, TypeVar

Class = TypeVar("Class", bound=type)

KEYWORDS = {
    "lr": "write learning_rate=",
    "activation": "an activation is a layer of its own: Dense(4, 8), ReLU()",
    "units": "write both widths: Dense(in_features, out_features)",
    "input_dim": "write both widths: Dense(in_features, out_features)",
    "use_bias": "write bias=False",
    "kernel_initializer": 'write init="he_normal" or another name of minigrad.initializers',
    "kernel_regularizer": "write fit(…, l2=0.001): it holds for all weights",
    "p": "write Dropout(rate), the share that is dropped",
    "num_features": "write features",
    "normalized_shape": "write features",
    "validation_data": "write validation=(x, t)",
    "validation_split": "write validation=0.1: a share that is drawn at random, and stratified by class",
    "callbacks": "write patience=5 for early stopping, checkpoint=path to go on later, or the loop of your own: "
    "for epoch in model.epochs(…): …",
    "verbose": "write progress=True or progress=False; history.summary() prints the epochs afterwards",
    "y": "targets are the second argument, t: fit(x, t, …)",
    "steps_per_epoch": "an epoch is all rows once; for endless data write your own loop: forward, backward, step",
    "initial_epoch": "an optimizer counts its epochs: fit with the same one goes on where it was",
    "criterion": "write loss=",
    "early_stopping": "write patience=5, with validation=0.1",
    "n_iter": "write epochs=",
    "max_iter": "write epochs=",
    "nb_epoch": "write epochs=",
    "betas": "write beta1=, beta2=",
    "beta_1": "write beta1=",
    "beta_2": "write beta2=",
    "epsilon": "write eps=",
    "from_logits": "write BinaryCrossEntropyOnLogits() or CategoricalCrossEntropyOnLogits()",
    "reduction": "every loss here is the mean over the rows, summed over the outputs",
    "weight": "write class_weight= or sample_weight= in fit",
    "momentum": "SGD has momentum=",
    "clipnorm": "write ClipByNorm(Adam(0.001), 1.0)",
    "clipvalue": "write ClipByValue(Adam(0.001), 1.0)",
    "dtype": "the model has it: Sequential([…], dtype=np.float64)",
    "device": "minigrad computes on the processor; there is no device to choose",
}
"""Arguments that other frameworks have."""

PACKAGE = {
    "Linear": "write Dense(in_features, out_features)",
    "nn": "layers and losses are names of minigrad itself: from minigrad import Dense, ReLU, Sequential",
    "functional": "minigrad.functions has sigmoid, softmax and log_sum_exp; layers are classes, as ReLU",
    "optim": "optimizers are names of minigrad itself: from minigrad import SGD, Adam",
    "lr_scheduler": "write learning_rate=schedules.cosine(…), or another of minigrad.schedules",
    "Module": "a layer of your own is a class Mine(Layer) with forward(x) and backward(dy); Sequential([…]) makes a "
    "model of layers",
    "ModuleList": "a layer that holds layers lists them in self.layers",
    "Model": "write Sequential([Dense(4, 8), ReLU(), Dense(8, 1)]); Residual and Concatenate branch",
    "models": "write Sequential([Dense(4, 8), ReLU(), Dense(8, 1)])",
    "Input": "the first layer says how wide a row is; for images write Sequential([…], input_shape=(28, 28, 1))",
    "Activation": "an activation is a layer of its own: ReLU(), Sigmoid()",
    "Parameter": "write W, dW = parameter() in the class, and self.W = … in __init__",
    "Conv2d": "write Conv2D(in_channels, out_channels, kernel_size), with channels last: x is (B, H, W, C)",
    "Conv1d": "write Conv1D(in_channels, out_channels, kernel_size), with channels last: x is (B, T, C)",
    "BatchNorm1d": "write BatchNorm(features)",
    "BatchNorm2d": "write BatchNorm(features), with channels last: x is (B, H, W, C)",
    "BatchNormalization": "write BatchNorm(features)",
    "LayerNormalization": "write LayerNorm(features)",
    "MaxPooling2D": "write MaxPool2D(…)",
    "AveragePooling2D": "write AvgPool2D(…)",
    "GlobalAveragePooling2D": "write GlobalAvgPool2D()",
    "AdaptiveAvgPool2d": "write GlobalAvgPool2D()",
    "Upsample": "write UpSampling2D(…)",
    "RNN": "write SimpleRNN(…)",
    "SiLU": "write Swish()",
    "CrossEntropyLoss": "write CategoricalCrossEntropy() after Softmax(), or CategoricalCrossEntropyOnLogits()",
    "SparseCategoricalCrossentropy": "write CategoricalCrossEntropy(): fit takes labels, too",
    "BCELoss": "write BinaryCrossEntropy()",
    "BCEWithLogitsLoss": "write BinaryCrossEntropy() after Sigmoid(), or BinaryCrossEntropyOnLogits()",
    "NLLLoss": "write NegativeLogLikelihood()",
    "KLDivLoss": "write KLDivergence()",
    "MSELoss": "write MeanSquaredError()",
    "L1Loss": "write MeanAbsoluteError()",
    "HuberLoss": "write Huber()",
    "SmoothL1Loss": "write Huber()",
    "tensor": "arrays are NumPy's: np.array(…)",
    "from_numpy": "arrays are NumPy's, and taken as they are",
    "no_grad": "model.predict(x) infers; only forward keeps anything for backward",
    "autograd": "a layer that writes no backward has a derived one, which print(minigrad.derive(layer)) shows",
    "grad": "loss.backward(p, t) and model.backward(dy) are the gradients; minigrad.derive(layer) derives a layer's",
    "manual_seed": "write Sequential([…], seed=0)",
    "save": "write model.save(path)",
    "device": "minigrad computes on the processor; there is no device to choose",
    "cuda": "minigrad computes on the processor",
    "DataLoader": "fit(x, t, …, batch_size=32) draws the batches; minigrad.data.Blocks reads more than memory holds",
    "Dataset": "fit takes arrays, x and t; minigrad.data.Blocks reads more than memory holds",
    "to_categorical": "fit takes labels as they are",
    "EarlyStopping": "write fit(…, patience=5, validation=0.1)",
    "ModelCheckpoint": "write fit(…, checkpoint=path)",
    "callbacks": "write fit(…, patience=5), fit(…, checkpoint=path), or a loop: for epoch in model.epochs(…): …",
    "MLPClassifier": "write from minigrad.sklearn import NetworkClassifier",
    "MLPRegressor": "write from minigrad.sklearn import NetworkRegressor",
    "check_layer": "write from minigrad.testing import check_layer",
    "load_digits": "write from minigrad.data import load_digits",
    "train_test_split": "write from minigrad.data import train_test_split",
}
"""Names that packages have."""

ARRAYS = "layer.params has its arrays by name; a Dense has layer.W and layer.b"
MODES = "forward and backward train, predict infers: there is no mode to be set"

LAYER = {
    "parameters": "layer.params has its arrays by name, layer.grads their gradients",
    "named_parameters": "layer.params has its arrays by name, layer.grads their gradients",
    "state_dict": "layer.params and layer.states are its arrays by name",
    "load_state_dict": "write into its arrays: layer.W = values",
    "get_weights": "layer.params has its arrays by name",
    "set_weights": "write into its arrays: layer.W = values",
    "weight": ARRAYS,
    "weights": ARRAYS,
    "kernel": ARRAYS,
    "trainable_weights": ARRAYS,
    "grad": "layer.grads has the gradients by name: that of layer.W is layer.dW",
    "requires_grad": "Frozen(layer) is not trained",
    "requires_grad_": "Frozen(layer) is not trained",
    "zero_grad": "backward sets the gradients, it does not add to them: there is nothing to clear",
    "train": MODES,
    "eval": MODES,
    "modules": "layer.layers has the layers that it is made of",
    "children": "layer.layers has the layers that it is made of",
    "summary": "print(layer) shows its arguments, layer.params its arrays; a Sequential has summary()",
    "compile": "a model is trained: Sequential([layer]).fit(x, t, loss=…, optimizer=…, epochs=…)",
    "fit": "a model is trained: Sequential([layer]).fit(x, t, loss=…, optimizer=…, epochs=…)",
    "to": "minigrad computes on the processor, in the dtype that the model was made with",
    "cuda": "minigrad computes on the processor",
}
"""Methods and attributes of layers, a model among them where MODEL says nothing else."""

MODEL = {
    "compile": "there is nothing to compile: fit(x, t, loss=…, optimizer=…, epochs=…) is told them",
    "evaluate": "measure what model.predict(x) answers: (model.predict_classes(x) == labels).mean() is the accuracy, "
    "loss.forward(model.predict(x), t) the loss",
    "add": "a model is made of all its layers at once: Sequential([*model, Dense(8, 1)]) adds one to fresh ones",
    "append": "a model is made of all its layers at once: Sequential([layer, …])",
    "predict_proba": "model.predict(x) has the probabilities, in the order of model.classes",
    "predict_on_batch": "write model.predict(x)",
    "score": "write (model.predict_classes(x) == labels).mean(), or minigrad.metrics.r2_score(t, model.predict(x))",
    "partial_fit": "write fit(…, epochs=1) with the same optimizer: it goes on where it was",
    "fit_generator": "write fit(Blocks(source), None, …): minigrad.data.Blocks reads block after block",
    "train_on_batch": "write the step: p = model.forward(x); model.backward(loss.backward(p, t)); "
    "optimizer.step(model.theta, model.dtheta)",
    "parameters": "model.theta is all parameters as one vector, model.dtheta their gradients, and an optimizer takes "
    "these: optimizer.step(model.theta, model.dtheta)",
    "state_dict": "model.save(path) and minigrad.load(path) keep a model; layer.params and layer.states are its arrays",
    "load_state_dict": "model.save(path) and minigrad.load(path) keep a model; model.theta[...] = values sets all",
    "get_weights": "layer.params has the arrays of a layer, model.theta all as one vector",
    "set_weights": "write into them: layer.W = values, or model.theta[...] = values",
    "named_parameters": "model.theta is all parameters as one vector; model[0].params has those of a layer by name",
    "grad": "model.dtheta is all gradients as one vector; model[0].grads has those of a layer by name",
    "modules": "a model is a list of its layers: for layer in model: …",
    "children": "a model is a list of its layers: for layer in model: …",
    "coef_": "layer.params has the arrays of a layer, such as model[0].W",
    "history": "fit returns it: history = model.fit(…)",
}
"""Methods of models."""

HISTORY = {
    "history": "history.loss, history.validation_loss and history.metrics are the lists; to_frame() has all in one",
    "params": "what fit was told is not kept; history.loss and history.seconds have an entry for each epoch",
    "epoch": "write range(1, len(history) + 1)",
}
"""Attributes of a history."""

OPTIMIZER = {
    "zero_grad": "backward sets the gradients, it does not add to them: there is nothing to clear",
    "apply_gradients": "write optimizer.step(model.theta, model.dtheta)",
    "minimize": "write model.fit(…), or a step by hand; minimize_lbfgs(objective, x, t) minimises all at once",
    "param_groups": "optimizer.learning_rate is a number or a function of the step",
    "lr": "write optimizer.learning_rate",
}
"""Attributes of optimizers."""

WORDS = {
    "adam": "Adam()",
    "adamw": "AdamW()",
    "sgd": "SGD(0.1)",
    "rmsprop": "RMSprop()",
    "adagrad": "Adagrad()",
    "lbfgs": "minimize_lbfgs(objective, x, t)",
    "mse": "MeanSquaredError()",
    "mean_squared_error": "MeanSquaredError()",
    "squared_error": "MeanSquaredError()",
    "mae": "MeanAbsoluteError()",
    "mean_absolute_error": "MeanAbsoluteError()",
    "huber": "Huber()",
    "hinge": "Hinge()",
    "poisson": "Poisson()",
    "binary_crossentropy": "BinaryCrossEntropy()",
    "categorical_crossentropy": "CategoricalCrossEntropy()",
    "sparse_categorical_crossentropy": "CategoricalCrossEntropy()",
    "cross_entropy": "CategoricalCrossEntropy()",
    "log_loss": "CategoricalCrossEntropy()",
}
"""Names that stand for an optimizer or a loss elsewhere."""

MISSING = {
    "out_features": "a layer here is told both widths: Dense(in_features, out_features)",
    "out_channels": "a layer here is told both numbers: Conv2D(in_channels, out_channels, kernel_size)",
    "layers": "a model is made of all its layers at once: Sequential([Dense(4, 8), ReLU(), Dense(8, 1)])",
    "loss": "fit is told it, as in loss=MeanSquaredError()",
    "optimizer": "fit is told it, as in optimizer=Adam()",
    "epochs": "fit is told how many, as in epochs=20",
}
"""Arguments that other frameworks do without."""


MODULES = ("torch", "F", "nn", "tf", "tensorflow", "K", "jax", "jnp", "cp", "cupy", "math", "numpy", "scipy")
"""Names of modules whose functions stand for NumPy's where a file has none of that name."""

FUNCTIONS = {"clamp": "clip", "cat": "concatenate", "mm": "matmul", "bmm": "matmul", "tensor": "array"}
"""Functions of arrays that NumPy calls otherwise; the others have its names."""

ARRAY = {
    "t": "{0}.T",
    "T": "{0}.T",
    "mm": "{0} @ {1}",
    "bmm": "{0} @ {1}",
    "matmul": "{0} @ {1}",
    "clone": "{0}.copy()",
    "detach": "{0}",
    "numpy": "{0}",
    "unsqueeze": "np.expand_dims({0}, {1})",
    "permute": "{0}.transpose({1})",
    "size": "{0}.shape[{1}]",
}
"""Methods of arrays that NumPy's have not, or otherwise: of the array {0}, with the argument {1}."""

ARGUMENTS = {"dim": "axis", "keepdim": "keepdims"}
"""Arguments of functions of arrays that NumPy calls otherwise."""


class Elsewhere:
    """An attribute that other frameworks have: asking for it says what to write here."""

    def __init__(self, sentence: str) -> None:
        self.sentence = sentence

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, thing: Any, cls: type) -> Any:
        raise AttributeError(f"{cls.__name__} has no {self.name}: {self.sentence}", name=self.name, obj=thing)


def answering(table: dict[str, str]) -> Callable[[Class], Class]:
    """A decorator of classes: attributes of this table are answered with their sentence."""

    def answer(cls: Class) -> Class:
        for name, sentence in table.items():
            if not hasattr(cls, name):
                elsewhere = Elsewhere(sentence)
                elsewhere.name = name
                setattr(cls, name, elsewhere)
        cls.__dir__ = _listed  # type: ignore[assignment]
        return cls

    return answer


def _listed(thing: Any) -> list[str]:
    """What `dir(thing)` lists: no hints."""
    return [name for name in object.__dir__(thing) if not isinstance(inspect.getattr_static(thing, name), Elsewhere)]


def absent(module: str, name: str) -> Exception:
    """The error of a module's `__getattr__` about a name that it lacks.

    It is an AttributeError, so `hasattr` is told no; but `from module import name` would put words of its own in its
    place, and gets an ImportError.
    """
    sentence = "" if name.startswith("_") else _instead(name)
    if not sentence:
        return AttributeError(f"module {module!r} has no attribute {name!r}", name=name, obj=sys.modules[module])
    said, asking = f"{module} has no {name}: {sentence}", sys._getframe(2)
    if asking.f_code.co_code[asking.f_lasti] == opcode.opmap["IMPORT_FROM"]:
        return ImportError(said, name=module)
    return AttributeError(said, name=name, obj=sys.modules[module])


def _instead(name: str) -> str:
    """What to write in the place of a name that minigrad lacks, or spells in another way; else ""."""
    if name in PACKAGE:
        return PACKAGE[name]
    known = {_plain(each): sentence for each, sentence in PACKAGE.items()}
    ours = {_plain(each): f"write from minigrad import {each}" for each in vars(sys.modules["minigrad"])["__all__"]}
    return (known | ours).get(_plain(name), "")


def _plain(name: str) -> str:
    """A name as it is compared with others: MaxPool2d, MaxPool2D and max_pool2d are one."""
    return name.replace("_", "").lower()
