"""`python -m minigrad` is the command `minigrad`."""

import sys

from minigrad.command.main import main

sys.exit(main())
