"""What goes with good transfer: by hand on invented sources, and on the paper's."""

import json

import numpy as np
import pandas as pd
import pytest
from helpers.tables import ground_truth, scores

from hf_transferability.benchmark import bundled, tables
from hf_transferability.benchmark.factors import effective_rank, factors
from hf_transferability.cli import main

SOURCES = [f"s{i:02}" for i in range(16)]


def facts(**columns):
    frame = pd.DataFrame({"source": SOURCES, **columns}).assign(benchmark="mine")
    return tables.check(frame, "sources")


def transfer(order, noise=0.0, seed=0):
    """Ground truth of three targets whose AUC follows an order of the sources."""
    rng = np.random.default_rng(seed)
    place = {source: i for i, source in enumerate(order)}
    return ground_truth({t: {s: 0.5 + 0.02 * place[s] + noise * rng.random() for s in SOURCES} for t in ("t1", "t2", "t3")})


def row(found, factor, scenario="source_dataset"):
    (one,) = [each for each in found.rows if (each["scenario"], each["factor"]) == (scenario, factor)]
    return one


NONE = scores({"t1": {"s00": 1.0}}, "leep")


def test_effective_rank_by_hand():
    assert effective_rank([[3, 0], [-3, 0]]) == pytest.approx(1)
    assert effective_rank([[1, 0], [-1, 0], [0, 1], [0, -1]]) == pytest.approx(2)
    shares = np.array([2, 1]) / 3
    wanted = np.exp(-(shares * np.log(shares)).sum())
    assert effective_rank([[7, 7], [3, 7], [5, 8], [5, 6]]) == pytest.approx(wanted)  # centred
    x = np.random.default_rng(0).normal(size=(50, 8))
    assert 6 < effective_rank(x) <= 8
    assert effective_rank(1e-9 * x) == pytest.approx(effective_rank(x))


@pytest.mark.parametrize("features", [[[1, 2], [1, 2]], [[1, 2]], [1, 2], [[1, np.nan], [1, 2]]])
def test_effective_rank_is_refused_for_what_has_none(features):
    with pytest.raises(ValueError, match="`features` must"):
        effective_rank(features)


def test_a_factor_that_orders_and_one_that_does_not():
    found = factors(
        transfer(SOURCES), NONE, facts(train_images=range(16), classes=[16 - i for i in range(16)], parameters=5), resamples=300
    )
    assert row(found, "train_images")["correlation"] == pytest.approx(1)
    assert row(found, "train_images")["verdict"] == "more is better"
    assert row(found, "classes")["correlation"] == pytest.approx(-1)
    assert row(found, "classes")["verdict"] == "more is worse"
    assert row(found, "parameters")["verdict"] == "undefined"
    assert row(found, "parameters")["undefined"] == "it is the same for all 16 candidates"
    assert row(found, "feature_width")["undefined"] == "unknown"


def test_few_sources_cannot_tell():
    order = ["s01", "s00", "s03", "s02"]
    few = ground_truth({"t1": {source: 0.5 + 0.1 * i for i, source in enumerate(order)}})
    found = factors(few, NONE, facts(train_images=range(16)), resamples=300)
    assert row(found, "train_images")["correlation"] == pytest.approx(0.6)
    assert row(found, "train_images")["verdict"] == "cannot tell"
    assert any("train_images cannot tell: 4 sources are too few" in note for note in found.notes)


def test_modality_and_colour_are_those_of_the_target():
    table = facts(modality=["chest CT"] * 8 + ["skin"] * 8, channels=[1] * 8 + [3] * 8)
    target = pd.DataFrame([{"benchmark": "mine", "source": t, "modality": "CT (axial)", "channels": 1} for t in ("t1", "t2")])
    found = factors(transfer(SOURCES[::-1]), NONE, tables.check(pd.concat([table, target]), "sources"), resamples=300)
    for factor in ("same_modality", "same_colour"):
        assert row(found, factor)["verdict"] == "more is better"
        assert row(found, factor)["n_targets"] == 2  # of the third nothing is known


def test_unknown_facts_are_named():
    table = facts(train_images=[*range(15), None])
    found = factors(transfer(SOURCES), NONE, table, resamples=100)
    assert row(found, "train_images")["n_sources"] == 15
    assert "source_dataset: train_images unknown for s15." in found.notes


@pytest.mark.parametrize(
    ("size", "diversity", "verdict"),
    [(SOURCES[::-1], SOURCES, "supported"), (SOURCES, SOURCES[::-1], "not supported"), (SOURCES, SOURCES, "cannot tell")],
)
def test_the_claim_that_diversity_counts_for_more(size, diversity, verdict):
    table = facts(train_images=[size.index(each) for each in SOURCES])
    ranks = {source: 1.0 + diversity.index(source) for source in SOURCES}
    found = factors(transfer(SOURCES), NONE, table, effective_ranks={**ranks, "stranger": 2.0}, resamples=300)
    claim = found.claims[0]
    assert claim["verdict"] == verdict
    assert "effective rank" in claim["numbers"]
    assert any("stranger" in note for note in found.notes)


def test_the_claim_that_the_order_turns_round():
    values = {t: {s: float(i) for i, s in enumerate(SOURCES)} for t in ("t1", "t2", "t3")}
    components = ("feature_quality", "feature_update_ratio")
    given = pd.concat([scores(values, name, scenario=s) for name in components for s in ("source_dataset", "architecture")])
    up = transfer(SOURCES)
    down = transfer(SOURCES[::-1]).assign(scenario="architecture")
    assert factors(pd.concat([up, down]), given, facts(), resamples=200).claims[1]["verdict"] == "supported"
    same = pd.concat([up, up.assign(scenario="architecture")])
    assert factors(same, given, facts(), resamples=200).claims[1]["verdict"] == "not supported"
    assert factors(up, given, facts(), resamples=200).claims[1]["verdict"] == "cannot tell"


@pytest.fixture(scope="module")
def published():
    return factors(bundled.load("ground_truth"), bundled.load("scores"), bundled.load("sources"), resamples=500)


def test_the_papers_figures(published):
    assert row(published, "train_images")["correlation"] == pytest.approx(0.52, abs=0.01)
    assert row(published, "feature_quality", "architecture")["correlation"] < 0
    assert row(published, "parameters", "architecture")["verdict"] == "more is better"
    assert row(published, "train_images", "architecture")["verdict"] == "undefined"
    assert [claim["verdict"] for claim in published.claims] == ["cannot tell", "supported"]
    assert "14 sources are too few to tell" in published.claims[0]["numbers"]  # the target's own is no candidate
    assert row(published, "classes")["n_sources"] == 14
    assert any("no independent evidence" in note for note in published.notes)
    json.dumps(published.to_dict(), allow_nan=False)


def test_the_command(capsys, tmp_path):
    for seed, source in enumerate(("imagenet", "radimagenet", "medmnist", "pathmnist", "chestmnist")):
        x = np.random.default_rng(seed).normal(size=(30, 2 + seed))
        np.savez(tmp_path / f"{source}.npz", features=x, labels=np.arange(30) % 2)
    files = [f"{path.stem}={path}" for path in sorted(tmp_path.glob("*.npz"))]
    words = ["benchmark", "factors", "--scenario", "source_dataset", "--features", *files]
    assert main([*words, "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    (measured,) = [each for each in document["rows"] if each["factor"] == "effective_rank"]
    assert measured["n_sources"] == 5
    assert main(words) == 0
    assert "effective_rank" in capsys.readouterr().out
    assert main(["benchmark", "factors", "--scenario", "architecture", "--format", "markdown"]) == 0
    text = capsys.readouterr().out
    assert "| architecture | parameters | 0.48 |" in text
    assert "needs effective rank" not in text
    assert main(["benchmark", "factors", "--features", f"imagenet={tmp_path / 'none.npz'}"]) == 2
    assert "there is no file" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["benchmark", "factors", "--features", "imagenet"])
    assert "must be SOURCE=FILE" in capsys.readouterr().err
