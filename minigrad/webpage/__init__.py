"""A trained network as one page that answers offline, for people without Python.

    minigrad.webpage.export(model, "model.html", rows)

A form, or a field to draw in, the answer with its probabilities, and how it moves with each input. The JavaScript is
written from the recorded prediction, and proves itself when the page is opened.
"""

from minigrad.webpage.export import export as export
