"""The layouts in miniature: the features are the library's own embedding, or the refusal says why."""

import pytest
from helpers.format_cases import Case
from helpers.format_cases_timm import all_cases
from helpers.format_comparison import compare

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


@pytest.mark.parametrize("case", CASES, ids=[f"{case.layout}: {case.name}" for case in CASES])
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")  # of the libraries that make the folders
def test_features_are_the_librarys_own_embedding(case: Case, tmp_path):
    if case.layout in ("open_clip", "adapter"):
        pytest.importorskip(
            {"open_clip": "open_clip", "adapter": "peft"}[case.layout], reason=f"{case.layout} is not installed"
        )
    assert compare(case, tmp_path).problems == ()
