"""What fine-tuning elsewhere says of a checkpoint."""

import numpy as np
import pandas as pd
import pytest

from hf_transferability.benchmark import known, tables

SHA = "ab" * 32


@pytest.fixture(scope="module")
def bundled():
    return known.bundled()


def results(*rows, study="s", group="all", medical=False):
    """Rows of (target, name, value), the name being the Hub id of its checkpoint."""
    frame = pd.DataFrame(rows, columns=["target", "name", "value"])
    return frame.assign(study=study, group=group, medical=medical, checkpoint=frame.name.str.lower(), digest="")


def table(*frames):
    return known.KnownResults(known.percentiles(pd.concat(frames, ignore_index=True)))


def truth(*rows, benchmark="mine", **columns):
    """Ground truth of rows (source, target, AUC)."""
    frame = pd.DataFrame(rows, columns=["source", "target", "performance"]).assign(measure="auc", scenario="architecture")
    return tables.check(frame.assign(benchmark=benchmark, selection="lowest_validation_loss", **columns), "ground_truth")


def test_percentiles_by_hand():
    found = known.percentiles(results(("t", "a/a", 0.5), ("t", "a/b", 0.9), ("t", "a/c", 0.9), ("u", "a/a", 0.7)))
    # Ranks 1, 2.5, 2.5 of three; what stands alone has no percentile.
    np.testing.assert_allclose(found.set_index("name").percentile, [0, 0.75, 0.75])


def test_mean_over_the_studies_of_a_target_and_then_over_targets():
    found = table(
        results(("t", "a/a", 2), ("t", "a/b", 1), study="one"),
        results(("t", "a/a", 1), ("t", "a/b", 2), ("u", "a/a", 2), ("u", "a/b", 1), study="two", medical=True),
        results(("v", "a/a", 1), ("v", "a/b", 2), study="three"),
    )
    # t: 1 and 0, u: 1, v: 0
    assert found.of("a/a") == known.Known(pytest.approx((0.5 + 1 + 0) / 3), 3, 2, ("one", "three", "two"))
    assert found.of("a/b").value == pytest.approx((0.5 + 0 + 1) / 3)
    assert found.of("a/c") is None


def test_groups_of_one_study_are_apart():
    found = table(
        results(("t", "a/a", 0.9), ("t", "a/b", 0.8), group="cnn"), results(("t", "a/c", 0.5), ("t", "a/d", 0.4), group="vit")
    )
    assert [found.of(name).value for name in ("a/a", "a/b", "a/c", "a/d")] == [1, 0, 1, 0]


def test_a_study_that_holds_the_target_is_left_out_as_a_whole():
    found = table(
        results(("t", "a/a", 2), ("t", "a/b", 1), ("u", "a/a", 2), ("u", "a/b", 1), study="one"),
        results(("v", "a/a", 1), ("v", "a/b", 2), study="two"),
    )
    rest, left_out = found.without(["owner/T"])
    assert left_out == ["one"]
    assert rest.of("a/a") == known.Known(0.0, 1, 0, ("two",))
    assert found.without(["w", ""])[1] == []
    assert found.without(["t", "v"])[0].of("a/a") is None


@pytest.mark.parametrize(
    "target",
    ["hf-vision/chest-xray-pneumonia", "PneumoniaMNIST", "owner/pneumonia_mnist_64", "marmal88/skin_cancer", "HAM10000"],
)
def test_targets_of_published_studies_by_other_names(bundled, target):
    assert {"medmnistplus", "paper"} <= set(bundled.without([target])[1])


def test_published_studies_with_other_targets_stay(bundled):
    assert bundled.without(["cifar-10"])[1] == ["parc_controlled", "sfda_emms"]
    assert bundled.without(["owner/patchcamelyon"])[1] == ["transfergraph_vtab1k"]
    assert bundled.without(["sartajbhuvaji/Brain-Tumor-Classification"])[1] == ["chaves2023", "chaves2024"]
    assert bundled.without(["owner/my-scans"])[1] == []


@pytest.mark.parametrize(
    "given",
    [
        "timm/vgg16.tv_in1k",
        "TIMM/VGG16.TV_IN1K",
        "timm/vgg16.tv_in1k@main",
        "hf-hub:timm/vgg16.tv_in1k",
        "https://huggingface.co/timm/vgg16.tv_in1k",
        "/home/someone/.cache/huggingface/hub/models--timm--vgg16.tv_in1k/snapshots/0123abc",
    ],
)
def test_a_checkpoint_however_it_is_named(bundled, given):
    found = bundled.of(given)
    assert found is not None
    assert found.studies == ("medmnistplus",)
    assert (found.targets, found.medical) == (12, 12)


@pytest.mark.parametrize(
    "given", ["", ".", "vgg16", "./timm/vgg16.tv_in1k", "/models/timm/vgg16.tv_in1k", "owner/nobody", "a/b/c"]
)
def test_what_no_study_has(bundled, given):
    assert bundled.of(given) is None


def test_copies_of_the_same_weights_share_their_results(bundled):
    assert bundled.of("facebook/deit-small-patch16-224") == bundled.of("timm/deit_small_patch16_224.fb_in1k")
    assert bundled.of("microsoft/resnet-18") == bundled.of("timm/resnet18.tv_in1k")
    assert bundled.of("microsoft/resnet-18") != bundled.of("timm/resnet18.a1_in1k")


def test_uncertain_weights_are_not_found_by_their_id(bundled):
    """Chaves 2024 does not say which ResNet-34 it used, 2023 does."""
    assert bundled.of("timm/resnet34.bt_in1k").studies == ("chaves2023",)
    assert bundled.of("timm/densenet161.tv_in1k").studies == ("chaves2023", "chaves2024")
    assert bundled.of("Zetatech/pvt-tiny-224") is None


def test_percentile_of_a_published_checkpoint_by_hand(bundled):
    """EfficientNet-B0 is first, third and second of ten in Chaves 2023."""
    rows = bundled.percentiles[bundled.percentiles.study == "chaves2023"]
    own = rows[rows.name == "efficientnet_b0"].set_index("target").percentile
    raw = pd.read_parquet(known.FOLDER / "results.parquet")
    raw = raw[raw.study == "chaves2023"]
    for target, value in own.items():
        beside = raw[raw.target == target].value
        mine = raw[(raw.target == target) & (raw.name == "efficientnet_b0")].value.item()
        assert value == pytest.approx((beside < mine).sum() / 9)


def test_own_ground_truth_extends_the_table(bundled):
    more = bundled.extended(
        truth(
            ("timm/vgg16.tv_in1k", "scans", 0.9), ("owner/mine", "scans", 0.8), ("folder@12345678", "scans", 0.7),
            citation="Somebody 2026",
        )
    )  # fmt: skip
    found = more.of("timm/vgg16.tv_in1k")
    assert (found.targets, found.studies) == (13, ("medmnistplus", "mine"))
    assert more.of("owner/mine") == known.Known(0.5, 1, 0, ("mine",))
    assert more.citations["mine"] == "Somebody 2026"
    assert more.without(["owner/scans"])[0].of("owner/mine") is None
    assert bundled.of("owner/mine") is None  # the bundled table is as before


def test_the_column_of_checkpoints_goes_before_the_name(bundled):
    more = bundled.extended(truth(("mine", "scans", 0.9), ("other", "scans", 0.8), checkpoint=["timm/vgg16.tv_in1k", "other"]))
    assert more.of("timm/vgg16.tv_in1k").targets == 13


@pytest.mark.parametrize("columns", [{"weights_sha256": [SHA, ""]}, {"checkpoint_revision": [f"sha256:{SHA}", "0" * 40]}])
def test_local_copies_are_found_by_their_sha256(columns):
    found = table(results(("t", "a/a", 1), ("t", "a/b", 2))).extended(
        truth(("mine", "scans", 0.9), ("other", "scans", 0.8), **columns)
    )
    assert found.of("/some/folder", [f"sha256:{SHA.upper()}"]) == known.Known(1.0, 1, 0, ("mine",))
    assert found.of("/some/folder", ["0" * 64]) is None
    assert found.of("/some/folder", ["", "0" * 40]) is None


def test_its_own_pretraining_dataset_is_no_target_of_a_source():
    own = truth(("a/a", "a/a", 0.99), ("a/a", "u", 0.5), ("a/b", "u", 0.6), ("a/b", "a/a", 0.7), ("a/c", "a/a", 0.6))
    found = table(results(("t", "x/x", 1), ("t", "x/y", 2))).extended(own)
    assert found.of("a/a").targets == 1
    assert found.of("a/b").value == 1


def test_the_caller_may_change_the_frame():
    first = known.bundled()
    first.percentiles["percentile"] = 0.0
    assert known.bundled().percentiles.percentile.max() == 1
