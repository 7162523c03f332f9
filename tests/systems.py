"""What only some systems have."""

import os

import pytest

posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX: this system is Windows")
