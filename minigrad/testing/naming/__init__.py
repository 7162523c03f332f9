"""What bug the evidence is of: read, then tried (see `diagnosis`). Loaded when a diagnosis is first asked for."""
