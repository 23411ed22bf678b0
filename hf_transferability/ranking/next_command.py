"""The words of the command that follows a ranking, so that it reads the dataset and the checkpoints as the ranking did."""

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from hf_transferability.checkpoints.options import LoadOptions
from hf_transferability.data.options import SampleOptions
from hf_transferability.names import SCENARIOS

_NOT_SHOWN = ("token",)


def finetune_words(sample: SampleOptions, load: LoadOptions, scenario: str) -> list[str]:
    """The options of `finetune` for a ranking's options: those that differ from their defaults.

    Args:
        sample: how the dataset was read; of what was drawn, only the split counts.
        load: how the checkpoints were read.
        scenario: of the ranking.
    """
    words = changed_options(sample, SampleOptions.reading_names())
    words += changed_options(load, [field.name for field in fields(LoadOptions) if field.name not in _NOT_SHOWN])
    words += [f"--train-split={sample.split}"] if sample.split not in (None, "train") else []
    return words + ([f"--scenario={scenario}"] if scenario != SCENARIOS[0] else [])


def changed_options(options: Any, names: Iterable[str]) -> list[str]:
    """The words for those of a dataclass's fields that do not have their default; each option is called like its field."""
    default = type(options)()
    values = {name: getattr(options, name) for name in names}
    return [word for name, value in values.items() if value != getattr(default, name) for word in _words(name, value)]


def _words(name: str, value: Any) -> list[str]:
    option = f"--{name.replace('_', '-')}"
    if value is True:
        return [option]
    if name == "window":
        return [f"{option}={value[0]:g},{value[1]:g}"]
    if name == "model_args":
        return [f"{option}={key}={argument}" for key, argument in value]
    return [f"{option}={value}"]
