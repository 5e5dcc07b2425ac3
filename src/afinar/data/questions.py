"""Questions on texts: read from the columns of a table, and checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from afinar.data.table import Table
from afinar.errors import DataError

_NAMED = 3


@dataclass(frozen=True)
class Question:
    """A question on a text.

    Attributes:
        id: no other question of the same source has it.
        text: the question.
        context: the text that answers it, or does not.
    """

    id: str
    text: str
    context: str


def read_questions(table: Table, question_column: str, context_column: str, id_column: str) -> list[Question]:
    """Return the question of every row; where the table has no column of ids, the row's number from 0 is its id.

    Raises:
        DataError: a column is missing, a cell holds no text, or an id is missing, neither a text nor a whole number, or occurs twice.
    """
    questions = table.texts(question_column, "data.question_column")
    contexts = table.texts(context_column, "data.context_column")
    ids = _read_ids(table, id_column)
    return [Question(*cells) for cells in zip(ids, questions, contexts, strict=True)]


def _read_ids(table: Table, column: str) -> list[str]:
    if column not in table.columns:
        return [str(row) for row in range(len(table))]
    cells = list(table.columns[column])
    for row, cell in enumerate(cells):
        if not (isinstance(cell, str) and cell) and (isinstance(cell, bool) or not isinstance(cell, int)):
            raise DataError(f"{table.where(row)}: '{column}' is {cell!r}; give every question an id, a text or a whole number")
    ids = [str(cell) for cell in cells]
    if len(set(ids)) < len(ids):
        raise DataError(f"{table.source}: {_repeated(ids)}; give every question an id of its own (data.id_column={column})")
    return ids


def _repeated(ids: Sequence[str]) -> str:
    repeated = [name for name, count in Counter(ids).items() if count > 1]
    named = ", ".join(f"'{name}'" for name in repeated[:_NAMED])
    if len(repeated) == 1:
        return f"the id {named} is that of {ids.count(repeated[0])} questions"
    more = f", and {len(repeated) - _NAMED} more" if len(repeated) > _NAMED else ""
    return f"{len(repeated)} ids are those of several questions each ({named}{more})"
