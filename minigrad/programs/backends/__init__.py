"""Backends: a program in another language, one module each.

A backend takes a `Program` and walks its ops. It refuses by name what it can't write (`Unwritable`), and says in
`PROMISE` how what it writes compares with the interpreter: "same bits" or "to rounding". `ir.verification` holds it to
that, in one test for all of them. `numpy_source` refuses nothing, since it runs in the same process: what could not be
traced is called. `numpy_file` writes down what `numpy_source` has written, and refuses that. `javascript` and
`spreadsheet` write the graph of a program (`graph`), in float64.
"""
