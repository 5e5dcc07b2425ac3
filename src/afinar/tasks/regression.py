"""Regression: numbers for a text, or for two texts (mlm)."""

from afinar.tasks.base import TaskModule


class Regression(TaskModule):
    """One objective that predicts one or several numbers. See `TaskModule` for the arguments."""
