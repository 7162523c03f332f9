"""Native code with NumPy's bits: a program as tables that a C extension runs without Python between the ops.

A row of a table is one call of an inner loop (`table`), and `lowering` makes the rows of an op. They keep NumPy's bits
since they do what NumPy does:

* Elementwise ops and sums call NumPy's own inner loops, which it hands out for its ufuncs (`extension`); products call
  its matmul loop, and so the same BLAS (`products`). Only Python's cost of a call goes away.
* NumPy's iterator decides in which order a loop meets its elements, and so about the last bits of sums, logarithms and
  the like. `strides` works out the same order.
* Where many short calls cost more than their work, loops of our own do the same additions in the same order (`loops`).
* BLAS adds up a long product panel by panel. `panels` cuts a product where BLAS does, so that threads can share it
  (`work_sharing`).
* What NumPy's documentation does not promise is tried: rows whose order of summation was worked out here must leave the
  op's very bits on random numbers before they are used (`probing`), and a whole program must leave those of the layers
  (`runtime.compiling`).

`constants` is memory beside the program's own, `moves` are functions that only put numbers elsewhere, `fusion` joins an
update and the gradient that nobody else reads, and `executable` is a program as such tables.
"""
