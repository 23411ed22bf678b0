"""What is a table, and what may be published."""

import pandas as pd
import pytest
from helpers.score_rows import PROVENANCE, scores

from hf_transferability import UsageError
from hf_transferability.benchmark import tables

NEEDED = [name for name in tables.TABLES["scores"].columns if tables.TABLES["scores"].columns[name].needed]


def test_columns_get_their_kinds_and_order():
    frame = scores("a", "b")[::-1].assign(mine=[1, 2])
    checked = tables.check(frame, "scores")
    own, provenance = list(tables.TABLES["scores"].columns), [name for name in tables.PROVENANCE if name in PROVENANCE]
    assert list(checked) == [*own, *provenance, "mine"]
    assert checked["source"].tolist() == ["b", "a"]
    assert checked["interval_low"].isna().all()
    assert checked["sample_size"].dtype == "Int64"
    assert checked["flags"].isna().all()


@pytest.mark.parametrize("column", NEEDED)
def test_what_a_row_must_have(column):
    with pytest.raises(UsageError, match=f"must have the columns {column} to be a table of scores"):
        tables.check(scores("a").drop(columns=column), "scores")
    with pytest.raises(UsageError, match=f"column {column} must have a value in every row"):
        tables.check(scores("a", "b").assign(**{column: ["x", None]}), "scores")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"score": "high"}, "column score must be a number; could not convert string to float"),
        ({"sample_size": 1.5}, "column sample_size must be a count"),
        ({"source": 3}, "column source must be a text; got 3"),
        ({}, "is there twice"),
    ],
)
def test_what_is_no_table(changes, text):
    with pytest.raises(UsageError, match=text):
        tables.check(scores("a", "a").assign(**changes), "scores", "x.csv")


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".json"])
def test_every_form_can_be_read(tmp_path, ending):
    frame = tables.check_provenance(scores("a", "b", flags="x;y"), "scores")
    path = tmp_path / f"scores{ending}"
    write = {".parquet": frame.to_parquet, ".csv": frame.to_csv, ".json": frame.to_json}[ending]
    write(path, **({"orient": "records"} if ending == ".json" else {"index": False}))
    pd.testing.assert_frame_equal(tables.check_provenance(tables.read(path, "scores"), "scores"), frame)


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "scores.parquet").write_bytes(b"no parquet")
    for path, text in [
        (tmp_path / "none.csv", "there is no file"),
        (tmp_path / "scores.txt", "must end in .parquet, .csv, .json"),
        (tmp_path / "scores.parquet", "cannot be read"),
    ]:
        with pytest.raises(UsageError, match=text):
            tables.read(path, "scores")


@pytest.mark.parametrize("column", sorted(set(PROVENANCE) - {"dataset_revision"}))
def test_a_row_that_does_not_say_where_it_comes_from_is_refused_by_name(column):
    whole = tables.check_provenance(scores("a", "b"), "scores")
    assert list(tables.PROVENANCE) == [name for name in whole if name in tables.PROVENANCE]
    for missing in (scores("a", "b").drop(columns=column), scores("a", "b", **{column: None})):
        with pytest.raises(UsageError) as refused:
            tables.check_provenance(missing, "scores", "x.csv")
        assert "x.csv: 2 of 2 rows of scores do not say where they come from" in str(refused.value)
        assert f"source=b, target=owner/target, metric=logme, variant=default lacks {column}" in str(refused.value)
    one = pd.concat([scores("good"), scores("bad").drop(columns=column)])
    with pytest.raises(UsageError, match=r"1 of 2 rows of scores.*source=bad"):
        tables.check_provenance(one, "scores")


def test_one_of_revision_and_fingerprint_is_enough():
    local = scores("a").drop(columns="dataset_revision")
    with pytest.raises(UsageError, match="lacks dataset_revision or dataset_fingerprint"):
        tables.check_provenance(local, "scores")
    assert len(tables.check_provenance(local.assign(dataset_fingerprint="c" * 64), "scores")) == 1


def test_a_citation_stands_for_the_rest():
    bare = scores("a", "b").drop(columns=list(PROVENANCE))
    assert tables.check_provenance(bare.assign(citation="Somebody 2020"), "scores")["date"].isna().all()
    with pytest.raises(UsageError, match="2 of 2 rows"):
        tables.check_provenance(bare.assign(citation="  "), "scores")


def test_a_score_that_exists_only_over_a_pool_names_the_pool():
    for metric in ("transferability", "ncti"):
        with pytest.raises(UsageError, match="lacks pool"):
            tables.check_provenance(scores("a", metric=metric), "scores")
        assert len(tables.check_provenance(scores("a", metric=metric, pool="3 candidates"), "scores")) == 1


@pytest.mark.parametrize("date", ["2025", "2024-12", "2024-12-28", "2025-06-01T12:00:00+00:00"])
def test_dates(date):
    assert tables.check_provenance(scores("a", date=date), "scores")["date"].tolist() == [date]


@pytest.mark.parametrize("date", ["yesterday", "2025-06-01T12:00:00", "2025-06-01T12:00:00+02:00", "1.6.2025"])
def test_dates_that_cannot_be_ordered_are_refused(date):
    with pytest.raises(UsageError, match=r"`date` of benchmark=made, .*source=a"):
        tables.check_provenance(scores("a", date=date), "scores")


@pytest.mark.parametrize("date", ["2025-13-01T12:00:00+00:00", "2025-02-30", "2999", "2999-01-01T00:00:00+00:00"])
def test_dates_that_are_none_or_still_to_come_are_refused(date):
    with pytest.raises(UsageError, match="not in the future; got"):
        tables.check_provenance(scores("a", date=date), "scores")


def truth(**changes):
    row = {
        "benchmark": "m",
        "scenario": "architecture",
        "source": "a",
        "target": "t",
        "selection": "x",
        "measure": "auc",
        "performance": 0.9,
    }
    return pd.DataFrame([{**row, "citation": "Somebody 2020", **changes}])


@pytest.mark.parametrize(
    ("frame", "name", "text"),
    [
        (truth(scenario="sorce_dataset"), "ground_truth", "`scenario` of .*source=a.* must be one of source_dataset, arch"),
        (truth(performance=87.3), "ground_truth", "column performance must be a share; it goes from 0 to 1, and got 87.3"),
        (truth(performance=-0.1), "ground_truth", "goes from 0 to 1"),
        (truth(performance=float("inf")), "ground_truth", "not finite"),
        (truth(measure="acuracy"), "ground_truth", "`measure` of .*source=a.* must be one of auc, accuracy, balanced"),
        (truth(measure="mixed"), "ground_truth", "`measure` of .*source=a.* must be one of auc"),
        (scores("a", score=float("-inf")), "scores", "column score must be a number; got -inf, which is not finite"),
        (scores("a", metric="logmee"), "scores", "`metric` of .*source=a.* must be one of .*logme"),
        (scores("a", variant="defualt"), "scores", "`variant` of .* must be one of default, published"),
        (scores("a", variant="baseline"), "scores", "`variant` of .* must be one of default, published"),
    ],
)
def test_values_that_cannot_be_are_refused(frame, name, text):
    with pytest.raises(UsageError, match=text):
        tables.check_provenance(frame, name)


def test_a_foreign_metric_needs_a_citation_and_a_known_name():
    """PACTran is reported by a study and not computed here; a slip of the pen is no foreign metric."""
    foreign = scores("a", metric="pactran").drop(columns=list(PROVENANCE))
    assert len(tables.check_provenance(foreign.assign(citation="Chaves 2024"), "scores")) == 1
    with pytest.raises(UsageError, match=r"`metric` of .*source=a.* must be one of"):
        tables.check_provenance(foreign.assign(citation="Chaves 2024", metric="pactram"), "scores")
    with pytest.raises(UsageError, match=r"`metric` of .*metric=pactran.* must be one of"):
        tables.check_provenance(scores("a", metric="pactran"), "scores")


def test_older_tables_are_read_as_what_they_mean(tmp_path):
    old = truth().rename(columns={"performance": "test_auc"}).drop(columns="measure")
    for ending, write in ((".csv", old.to_csv), (".parquet", old.to_parquet)):
        write(tmp_path / f"ground_truth{ending}", index=False)
        read = tables.read(tmp_path / f"ground_truth{ending}", "ground_truth")
        assert read[["measure", "performance"]].to_numpy().tolist() == [["auc", 0.9]] and "test_auc" not in read
        pd.testing.assert_frame_equal(read, tables.check(truth(), "ground_truth"))
    row = {"benchmark": "m", "scenario": "architecture", "metric": "random", "target": "t", "selection": "x"}
    agreement = pd.DataFrame([{**row, "variant": "baseline", "statistic": "pearson"}])
    assert tables.check(agreement, "agreement")["measure"].tolist() == ["auc"]
    with pytest.raises(UsageError, match="must have the columns measure to be a table of ground_truth"):
        tables.check(truth().drop(columns="measure"), "ground_truth")


def test_agreement_has_baselines_and_a_ceiling():
    row = {"benchmark": "m", "scenario": "architecture", "metric": "random", "target": "t", "selection": "x"}
    for variant in ("default", "published", "baseline", "ceiling"):
        figures = {"variant": variant, "statistic": "pearson", "measure": "mixed"}
        frame = pd.DataFrame([{**row, **figures, "citation": "Somebody 2020"}])
        assert len(tables.check_provenance(frame, "agreement")) == 1


@pytest.mark.parametrize("name", ["None", "NA", "nan", "007"])
def test_a_name_in_a_csv_is_a_name(tmp_path, name):
    scores(name).to_csv(tmp_path / "scores.CSV", index=False)
    assert tables.read(tmp_path / "scores.CSV", "scores")["source"].tolist() == [name]


def test_rows_of_other_samples_or_pools_are_no_duplicates():
    one = scores("a")
    assert len(tables.check(pd.concat([one, scores("a", sample_size=20)]), "scores")) == 2
    for twice in (one, one.drop(columns=[*PROVENANCE]), one.assign(pool=None, dataset_config=None)):
        with pytest.raises(UsageError, match="is there twice"):
            tables.check(pd.concat([twice, twice.assign(score=1)]), "scores")


def test_provenance_of_every_table_is_known():
    for table in tables.TABLES.values():
        assert {part for field in table.provenance for part in field.split(" or ")} <= set(tables.PROVENANCE)
        assert not set(table.columns) & set(tables.PROVENANCE)
        assert set(table.identity) <= set(tables.PROVENANCE)
        assert set(table.key) <= {name for name, column in table.columns.items() if column.needed}
