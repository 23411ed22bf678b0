"""The words of the command that follows a ranking."""

from dataclasses import fields

import pytest

from hf_transferability.checkpoints.options import LoadOptions
from hf_transferability.cli import _parser
from hf_transferability.data.options import SampleOptions
from hf_transferability.ranking.next_command import finetune_words


def test_nothing_is_said_for_defaults():
    assert finetune_words(SampleOptions(), LoadOptions(), "source_dataset") == []


@pytest.mark.parametrize(
    ("sample", "load", "words"),
    [
        (SampleOptions(window=(-1.5, 3)), LoadOptions(), ["--window=-1.5,3"]),
        (SampleOptions(follow_links=True, frame="middle"), LoadOptions(), ["--frame=middle", "--follow-links"]),
        (SampleOptions(split="train[:50]", seed=3, sample_size=9), LoadOptions(), ["--train-split=train[:50]"]),
        (SampleOptions(label_separator="|"), LoadOptions(allow_pickle=True), ["--label-separator=|", "--allow-pickle"]),
        (SampleOptions(), LoadOptions(model_args=(("a", 1), ("b", "x"))), ["--model-args=a=1", "--model-args=b=x"]),
        (SampleOptions(), LoadOptions(token="secret", pooling="mean"), ["--pooling=mean"]),
    ],
)
def test_what_differs_from_the_defaults(sample, load, words):
    assert finetune_words(sample, load, "source_dataset") == words


def test_finetune_takes_every_option_that_can_be_named():
    values = {
        "class_level": 2,
        "task": "single_label",
        "window": (0.0, 9.0),
        "frame": 1,
        "slice": 1,
        "axis": 0,
        "max_pixels": 9,
        "keep_masks": True,
    }
    sample = SampleOptions(**{name: values.get(name, "x") for name in SampleOptions.reading_names() if name != "follow_links"})
    others = {"allow_pickle": True, "trust_remote_code": True, "processor": "p", "pooling": "cls", "image_size": 64}
    load = LoadOptions(architecture="timm:x", model_args=(("a", 1),), **others)
    assert {field.name for field in fields(LoadOptions)} == {*others, "architecture", "model_args", "token"}
    words = finetune_words(sample, load, "architecture")
    _parser().parse_args(["finetune", "--dataset", "d", "--checkpoint", "c", "--output", "o", *words])
    assert len(words) == len(SampleOptions.reading_names()) - 1 + 7 + 1
