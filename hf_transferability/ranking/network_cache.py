"""Networks that stay in memory between the stages of a race, as far as there is room, so that they are not loaded again."""

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from hf_transferability.checkpoints.source import Source
from hf_transferability.machine import free_memory

if TYPE_CHECKING:
    from hf_transferability.checkpoints.checkpoint import Checkpoint

_SHARE = 0.25  # of the free memory, for all networks that are kept


class NetworkCache:
    """Resolved sources and loaded networks of a race's candidates, by their names.

    Args:
        budget: bytes of weights to keep; default a quarter of the free memory.
        n_processes: of this run, which share that.
    """

    def __init__(self, budget: int | None = None, n_processes: int = 1):
        self._budget = int(_SHARE * free_memory() / n_processes) if budget is None else budget
        self._sources: dict[str, Source | Exception] = {}
        self._networks: dict[str, tuple[Checkpoint, int]] = {}

    def resolve(self, name: str, resolve: Callable[[str], Source]) -> Source:
        """The source of a candidate; the same commit in all stages. One that cannot be resolved is not tried again.

        Args:
            name: the candidate.
            resolve: finds its source for the first stage.

        Raises:
            CheckpointError: it cannot be resolved.
        """
        if name not in self._sources:
            try:
                self._sources[name] = resolve(name)
            except Exception as error:
                self._sources[name] = error
        source = self._sources[name]
        if isinstance(source, Exception):
            raise source
        return source

    def has_resolved(self, name: str) -> bool:
        """Whether a candidate was resolved before, or could not be."""
        return name in self._sources

    def get(self, name: str) -> "Checkpoint | None":
        """The loaded network of a candidate, if it was kept."""
        kept = self._networks.get(name)
        return kept[0] if kept else None

    def keep(self, name: str, checkpoint: "Checkpoint") -> None:
        """Keep a network in the machine's memory, if there is room for its weights."""
        size = sum(weight.nbytes for weight in checkpoint.network.state_dict().values())
        if name not in self._networks and size > self._budget - sum(taken for _, taken in self._networks.values()):
            return
        checkpoint.network.to("cpu")  # a pass has moved it to the accelerator, which holds one network at a time
        self._networks[name] = checkpoint, size

    def keep_only(self, names: Collection[str]) -> None:
        """Let go of the networks of all other candidates."""
        self._networks = {name: kept for name, kept in self._networks.items() if name in names}
