"""Bundled tables of published studies against the CSV files that they were made from, cell by cell."""

import pandas as pd
import pytest

from hf_transferability.benchmark import bundled

PAIR = ["source", "target"]
# Column of the CSV file -> metric and variant.
CHAVES = {
    name: (name, "published") for name in ("nce", "leep", "nleep", "parc", "sfda", "logme", "gbc", "ncti", "pactran", "tmi")
}
CHAVES |= {"hscore": ("h_score", "published"), "reg_hscore": ("h_score", "default"), "etran_energy": ("etran", "published")}


@pytest.fixture(scope="module")
def external(shared):
    if not (shared / "external").is_dir():
        pytest.skip("the folder ../shared/external with the studies' CSV files is not beside this checkout")
    return shared / "external"


def given(path, **columns):
    """A CSV file with its columns renamed, indexed by source and target."""
    frame = pd.read_csv(path).rename(columns={"model": "source", "dataset": "target", **columns})
    return frame.set_index(PAIR).sort_index()


def of(table, benchmark, column, **only):
    """A column of a bundled table, indexed by source and target."""
    frame = bundled.load(table, benchmark)
    for name, value in only.items():
        frame = frame[frame[name] == value]
    return frame.set_index(PAIR)[column].sort_index()


def assert_same(found, expected, scale=1.0):
    assert found.index.equals(expected.index) and found.notna().all()
    assert (found * scale - expected).abs().max() < 1e-9


def test_chaves2024(external):
    file = given(external / "chaves2024.csv")
    assert_same(of("ground_truth", "chaves2024", "performance", selection="as_published"), file.test_score)
    assert_same(of("ground_truth", "chaves2024", "performance", selection="frozen_as_published"), file.test_score_frozen)
    assert set(bundled.load("ground_truth", "chaves2024")["measure"]) == {"balanced_accuracy"}
    largest = file.classes - 1
    for column, (metric, variant) in CHAVES.items():
        expected = file[column]
        if column == "hscore":  # cells above the largest possible value are broken in the source
            broken = expected[expected > largest * 1.001]
            assert {source for source, _ in broken.index} == {"vit_small_patch16_224"} and len(broken) == 3
            expected = expected.drop(broken.index)
        assert_same(of("scores", "chaves2024", "score", metric=metric, variant=variant), expected)
    top1 = bundled.load("sources", "chaves2024").set_index("source")["imagenet_top1"]
    assert_same(top1.sort_index(), file.groupby("source").imagenet.first(), scale=100)
    classes = bundled.load("targets", "chaves2024").set_index("target")["classes"]
    assert classes.sort_index().tolist() == file.groupby("target").classes.first().tolist()


def test_medmnistplus(external):
    file = given(external / "medmnistplus.csv")
    tuned, probe, neighbours = (file[file.scheme == scheme] for scheme in ("endToEnd", "linearProbing", "kNN"))
    for column, measure in (("auc", "auc"), ("acc", "accuracy")):
        assert_same(of("ground_truth", "medmnistplus", "performance", measure=measure), tuned[column], scale=100)
        assert_same(of("ground_truth", "medmnistplus", "performance_sd", measure=measure), tuned[f"{column}_std"], scale=100)
    assert_same(of("scores", "medmnistplus", "score", metric="linear_probe"), probe.auc, scale=100)
    assert_same(of("scores", "medmnistplus", "score", metric="knn"), neighbours.acc, scale=100)


def test_sfda_emms(external):
    file = given(external / "sfda_emms_finetuned.csv")
    assert_same(of("ground_truth", "sfda_emms", "performance"), file.acc, scale=100)
    # The groups are three pools: nothing of one stands beside another.
    pools = of("ground_truth", "sfda_emms", ["scenario", "selection"])
    assert (pools.apply(tuple, axis=1).groupby(file.group).nunique() == 1).all()
    assert pools.drop_duplicates().shape == (3, 2)
    top1 = bundled.load("sources", "sfda_emms").set_index("source")["imagenet_top1"]
    assert_same(
        top1[file.imagenet.dropna().index.unique("source")].sort_index(), file.groupby("source").imagenet.first().dropna(), 100
    )
    # The study's counts are in millions, with head.
    counts = bundled.load("sources", "sfda_emms").set_index("source")["parameters"].astype(float)
    with_head = file.groupby("source").params_m.first().dropna() * 1e6
    assert counts[with_head.index].between(with_head * 0.6, with_head).all()


def test_transfergraph(external):
    file = given(external / "transfergraph.csv")
    assert_same(of("ground_truth", "transfergraph", "performance"), file.test_accuracy)
    sources = bundled.load("sources", "transfergraph").set_index("source").sort_index()
    assert (sources.checkpoint == sources.index).all()
    counted = file.groupby("source").number_of_parameters.first()
    known = counted[counted.notna()].index
    heads = sources.classes[known].astype(float) * (sources.feature_width[known].astype(float) + 1)
    rest = counted[known] - sources.parameters[known].astype(float)
    # The head is what is left of the study's count; the distilled networks of DeiT have two.
    distilled = known.str.contains("deit-.*-distilled")
    assert (rest == heads.where(~distilled, 2 * heads)).all()
    assert sources.parameters.isna().sum() == 1


def test_timm_top1(external):
    """ImageNet top-1 of the weights that are named, as timm publishes it."""
    table = pd.read_csv(external / "timm_imagenet.csv").assign(checkpoint=lambda frame: "timm/" + frame.model)
    published = table.groupby("checkpoint").top1.agg(list)
    for benchmark in ("medmnistplus", "sfda_emms", "chaves2024"):
        sources = bundled.load("sources", benchmark).dropna(subset=["checkpoint", "imagenet_top1"])
        assert len(sources) >= 5
        for row in sources.itertuples():
            # The studies' own columns are of torchvision's or of an earlier timm, and differ by up to 0.4 points.
            near = 0.002 if benchmark == "medmnistplus" else 0.4
            assert min(abs(value - 100 * row.imagenet_top1) for value in published[row.checkpoint]) < near
