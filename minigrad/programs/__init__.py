"""Programs: a training step as data, to be read, shown, or written in another language; all that is there for speed.

    program = model.program(BinaryCrossEntropy(), SGD(0.5), batch_size=4)
    print(program)                                   # the NumPy function that `fit` runs, line by line
    numbers = program.interpret((x, t))              # the arrays of the step, by name: numbers["dW1"]

The layers of a model run once on arrays that note down what is done to them (`arrays`, `recording`); what nobody reads
is dropped (`planning`); what is left is a `Program` (`form`): lines of a few kinds that make values of values. Writers
turn it into something that runs elsewhere (`writers`), and `trials` holds each to the interpreter.

A writer of one's own is a function of a program. This one writes each line as a formula:

    def formulas(program):
        name = version_name(program)
        for line in program.lines:
            if isinstance(line, Opaque):
                raise Unwritable(line, f"it could not be recorded: {line.why}")
            yield equation(line, name)

What a writer has to know:

* `program.given` is what to start from, `program.result` what to return, `program.lasting` what else is to be left.
* Each line makes the view `line.out`. Where `line.out.value.follows` is a value, begin with a copy of that and write
  the view into it; else the memory is new. What may be overwritten need not be known: every value is assigned once.
  (The old gradient is given since its parts are written one by one; nothing reads it.)
* A view is part of a `value`: its first element lies at `offset`, and `strides` lead on, both counted in elements.
* Elementwise: `line.function`, a ufunc, of `line.inputs`: views and plain numbers, which broadcast as in NumPy.
  Product: `np.matmul` for all layers of the package. Reduce: `line.ufunc` over `line.options.get("axis", 0)` (a number,
  several, or None for all), with `keepdims` as in NumPy. Copy: the one input, broadcast. Call: any other function.
  Draw: random numbers. Change: a function that changes its first argument. Opaque: code of somebody's own.
* `line.part` says whose line it is; its verbs are forward, predict, value (of the loss), backward, penalty and update.
* For the optimizer's step n put `optimizer.coefficients(n)` into the values with the role "coefficient".

`trials.outcome(program, batch)` is what a writer's program has to leave, and `trials.differences("to rounding",
expected, found)` says where it does not. `interpret(program, batch)` has the array of every single value, intermediate
versions too; `named_values(program)` says which of them `program.interpret` shows under which name.
"""

from minigrad.programs import trials as trials
from minigrad.programs.equations import (
    Names as Names,
    equation as equation,
    named_values as named_values,
    version_name as version_name,
)
from minigrad.programs.executor import native_available as native_available
from minigrad.programs.form import (
    Call as Call,
    Change as Change,
    Copy as Copy,
    Draw as Draw,
    Elementwise as Elementwise,
    Line as Line,
    Opaque as Opaque,
    Part as Part,
    Product as Product,
    Program as Program,
    Reduce as Reduce,
    Value as Value,
    View as View,
)
from minigrad.programs.interpreter import interpret as interpret
from minigrad.programs.recording import PartError as PartError
from minigrad.programs.replay import StepProgram as StepProgram
from minigrad.programs.writers.unwritable import Unwritable as Unwritable
