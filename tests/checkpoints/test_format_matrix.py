"""The layouts in miniature: the features are the library's own embedding, or the refusal says why."""

import shutil

import pytest
from helpers.checkpoint_folders import opened
from helpers.format_cases import Case
from helpers.format_cases_timm import all_cases
from helpers.format_comparison import compare
from helpers.unknown_weights import add_unknown, rename_one

from hf_transferability.errors import CheckpointError

# No code of this package is for these alone, so that only tests/costs/formats_matrix.py compares them.
ONLY_IN_COSTS = {
    "transformers, classifier": (
        "RegNet", "ConvNeXt V2", "MobileNetV2", "BiT", "PVT v2", "SegFormer", "PoolFormer", "FocalNet", "MobileViT", "DeiT",
        "ViT-MSN", "Swin", "Data2Vec", "I-JEPA",
    ),
    "transformers": ("DINOv2 with registers", "ResNet encoder", "ViT-MSN encoder", "I-JEPA encoder"),
    "timm": (
        "DenseNet", "EfficientNet", "RepVGG-like (byobnet)", "NFNet", "MobileNetV3", "BEiT", "EVA-02", "CaiT", "Swin", "Mixer",
    ),
}  # fmt: skip
CASES = [case for case in all_cases() if case.name not in ONLY_IN_COSTS.get(case.layout, ())]
# Those of adapters, whose weights carry peft's names, have their own tests.
LOADED = [case for case in CASES if not case.embedding.startswith("refused") and case.layout != "adapter"]


@pytest.mark.parametrize("case", CASES, ids=[f"{case.layout}: {case.name}" for case in CASES])
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")  # of the libraries that make the folders
def test_features_are_the_librarys_own_embedding(case: Case, tmp_path):
    _skip_without_its_library(case)
    assert compare(case, tmp_path).problems == ()


@pytest.mark.parametrize("case", LOADED, ids=[f"{case.layout}: {case.name}" for case in LOADED])
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")  # of the libraries that make the folders
def test_no_weight_of_the_image_tower_is_dropped_in_silence(case: Case, tmp_path):
    _skip_without_its_library(case)
    case.make(tmp_path / "added")
    shutil.copytree(tmp_path / "added", tmp_path / "renamed")
    for folder, change in ((tmp_path / "added", add_unknown), (tmp_path / "renamed", rename_one)):
        ends = change(folder)
        with pytest.raises(CheckpointError, match=r"does not take|lacks") as caught:
            opened(folder / case.file if case.file else folder, **case.options)
        assert not [end for end in ends if end not in str(caught.value)]


def _skip_without_its_library(case: Case) -> None:
    if case.layout in ("open_clip", "adapter"):
        pytest.importorskip(
            {"open_clip": "open_clip", "adapter": "peft"}[case.layout], reason=f"{case.layout} is not installed"
        )
