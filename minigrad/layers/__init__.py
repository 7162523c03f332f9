"""The layers, a file for each kind; every file holds formulas and nothing else."""
