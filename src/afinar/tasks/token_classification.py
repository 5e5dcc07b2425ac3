"""Token classification: a label for each word of a sentence (types, labeling)."""

from afinar.tasks.base import TaskModule


class TokenClassification(TaskModule):
    """One objective over the words of whole sentences. See `TaskModule` for the arguments."""
