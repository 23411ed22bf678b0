"""What is kept or passed on names a local dataset by its folder and images by their rows: paths and files may name patients."""

import json
import os

import pytest
from helpers.inputs import blobs
from PIL import Image

from hf_transferability.cli import main
from hf_transferability.publishing.score_rows import scores

SECRET = ("Mustermann", "clinic-7", "no_image_Roe")  # a folder above the dataset, another, and a corrupt file


@pytest.fixture
def scans(tmp_path):
    """tmp_path/Mustermann/clinic-7/scans with train and test, one image of either damaged, files named after people."""
    folder = tmp_path / SECRET[0] / SECRET[1] / "scans"
    for split, first in (("train", 0), ("test", 40)):
        images, labels = blobs(24, 2, first)  # labels that the images show: for others there is no advice
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            place = folder / split / f"class {label}" / f"Mustermann_{number}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(place)
    (folder / "train" / "class 0" / "no_image_Roe.png").write_bytes(b"damaged")
    return folder


@pytest.fixture
def nothing_private():
    """A check that no file below a folder, and no text, names the folders above the dataset or a file in it."""

    def check(*kept):
        for path in kept:
            files = [path] if not path.is_dir() else [file for file in path.rglob("*") if file.is_file()]
            assert files
            for file in files:
                content = file.read_bytes()
                for secret in SECRET:
                    assert secret.encode() not in content, f"{file} holds {secret}"

    return check


@pytest.mark.parametrize("relative", [False, True])
def test_a_ranking(scans, make_checkpoint, tmp_path, capfd, monkeypatch, nothing_private, relative):
    monkeypatch.chdir(tmp_path)
    given = os.path.relpath(scans, tmp_path) if relative else str(scans)
    outputs = [tmp_path / name for name in ("ranking.json", "ranking.csv", "ranking.parquet", "ranking.html")]
    for path in outputs:
        words = ["--report" if path.suffix == ".html" else "--output", str(path), "--metric", "knn"]
        checkpoints = [str(make_checkpoint(seed=0)), str(make_checkpoint(seed=1))]
        assert main(["rank", given, *checkpoints, "--skip-corrupt", "--cache-dir", str(tmp_path / "cache"), *words]) == 0
        printed = capfd.readouterr()
        assert f"finetune --dataset {given} " in printed.err  # who runs it can run this
        for secret in SECRET:
            assert secret not in printed.out
    nothing_private(*outputs, tmp_path / "cache")
    document = json.loads(outputs[0].read_text())
    assert document["dataset"]["id"] == "scans"
    assert "--dataset PATH/TO/scans " in document["advice"]["command"]
    rows = scores(document, "own").to_dict("records")
    assert not any(secret in json.dumps(rows, default=str) for secret in SECRET)


def test_a_page_of_an_older_result_is_cleaned_too(scans, make_checkpoint, tmp_path, capfd, nothing_private):
    from hf_transferability import rank
    from hf_transferability.reporting import html

    document = rank(scans, [make_checkpoint()], metrics=["logme"], skip_corrupt=True, cache_dir=tmp_path / "cache").to_dict()
    document["dataset"]["id"] = str(scans)
    document["notes"] += [
        f"next: hf-transferability finetune --dataset {scans} --checkpoint {document['rows'][0]['checkpoint']}"
    ]
    document["rows"][0]["error"] = f"{scans}/train/x cannot be read."
    html.save(document, tmp_path / "page.html")
    nothing_private(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert str(make_checkpoint().parent) not in page


def test_runs_of_fine_tuning_and_a_card(scans, make_checkpoint, tmp_path, capfd, monkeypatch, nothing_private):
    """A damaged image ends fine-tuning with the row on the terminal, and nothing of it is kept."""
    words = ["finetune", "--dataset", str(scans), "--checkpoint", str(make_checkpoint(size=16)), "--image-size", "16"]
    words += ["--epochs", "1", "--seeds", "1", "--grid", "small", "--output", str(tmp_path / "runs")]
    assert main(words) == 1
    assert "of split train of scans cannot be decoded" in capfd.readouterr().err
    (scans / "train" / "class 0" / "no_image_Roe.png").unlink()

    def fail(*arguments, **options):
        raise RuntimeError(f"no memory for {scans}/data.arrow")

    monkeypatch.setattr("hf_transferability.training.one_run.fine_tune", fail)
    assert main(words) == 1
    nothing_private(tmp_path / "runs")
    architecture = tmp_path / "network.json"
    config = json.loads((make_checkpoint(size=16) / "config.json").read_text())
    architecture.write_text(json.dumps(config))
    words = ["pretrain", "--dataset", str(scans), "--architecture", str(architecture), "--image-size", "16", "--epochs", "0"]
    assert main([*words, "--output", str(tmp_path / "new")]) == 0
    nothing_private(tmp_path / "new")
