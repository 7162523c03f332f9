"""The signal that ends a process at once, for processes that are to start quickly: this imports nothing else."""

import signal

KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # which Windows takes for as much
