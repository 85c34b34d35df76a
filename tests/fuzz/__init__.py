"""Fuzzing: hostile bytes at every door of the bus, and an oracle for what may come of them."""
