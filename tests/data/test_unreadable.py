"""Tables and archives that `datasets` cannot read: one line each, with a remedy that works."""

import gc
import json
import logging
import tarfile

import pytest
from helpers.targets import png, refused

from hf_transferability.data.targets import load_target
from hf_transferability.errors import TargetError

ROWS = [{"path": f"{i}.png", "label": ("gutartig", "bösartig")[i % 2]} for i in range(24)]


def lines(separator: str, path: str = "path") -> str:
    return "".join(separator.join(row) + "\n" for row in ((path, "label"), *(tuple(row.values()) for row in ROWS)))


TABLES = {
    "labels.csv": lines(","),
    "labels.tsv": lines("\t"),
    "labels.jsonl": "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS),
    "labels.json": json.dumps(ROWS, ensure_ascii=False),
    "metadata.csv": lines(",", "file_name"),
}


@pytest.mark.parametrize(
    ("name", "encoding"), [*((name, "latin-1") for name in TABLES), ("labels.csv", "utf-16"), ("labels.csv", "utf-32")]
)
def test_a_table_in_another_encoding(tmp_path, name, encoding):
    options = {} if name.startswith("metadata") else {"image_column": "path"}
    for i in range(24):
        (tmp_path / f"{i}.png").write_bytes(png(i))
    file = tmp_path / name
    file.write_bytes(TABLES[name].encode(encoding))
    known = encoding.replace("latin-1", "cp1252")
    with pytest.raises(TargetError, match=f"^{name} must be in UTF-8; got another encoding.*iconv -f {known} -t utf-8"):
        load_target(tmp_path, **options)
    file.write_bytes(file.read_bytes().decode(known).encode())
    assert load_target(tmp_path, **options).class_names == ["bösartig", "gutartig"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # `datasets` leaves the table open
@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl"])
@pytest.mark.parametrize("streaming", [False, True])
def test_tables_of_different_columns(tmp_path, ending, streaming):
    for i in range(24):
        (tmp_path / f"{i}.png").write_bytes(png(i))
    other = tmp_path / f"patients.{ending}"
    separator = "\t" if ending == "tsv" else ","
    more = [line + separator + ("age" if i == 0 else "1") for i, line in enumerate(lines(separator).splitlines())]
    (tmp_path / f"labels.{ending}").write_text(TABLES["labels.jsonl"] if ending == "jsonl" else "\n".join(more))
    last = {"path": "0.png", "label": "gutartig"} | ({"age": 1} if ending == "jsonl" else {})
    other.write_text(json.dumps(last) if ending == "jsonl" else separator.join(last) + "\n" + separator.join(last.values()))
    options = {"image_column": "path", "streaming": streaming, "sample_size": 20}
    refused(
        rf"have different columns \(labels.{ending}, patients.{ending}\). Give them the same columns, or move",
        tmp_path,
        **options,
    )
    gc.collect()
    other.unlink()
    assert len(load_target(tmp_path, **options)) == 20


@pytest.mark.parametrize("name", ["labels.csv", "metadata.csv"])
def test_no_line_of_another_library_stands_beside_the_error(tmp_path, name):
    for i in range(24):
        (tmp_path / f"{i}.png").write_bytes(png(i))
    (tmp_path / name).write_bytes(TABLES[name].encode("latin-1"))
    options = {} if name.startswith("metadata") else {"image_column": "path"}
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("datasets")
    logger.addHandler(handler)
    try:
        for streaming in (False, True):
            with pytest.raises(TargetError, match="must be in UTF-8"):
                load_target(tmp_path, streaming=streaming, sample_size=20, **options)
    finally:
        logger.removeHandler(handler)
    assert not lines


@pytest.mark.parametrize("name", ["x.tar.gz", "x.tar", "x.tar.xz", "x.tgz", "x.7z"])
def test_an_archive_of_class_folders(tmp_path, name):
    for i in range(24):
        (tmp_path / "made" / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        (tmp_path / "made" / "ab"[i % 2] / f"{i}.png").write_bytes(png(i))
    place = tmp_path / "d"
    place.mkdir()
    with tarfile.open(place / name, {"tgz": "w:gz", "gz": "w:gz", "xz": "w:xz"}.get(name.rpartition(".")[2], "w")) as archive:
        for label in "ab":
            archive.add(tmp_path / "made" / label, label)
    refused(rf"(archives of images without labels|only archives), such as {name}|only archives such as {name}", place)
    with tarfile.open(place / name) as archive:
        archive.extractall(place, filter="data")
    assert load_target(place).class_names == ["a", "b"]


def test_a_damaged_archive(tmp_path):
    (tmp_path / "x.tar").write_bytes(b"no archive" * 100)
    with pytest.raises(TargetError, match=r"an archive of .* cannot be read. Download it again, or unpack it"):
        load_target(tmp_path)
