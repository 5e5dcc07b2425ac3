"""Searching for good settings: what Optuna suggests, and what it is told, kept in a file that processes share."""
