"""The account of twenty layouts: every file is used, left out by name, or the dataset is refused with the remedy."""

import pytest
from helpers.layouts import LAYOUTS, PER_CLASS, accounted

REFUSED = {
    "test only": "Pass --split",
    "nested classes": "Pass --class-level N",
    "a class of .npy files": "class normal of split train would be lost",
    "several findings in a text": "Pass --label-separator",
}
TABLES = ("parquet files", "save_to_disk", "zip of class folders")  # whose files hold many images


@pytest.mark.parametrize("name", LAYOUTS)
def test_nothing_vanishes(name, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    account, line = accounted(name, folder)
    assert (account is None) == (name in REFUSED)
    if account is None:
        assert REFUSED[name] in line
        return
    used = sum(account["rows"].values())
    if name not in TABLES:
        files = [path for path in folder.rglob("*") if path.is_file() and path.name != "metadata.csv"]
        assert used + sum(account["left_out"].values()) == len(files)
    assert f"{len(account['classes'])} classes" in line
    assert all(f"{label}: {count}" in line for label, count in account["classes"].items())
    if name != "several findings, --label-separator":  # whose images are counted for each of their labels
        assert sum(account["classes"].values()) == account["rows"][account["split"]]
    assert min(account["classes"].values()) >= PER_CLASS // 2


def test_there_are_twenty_layouts():
    assert len(LAYOUTS) >= 20
