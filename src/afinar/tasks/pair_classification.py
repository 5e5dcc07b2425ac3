"""Pair classification: one label, or several, for two texts (types, mlm, bert)."""

from afinar.tasks.base import TaskModule


class PairClassification(TaskModule):
    """One objective over a pair, encoded jointly or apart. See `TaskModule` for the arguments."""
