"""A training step compiled: the same bits in less time, and the one form in which all else reads a computation.

    layers run on tracing arrays -> ops on views of values -> passes -> backends -> runtime
             tracing/                        ir/              passes/   backends/, native/   runtime/

* `tracing`: the layers of a model run once on arrays that note down what is done to them.
* `ir`: a `Program` is ops on views of values; here are their equations and an interpreter.
* `passes`: functions from a program to one that leaves the same bits with less work.
* `backends` write a program as NumPy source, as JavaScript, as formulas of a spreadsheet; `native` as tables that a C
  extension runs. `graph` is the graph of single numbers that pages and spreadsheets show.
* `runtime`: which program a training is handed, what it takes for granted, and how it runs.

    program = model.program(BinaryCrossEntropy(), SGD(0.5), batch_size=4)
    print(program)                                   # the NumPy function that `fit` runs, line by line
    numbers = program.interpret((x, t))              # the arrays of the step, by name: numbers["dW1"]

A backend of one's own is a function of a program. This one writes each op as a formula:

    def formulas(program):
        name = version_name(program)
        for op in program.ops:
            if isinstance(op, Opaque):
                raise Unwritable(op, f"it could not be recorded: {op.why}")
            yield equation(op, name)

What it has to know:

* `program.given` is what to start from, `program.result` what to return, `program.lasting` what else is to be left.
* Each op makes the view `op.out`. Where `op.out.value.follows` is a value, begin with a copy of that and write the view
  into it; else the memory is new. What may be overwritten need not be known: every value is assigned once. (The old
  gradient is given since its parts are written one by one; nothing reads it.)
* A view is part of a `value`: its first element lies at `offset`, and `strides` lead on, both counted in elements.
* Elementwise: `op.function`, a ufunc, of `op.inputs`: views and plain numbers, which broadcast as in NumPy. Product:
  `np.matmul` for all layers of the package. Reduce: `op.ufunc` over `op.options.get("axis", 0)` (a number, several, or
  None for all), with `keepdims` as in NumPy. Copy: the one input, broadcast. Call: any other function. Draw: random
  numbers. Change: a function that changes its first argument. Opaque: code of somebody's own.
* `op.scope` says whose op it is; its verbs are forward, predict, value (of the loss), backward, penalty and update.
* For the optimizer's step n put `optimizer.coefficients(n)` into the values with the role "coefficient".

`verification.outcome(program, batch)` is what a backend's program has to leave, and
`verification.differences("to rounding", expected, found)` says where it does not. `interpret(program, batch)` has the
array of every single value, intermediate versions too; `named_values(program)` says which of them `program.interpret`
shows under which name.
"""

from minigrad.programs import writers as writers
from minigrad.programs.ir import verification as verification
from minigrad.programs.ir.equations import (
    Names as Names,
    equation as equation,
    named_values as named_values,
    version_name as version_name,
)
from minigrad.programs.ir.interpreter import interpret as interpret
from minigrad.programs.ir.ops import (
    Call as Call,
    Change as Change,
    Copy as Copy,
    Draw as Draw,
    Elementwise as Elementwise,
    Op as Op,
    Opaque as Opaque,
    Product as Product,
    Program as Program,
    Reduce as Reduce,
    Scope as Scope,
    Unwritable as Unwritable,
    Value as Value,
    View as View,
)
from minigrad.programs.native.extension import native_available as native_available
from minigrad.programs.runtime.executables import StepProgram as StepProgram
from minigrad.programs.tracing.tracer import TraceError as TraceError

# The names of the releases before this form had the field's words.
Line, Part, PartError, trials = Op, Scope, TraceError, verification
