"""The command `minigrad`: options are read once and checked there, and no command asks what kind of data it has.

Follow `train` in this order: main, options, train, sources, networks. A source (sheets, or a table) reads what the user
names and parts it into a split, which any network is trained on; rows are the same for a model that is used.
"""
