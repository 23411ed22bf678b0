"""All cases of the matrix, by kind."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from PIL import Image

import hf_transferability.cli
import hf_transferability.ranking.run
import hf_transferability.reporting.terminal
import hf_transferability.training.grids
import hf_transferability.training.pretraining  # noqa: F401
from bad_input import checkpoints, damaged, datasets, feature_files, layouts, medical, options, python_calls, surroundings
from bad_input.made import make_good
from bad_input.outcomes import Case
from hf_transferability.metrics import all_metrics

# What a case would import is loaded before the first fork.
all_metrics()
Image.init()

_MODULES = {
    "datasets": datasets,
    "layouts": layouts,
    "medical": medical,
    "checkpoints": checkpoints,
    "files": feature_files,
    "surroundings": surroundings,
    "python": python_calls,
    "options": options,
    "damaged": damaged,
}
KINDS = tuple(_MODULES)


def of_kinds(kinds: Iterable[str], folder: Path, seed: int = 0) -> Iterator[Case]:
    """The cases of these kinds; good inputs to go with them are made in the folder. The seed decides damage at random."""
    good = make_good(folder / "good")
    good.seed = seed
    for kind in kinds:
        for name, act, *more in _MODULES[kind].cases(good):
            yield Case(kind, name, act, **(more[0] if more else {}))
