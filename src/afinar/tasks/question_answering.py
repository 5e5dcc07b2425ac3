"""Extractive question answering: the answer to a question as a part of a text (types)."""

from afinar.tasks.base import TaskModule


class QuestionAnswering(TaskModule):
    """One objective over the pieces of whole contexts. See `TaskModule` for the arguments."""
