"""A thin LightningModule per task type: it routes a batch to its objectives, and logs."""

from afinar.tasks.base import TaskModule
from afinar.tasks.masked_lm import MaskedLM
from afinar.tasks.multitask import MultiTask
from afinar.tasks.objective import Objective
from afinar.tasks.pair_classification import PairClassification
from afinar.tasks.question_answering import QuestionAnswering
from afinar.tasks.regression import Regression
from afinar.tasks.sequence_classification import SequenceClassification
from afinar.tasks.token_classification import TokenClassification

__all__ = [
    "MaskedLM",
    "MultiTask",
    "Objective",
    "PairClassification",
    "QuestionAnswering",
    "Regression",
    "SequenceClassification",
    "TaskModule",
    "TokenClassification",
]
