"""A training step laid open: every number of it, what it is made of, and what happens when one of them is changed.

    opened = model.lay_open(x[:4], t[:4], BinaryCrossEntropy(), SGD(0.5))
    opened.save("step.html")                  # a page: point at a number and see its sum
    opened.save("step.xlsx")                  # a workbook of live formulas, one sheet for each step

Both are written from the recorded step (`minigrad.programs`), and know nothing of any layer.
"""

from minigrad.pages.opened import Opened as Opened, lay_open as lay_open
from minigrad.pages.step import OpenedError as OpenedError
