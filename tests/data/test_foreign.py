"""A dataset that names files elsewhere is refused before anybody is asked for them."""

import http.server
import threading

import datasets
import pytest
from datasets import Dataset, Features, Value
from helpers.targets import AB, png, table

from hf_transferability.data.foreign import check_card, is_own_path
from hf_transferability.data.opening import split_names
from hf_transferability.data.targets import load_target
from hf_transferability.errors import TargetError


@pytest.fixture
def server():
    """A server on the loopback that answers everything; `asked` lists what it was asked for."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_GET

        def log_message(self, *arguments):
            pass

    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.asked = []
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
    thread.join()


@pytest.mark.parametrize(
    "text",
    [
        "http://host/a.csv", "ftp://host/a", "zip://x::http://host/x.zip", "file:///etc/passwd", "/etc/passwd", "../a.csv",
        "a/../../b", "~/a", "s3:bucket", "hf://datasets/a/b/c.parquet", "\\\\host\\share", "data/*.csv::http://host", "C:\\a",
        "x" * 5000,
    ],
)  # fmt: skip
def test_paths_elsewhere(text):
    assert not is_own_path(text)


@pytest.mark.parametrize(
    "text", ["data/train-*.parquet", "a b/c.csv", "train.csv", "**", "./a.csv", "a..b.csv", "data/x:y.csv"]
)
def test_own_paths(text):
    assert is_own_path(text)


CARDS = {
    "text": "configs:\n- config_name: default\n  data_files: {url}\n",
    "list": "configs:\n- config_name: default\n  data_files: [data/a.csv, '{url}']\n",
    "splits": "configs:\n- config_name: default\n  data_files:\n  - split: train\n    path: ['{url}']\n",
    "folder": "configs:\n- config_name: default\n  data_dir: {url}\n",
    "other key": "configs:\n- config_name: default\n  data_files: data/*\n  anything: {url}\n",
}


@pytest.mark.parametrize("file", ["README.md", ".huggingface.yaml"])
@pytest.mark.parametrize("name", CARDS)
@pytest.mark.parametrize("form", ["http://{host}/x.csv", "zip://x.csv::http://{host}/x.zip"])
def test_a_card_that_names_another_host_asks_nobody(tmp_path, server, file, name, form):
    url = form.format(host=f"127.0.0.1:{server.server_port}")
    table([0, 1] * 12, AB).to_parquet(tmp_path / "data" / "train.parquet")
    text = CARDS[name].format(url=url)
    (tmp_path / file).write_text(f"---\n{text}---\n# Card\n" if file == "README.md" else text)
    for call in (load_target, split_names):
        with pytest.raises(TargetError, match="names a file outside the dataset") as caught:
            call(tmp_path)
        assert file in str(caught.value)
    assert server.asked == []


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("kind", ["image", "text"])
def test_paths_in_parquet_files_ask_nobody(tmp_path, server, kind, streaming):
    url = f"http://127.0.0.1:{server.server_port}/x.png"
    feature, value = (datasets.Image(), {"bytes": None, "path": url}) if kind == "image" else (Value("string"), url)
    features = Features({"image": feature, "label": AB})
    Dataset.from_dict({"image": [value] * 24, "label": [0, 1] * 12}, features=features).to_parquet(tmp_path / "train.parquet")
    server.asked.clear()  # `datasets` asks for the size of images when it writes a table
    with pytest.raises(TargetError, match="outside itself"):
        load_target(tmp_path, image_column="image", streaming=streaming, sample=24)
    assert server.asked == []


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
@pytest.mark.parametrize(
    "name", ["http://127.0.0.1:{port}/x.png", "/etc/passwd", "../x.png", "zip://a::http://127.0.0.1:{port}/a"]
)
def test_file_names_in_metadata_ask_nobody(tmp_path, server, ending, name):
    (tmp_path / "0.png").write_bytes(png(0))
    name = name.format(port=server.server_port)
    text = f"file_name,label\n{name},a\n" if ending == "csv" else f'{{"file_name": "{name}", "label": "a"}}\n'
    (tmp_path / f"metadata.{ending}").write_text(text)
    with pytest.raises(TargetError, match=f"metadata.{ending} names a file outside the dataset"):
        load_target(tmp_path)
    assert server.asked == []


def test_a_card_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    card = tmp_path / "README.md"
    card.write_text("---\na: [\n---\n")
    with pytest.raises(TargetError, match=r"README\.md has a head that is no YAML"):
        check_card(card)
    card.write_text("---\n" + "a: " + "[" * 5000 + "\n---\n")
    with pytest.raises(TargetError, match="no YAML"):
        check_card(card)
    for harmless in ("", "# no head\n", "---\n- a list\n---\n", "---\nlicense: mit\nhomepage: https://example.com\n---\n"):
        card.write_text(harmless)
        check_card(card)
    monkeypatch.setattr("hf_transferability.data.foreign._LARGEST_CARD", 5)
    with pytest.raises(TargetError, match="Shorten"):
        check_card(card)


def test_an_own_card_is_followed(tmp_path):
    table([0, 1] * 12, AB).to_parquet(tmp_path / "x" / "a.parquet")
    table([0, 1] * 6, AB).to_parquet(tmp_path / "x" / "b.parquet")
    (tmp_path / "README.md").write_text("---\nconfigs:\n- config_name: small\n  data_files: x/b.parquet\n---\n")
    target = load_target(tmp_path)
    assert (len(target), target.provenance["config"]) == (12, "small")


@pytest.mark.parametrize(
    "state, text",
    [
        ("{", "damaged"), ("[]", "damaged"), ('{"_data_files": [{"filename": "/etc/passwd"}]}', "outside the dataset"),
        ('{"_data_files": [{"filename": "../other/data.arrow"}]}', "outside the dataset"),
        ('{"_data_files": [{"filename": "gone.arrow"}]}', "which is missing"),
    ],
)  # fmt: skip
def test_a_saved_folder_with_another_state(tmp_path, state, text):
    table([0, 1] * 12, AB).save_to_disk(tmp_path)
    (tmp_path / "state.json").write_text(state)
    with pytest.raises(TargetError, match=text):
        load_target(tmp_path)


def test_a_saved_folder_with_a_truncated_table(tmp_path):
    table([0, 1] * 12, AB).save_to_disk(tmp_path)
    file = next(tmp_path.glob("*.arrow"))
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(TargetError, match="Check that its files are whole"):
        load_target(tmp_path)
