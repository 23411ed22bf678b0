"""A repository in miniature as this package loads it, beside the embedding of its own library."""

from dataclasses import dataclass
from pathlib import Path

import torch

from helpers.checkpoint_folders import opened
from helpers.format_cases import Case
from helpers.formats import IMAGES
from hf_transferability.errors import CheckpointError


@dataclass(frozen=True)
class Comparison:
    """What became of a case.

    Attributes:
        difference: largest absolute difference of the features, relative to the largest value of the library's embedding.
        layers: number of traced gradient layers.
        pooling: as the row names it.
        probabilities: whether there are source probabilities.
        error: text of the error; None where the network was loaded.
        problems: what is not as it should be; empty where all is right.
    """

    difference: float | None = None
    layers: int = 0
    pooling: str = ""
    probabilities: bool = False
    error: str | None = None
    problems: tuple[str, ...] = ()


def compare(case: Case, folder: Path) -> Comparison:
    """Make a case below a folder, load it and compare the features with the library's own embedding."""
    checkpoint_folder = folder / "checkpoint"
    torch.manual_seed(0)
    reference = case.make(checkpoint_folder)
    wanted = case.embedding.removeprefix("refused: ") if case.embedding.startswith("refused: ") else None
    try:
        checkpoint = opened(checkpoint_folder / case.file if case.file else checkpoint_folder, **case.options)
    except CheckpointError as error:
        right = wanted is not None and wanted in str(error)
        return Comparison(error=str(error), problems=() if right else ("refused",))
    if reference is None:
        return Comparison(problems=("not refused",))
    pixels = checkpoint.preprocess(IMAGES)
    with torch.no_grad():
        features, expected = checkpoint.forward(pixels)[0], reference(pixels)
    expected = expected.flatten(2).mean(dim=2) if expected.ndim > 2 else expected
    problems = []
    difference = None
    if features.shape == expected.shape:
        difference = float((features - expected).abs().max() / expected.abs().max())
    if difference is None or not difference <= 1e-4:
        problems.append("other features")
    if checkpoint.facts["pooling"] != case.pooling:
        problems.append(f"pooling {checkpoint.facts['pooling']}")
    if checkpoint.has_source_head != case.probabilities:
        problems.append("source probabilities" if checkpoint.has_source_head else "no source probabilities")
    if len(checkpoint.layers) != 2:
        problems.append(f"{len(checkpoint.layers)} layers")
    pooling = checkpoint.facts["pooling"]
    return Comparison(difference, len(checkpoint.layers), pooling, checkpoint.has_source_head, problems=tuple(problems))
