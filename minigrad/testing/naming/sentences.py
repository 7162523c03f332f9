"""The likely bug that a symptom is a symptom of, in one sentence each."""

from __future__ import annotations

from minigrad.training.untrained import DECLARE, NEVER_TRAINED

ONE_ROW = "right at batch size 1 only: the rows of a larger batch are not handled each on its own"
ONE_ROW_WRONG = "for one row it runs, and is wrong there, too"
UNSUMMED = "not summed over the batch: the gradient of a parameter is the sum of what every row contributes"
UNSET = "the gradient of {parameter} is identically zero: it is never filled in"
UNWRITTEN = (
    "no backward is written, and the one derived from forward has the slope of each piece by itself: where pieces "
    "meet, as in max(x, 0) - max(-x, 0) at 0, or forward moves in steps, as by round, the whole has another; write a "
    "backward, or forward in one piece"
)
ASKS = (
    "no backward is written, and the one derived from forward asks that of {inner}: check_layer on it tells whether "
    "that is right; where it is on purpose the derivative of another function, let the class declare that, surrogate(x)"
)

# What each symptom is a symptom of; braces take an attribute, or a fact, of the evidence.
SENTENCES = {
    # A layer.
    "inner layer not listed": "the inner layer's parameters are never trained; list it in self.layers",
    "undeclared parameter": NEVER_TRAINED,
    "undeclared weight": DECLARE,
    "array replaced": "the array is replaced; write into it, say self.{held} = …",
    "forward in a dtype of its own": "the layer computes in a dtype of its own; let it follow its input and parameters",
    "backward in a dtype of its own": "the gradient is computed in another dtype; let it follow dy",
    "constant of another dtype": "a constant of another dtype: use Python's floats (float(np.sqrt(2)), not "
    "np.sqrt(2)), and declare arrays with parameter() or state()",
    "no y": "`return y` is missing at its end",
    "several y": "return y alone, an array of x's rows; what else backward needs is kept on self",
    "parameter made late": "a model lays all parameters into one vector when it is made: set it in __init__, which "
    "takes the width of x as an argument",
    "no dx": "backward does not return dx",
    "several returned": "return dx alone; the gradients of the parameters are set, self.dW = …",
    "list returned": "dx is to be an array, not a list: np.array(…) makes one of it",
    "x overwritten": "the input is overwritten in place; work on a copy, say x = x * … instead of x *= …",
    "x overwritten by predict": "the input is overwritten in place; work on a copy",
    "dy overwritten": "the upstream gradient is overwritten in place; work on a copy",
    "y overwritten": "the output is overwritten in place by backward; work on a copy",
    "returned array used again": "the layer returns an array that it uses again; return a fresh one",
    "kept for all layers of the class": "what forward keeps is kept for all layers of the class; keep it on self",
    "parameters changed": "only an optimizer may change them; backward sets their gradients, self.dW = …",
    "state changed by backward": "only forward may change state: keep on self what it has drawn, a mask say, for "
    "backward",
    "state changed by predict": "inference updates statistics or draws random numbers; "
    "give the layer a predict of its own",
    "undeclared randomness": "it draws random numbers from a generator that is not declared, or keeps what it should "
    "not; write rng = state() in the class",
    "undeclared state": "y depends on how often the layer has run: on something that forward counts or keeps, and that "
    "is not declared; write steps = state() in the class, or keep nothing from one forward to the next",
    "never set": UNSET,
    "accumulated over calls": "it is accumulated: added to instead of set, so that a second backward gives a factor of "
    "two",
    "left behind by an earlier call": "it depends on what an earlier call has left behind; set all of it, from what "
    "forward kept",
    "left to chance": "np.empty holds whatever the memory held before: use np.zeros, or set all of it",
    "not all from dy": "something is added that does not come from dy (weight decay?), or dy is ignored",
    "not linear in dy": "backward is not linear in the upstream gradient: it clips, normalises or ignores dy",
    "random inference": "inference is random",
    "predict overwrites what backward needs": "predict overwrites what forward keeps for backward",
    "predict changes forward": "predict leaves something behind that forward reads, a flag such as self.training = "
    "False say: forward is training and predict inference, each on its own",
    "predict answers from forward": "predict takes what an earlier forward has kept: compute it from the x that it is "
    "given",
    "predict keeps parameters": "predict keeps what an earlier call has made of the parameters; training changes those "
    "in every step, so compute it anew each time",
    "predict is another function": "predict and forward compute different functions",
    "statistics of the batch": "inference uses statistics of the batch; keep running ones as state() for it",
    "kept by identity": "what forward keeps is looked up by the identity of x; the same array may hold other numbers",
    "maximum not subtracted": "an exponential overflows: subtract the row's maximum before it, exp(x - max x); "
    "the result is the same",
    "overflow": "an exponential overflows (or a logarithm gets 0): subtract the maximum before it, as a softmax does, "
    "or write it with exponentials of negative numbers only, as np.logaddexp does",
    "vanished in float32": "0 / 0, or the logarithm of 0: a small number is 0 in float32 (1e-50), or is lost beside "
    "another (1e-12 beside 1); take a larger eps, 1e-8 say, or np.finfo(x.dtype).tiny",
    "cancellation": "two large numbers are subtracted that are nearly equal: for a variance use the mean of squared "
    "differences, ((x - mean)**2).mean(), not E[x²] - E[x]²",
    "float32": "a constant or a threshold that float32 can't hold (1e-12 beside 1), or a branch on the dtype",
    "predict apart from training": "what predict returns is not the mean of what training returns",
    "dropout not scaled": "predict and training differ by a factor: a unit that is kept with probability q is divided "
    "by q in training (inverted dropout), or multiplied by it in predict, once",
    "predict is another function than training": "predict does not do with its running statistics what forward "
    "does with those of the batch: compare the two (gamma and beta, the root of the variance, the momentum)",
    "over the rows": "it is taken over the rows of the batch (axis 0), so that a row depends on its neighbours, and "
    "one row alone says nothing: use axis=-1 (if this is meant, rows_together = True in the class says so)",
    "rows in blocks": "predict treats rows beyond some number in another way",
    "relies on the memory order": "the code relies on the memory order of its argument",
    "reshape of no rows": "of no numbers -1 can't be told: write out in reshape what it stands for",
    "divided by the rows, or old": "it divides by the number of rows, or keeps an older gradient",
    "argument not kept": "every argument of __init__ must be kept as an attribute of the same name",
    "argument changed": "an attribute does not hold the argument that __init__ was given",
    "config loses something": "config() loses something that forward uses",
    "square shapes only": "right for square shapes only: two of its axes are confused",
    "one value only": "right with some arguments only, not with {words}",
    "small widths only": "right for narrow layers only: columns beyond some number are treated in another way",
    # A loss.
    "loss not one number": "the loss is not summed to one number",
    "loss not a float": "return float(…)",
    "argument of a loss overwritten": "an argument is overwritten in place",
    "dp used again": "return a fresh array",
    "loss keeps what forward saw": "stale cache: backward uses what forward has kept; compute it from p and t",
    "wrong in this domain": "wrong only for {domain}",
    "summed over the rows": "it is summed over the rows instead of averaged",
    "rows together": "rows of a batch do not count each on its own",
    "every p with every t": "(B,) against (B, 1) becomes (B, B): every p is compared with every t; give both one shape",
    "averaged over the outputs": "too small by exactly the number of outputs, {outputs}: averaged over them, not "
    "summed",
    "weights counted as rows": "divided by the number of rows instead of Σ w",
    "mean over no rows": "the mean over no rows is not a number",
    "t broadcast": "t is broadcast against p",
    "constant of another dtype in a loss": "a constant of another dtype: use Python's floats (float(np.sqrt(2)), not "
    "np.sqrt(2))",
    "config of a loss loses something": "config() loses something",
    "overflow in a loss": "an exponential overflows: subtract the row's maximum first, or use np.logaddexp(0, z), "
    "whose exponentials are of negative numbers",
    "logarithm of 0": "0 log 0, or 0 / 0: take the logarithm of at least a small number, and divide by at least one",
    "jump of a loss": "forward jumps where two branches meet, or backward belongs to another function there: make the "
    "branches meet",
    "arguments exchanged": "p and t are exchanged, -p log t for -t log p say: the loss is to be least where p is t",
    "cancellation in a loss": "large numbers are subtracted that are nearly equal: subtract p and t first, then square",
    # An optimizer.
    "dtheta overwritten": "dtheta is only to be read; work on a copy, say g = eta * dtheta",
    "theta not moved": "theta has to be changed in place: theta -= …, not theta = theta - …",
    "uphill": "the sign of the update: theta -= eta * g",
    "theta rounded": "theta, or the step, goes through float32; let it follow theta's dtype",
    "random optimizer": "it draws random numbers; a step may depend on theta, dtheta and the memory alone",
    "dtheta kept": "the memory is the array dtheta itself; copy the numbers into it, say self.v[...] = dtheta",
    "theta kept": "the memory is the array theta itself, which the step then changes; keep theta.copy()",
    "decay grows": "the sign of the weight decay: the gradient is g + λ θ, so that θ shrinks",
    "memory of another dtype": "np.zeros(n) and NumPy's float64 numbers make it wider: np.zeros_like(theta), and "
    "Python's floats",
    "state kept": "load_state keeps the arrays that it is given, so the next steps overwrite them; copy them",
    "state not copied": "state() hands out the memory itself; return copies",
    "state incomplete": "something that a step depends on is not in state(): name every vector in memory, and take "
    "counts from the argument of coefficients(step)",
    "zero by zero": "zero is divided by zero, the gradient by its own norm say: a small eps belongs into the "
    "denominator, or a norm of at least some number",
    "zero by zero at once": "zero is divided by zero in the first step: 1 - β⁰ is 0, so the first step's bias "
    "correction has t = 1, and coefficients(step), which counts from 0, has 1 - β ** (step + 1)",
    "step not from the gradient": "something is added that does not come from the gradient",
    "parameters treated apart": "some of the parameters are left out, or one rule reads a number of another's",
    "goes up": "steps that do not shrink with the gradient, or a sign",
    "schedule ignored": "take the rate from self.rate(step), in coefficients, where step counts from 0",
    "parameters coupled": "a norm, a sum or a mean over all parameters stands where one of each belongs",
    "another rule": "{words}",
    "not recordable": "update may only use its arguments, its memory and branch-free operations on arrays",
    # A model.
    "data overwritten": "the input is overwritten in place",
    "undeclared randomness in a layer": "a layer draws random numbers from a generator that is not declared: "
    "rng = state()",
    "accumulated over steps": "it is accumulated: added to instead of set, so that a second step gives a factor of two",
    "partly set": "not all of it is set: old values remain",
    "wrong in a model": "check_layer on each layer and check_loss on the loss tell which of them is wrong",
}
