"""What a whole epoch predicted, kept until it is scored: safe under DDP, also where a process saw no example."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from afinar.errors import ConfigError


class EpochStore(Metric):
    """A metric whose states are columns: lists of tensors, concatenated over batches and processes.

    Args:
        columns: an empty tensor by name; its dtype and the sizes after the first are those of the rows to come.
    """

    full_state_update = False

    def __init__(self, columns: Mapping[str, Tensor]) -> None:
        # The same rows can be asked for scores under other thresholds: answers are not cached.
        super().__init__(compute_with_cache=False)
        self._empty = dict(columns)
        for name in columns:
            self.add_state(name, default=[], dist_reduce_fx="cat")

    def append(self, **rows: Tensor) -> None:
        """Append a batch's rows to each column.

        Raises:
            ValueError: a column has another shape or number of rows than declared.
        """
        lengths = {len(tensor) for tensor in rows.values()}
        for name, tensor in rows.items():
            if tensor.shape[1:] != self._empty[name].shape[1:] or len(lengths) > 1:
                raise ValueError(f"{name} has shape {tuple(tensor.shape)}; expected [N, *{tuple(self._empty[name].shape[1:])}]")
            getattr(self, name).append(tensor.detach().to(self._empty[name].dtype))

    @abstractmethod
    def rows(self) -> tuple[Tensor, Tensor]:
        """Return the (probabilities, targets) that are scored, so far and in this process; inside `compute`, of every process."""

    def gathered(self) -> tuple[Tensor, Tensor]:
        """Return `rows` of every process, e.g. to tune thresholds on. Under DDP every process must call it."""
        with self.sync_context():
            return self.rows()

    def column(self, name: str) -> Tensor:
        """Return all rows of a column so far; inside `compute`, those of every process."""
        state = getattr(self, name)
        rows: Tensor = dim_zero_cat(state) if len(state) else self._empty[name].to(self.device)
        return rows

    def sync(self, *args: Any, **kwargs: Any) -> None:
        # torchmetrics stands in a float [0] for a process without rows, which neither a [N, K] nor an integer column can be gathered with.
        for name, empty in self._empty.items():
            if len(getattr(self, name)) == 0:
                setattr(self, name, [empty.to(self.device)])
        super().sync(*args, **kwargs)

    def answer(self, values: Mapping[str, Tensor | None], extra: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the defined values as default-precision scalars on this metric's device, moved there in one copy.

        Raises:
            ConfigError: an extra metric bears the name of one that is always there.
        """
        if taken := values.keys() & extra.keys():
            raise ConfigError(f"extra metric '{min(taken)}' bears the name of one that is always computed: rename or remove it")
        defined = {name: value for name, value in {**values, **extra}.items() if value is not None}
        if not defined:
            return {}
        packed = torch.stack([value.detach().to("cpu", torch.float64) for value in defined.values()])
        return dict(zip(defined, packed.to(torch.get_default_dtype()).to(self.device).unbind(), strict=True))


class ExtraMetrics(nn.Module):
    """Any torchmetrics metrics, computed from an epoch's stored rows.

    They keep no state between epochs and never synchronize by themselves: the store that feeds them has done it, so that
    every process computes them from all rows, each once.

    Args:
        metrics: by the name under which each is reported. A metric takes (probabilities, targets) as the store keeps them,
            answers one number or a dict of numbers.

    Raises:
        ConfigError: a name that torch cannot give to a sub-module, e.g. one with a dot.
    """

    def __init__(self, metrics: Mapping[str, Metric] | None) -> None:
        super().__init__()
        metrics = dict(metrics or {})
        try:
            self.metrics = nn.ModuleDict(metrics)
        except KeyError as error:
            raise ConfigError(f"an extra metric cannot bear this name: {error.args[0]}") from error

    def compute(self, probabilities: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Return each metric's number on all rows.

        Raises:
            ConfigError: a metric answers more than one number, or cannot read these rows.
        """
        values: dict[str, Tensor] = {}
        for name, metric in cast("Iterable[tuple[str, Metric]]", self.metrics.items()):
            metric.reset()
            try:
                answer = metric(probabilities, targets)  # unlike `compute`, a call never gathers
            except (ValueError, RuntimeError, TypeError, IndexError) as error:
                reason = " ".join(str(error).split())
                raise ConfigError(f"metric '{name}' ({type(metric).__name__}) cannot score this task: {reason}") from error
            metric.reset()
            numbers = {f"{name}/{key}": value for key, value in answer.items()} if isinstance(answer, dict) else {name: answer}
            for key, value in numbers.items():
                if value.numel() != 1:
                    raise ConfigError(
                        f"metric '{key}' answers {value.numel()} numbers instead of one: give it an average, e.g. average=macro"
                    )
                values[key] = value.reshape(())
        return values
