"""What only some systems have."""

import os
import signal

import pytest

posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX: this system is Windows")
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # which Windows takes for as much
