"""Writers: a program in another language, one module each.

A writer takes a `Program` and walks its lines. It refuses by name what it can't write (`Unwritable`), and says in
`PROMISE` how what it writes compares with `interpret`: "same bits" or "to rounding". `minigrad.programs.trials` holds
it to that, in one test for all of them. `numpy_source` refuses nothing, since it runs in the same process: what could
not be recorded is called. `numpy_file` writes down what `numpy_source` has written, and refuses that. `javascript` and
`sheet` write the graph of a program (`minigrad.programs.graph`), in float64.
"""

from minigrad.programs.writers.unwritable import Unwritable as Unwritable
