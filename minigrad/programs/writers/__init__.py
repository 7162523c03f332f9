"""Writers: a program in another language, one module each.

A writer takes a `Program` and walks its lines. It refuses by name what it can't write (`Unwritable`), and says in
`PROMISE` how what it writes compares with `interpret`: "same bits" or "to rounding". `minigrad.programs.trials` holds
it to that, in one test for all of them.
"""

from minigrad.programs.writers.unwritable import Unwritable as Unwritable
