"""Soak: a whole bus for minutes, disturbed at random, each decision compared with the model."""
