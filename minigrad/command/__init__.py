"""The command `minigrad`."""
