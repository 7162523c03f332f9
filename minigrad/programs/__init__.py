"""Programs: a training step as data, to be read, shown, or written in another language; all that is there for speed.

    program = model.program(BinaryCrossEntropy(), SGD(0.5), batch_size=4)
    print(program)                                   # the NumPy function that `fit` runs, line by line
    numbers = program.interpret((x, t))              # every array of the step, by name: numbers["dW1"]

The layers of a model run once on arrays that note down what is done to them (`arrays`, `recording`); what nobody reads
is dropped (`planning`); what is left is a `Program` (`form`): lines of a few kinds that make values of values. Writers
turn it into something that runs elsewhere (`writers`), and `trials` holds each to the interpreter.

A writer of one's own is a function of a program. This one writes each line as a formula:

    def formulas(program):
        names = Names(program.names)
        for line in program.lines:
            if isinstance(line, Opaque):
                raise Unwritable(line, "it is code that could not be recorded")
            yield equation(line, names)

It looks at `type(line)` (Elementwise, Product, Reduce, Copy, Call, Draw, Change, Opaque) and `line.function`, at the
views in `line.inputs` and `line.out`, each a `value` with a role and where in it the elements lie, and starts from
`program.given`. It need not know what may be overwritten: every value is assigned once.
"""

from minigrad.programs.equations import Names as Names
from minigrad.programs.equations import equation as equation
from minigrad.programs.equations import named_values as named_values
from minigrad.programs.form import Call as Call
from minigrad.programs.form import Change as Change
from minigrad.programs.form import Copy as Copy
from minigrad.programs.form import Draw as Draw
from minigrad.programs.form import Elementwise as Elementwise
from minigrad.programs.form import Line as Line
from minigrad.programs.form import Opaque as Opaque
from minigrad.programs.form import Part as Part
from minigrad.programs.form import Product as Product
from minigrad.programs.form import Program as Program
from minigrad.programs.form import Reduce as Reduce
from minigrad.programs.form import Value as Value
from minigrad.programs.form import View as View
from minigrad.programs.interpreter import interpret as interpret
from minigrad.programs.recording import PartError as PartError
from minigrad.programs.replay import StepProgram as StepProgram
from minigrad.programs.writers.unwritable import Unwritable as Unwritable
