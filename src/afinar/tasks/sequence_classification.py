"""Sequence classification: one label, or several, for a whole text (types, sequences)."""

from afinar.tasks.base import TaskModule


class SequenceClassification(TaskModule):
    """One objective over the pooled text. See `TaskModule` for the arguments."""
