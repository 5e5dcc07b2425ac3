"""A thin LightningModule per task type: it routes a batch to its objectives, and logs."""

from afinar.tasks.base import TaskModule
from afinar.tasks.masked_lm import MaskedLM
from afinar.tasks.objective import Objective
from afinar.tasks.sequence_classification import SequenceClassification
from afinar.tasks.token_classification import TokenClassification

__all__ = ["MaskedLM", "Objective", "SequenceClassification", "TaskModule", "TokenClassification"]
