"""One dataset in every layout."""

import datasets
import pytest


@pytest.fixture(scope="package")
def layouts(make_target, tmp_path_factory):
    """One dataset as parquet, imagefolder and `save_to_disk`: name -> folder."""
    parquet = make_target(n=48, splits=("train", "test"))
    home = tmp_path_factory.mktemp("layouts")
    loaded = datasets.load_dataset(str(parquet))
    loaded.save_to_disk(home / "saved dict")
    loaded["train"].save_to_disk(home / "saved one")
    for split, part in loaded.items():
        names = part.features["label"].names
        for i, record in enumerate(part.cast_column("image", datasets.Image(decode=False))):
            file = home / "folder" / split / names[record["label"]] / f"{i:03}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(record["image"]["bytes"])
    return {"parquet": parquet, **{name: home / name for name in ("saved dict", "saved one", "folder")}}
