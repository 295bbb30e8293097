"""Other machines: Ray."""
