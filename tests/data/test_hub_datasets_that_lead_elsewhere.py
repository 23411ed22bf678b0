"""Datasets of a Hub whose cards, metadata or tables name files elsewhere: the real client asks no other host."""

import io
import json
import socket
import threading

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.loopback_hub import LoopbackHub
from helpers.loopback_hub.clients import client
from helpers.targets import png

SCRIPT = """
import json, sys
from hf_transferability.data.targets import load_target
answers = {}
for name in sys.argv[1:]:
    for streaming in (False, True):
        try:
            load_target(name, image_column="image", streaming=streaming, sample_size=20)
            answers[f"{name} {streaming}"] = "loaded"
        except Exception as error:
            answers[f"{name} {streaming}"] = f"{type(error).__name__}: {error}"
print(json.dumps(answers))
"""
FORMS = {
    "http": "http://{host}/x.{end}", "ftp": "ftp://{host}/x.{end}", "chained": "zip://x.{end}::http://{host}/x.zip",
    "absolute": "/etc/hostname", "parent": "../../x.{end}",
}  # fmt: skip


class CountingServer:
    """Counts connections of any protocol, and closes them."""

    def __enter__(self):
        self.connections = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        return self

    def _serve(self):
        while True:
            connection, _ = self._socket.accept()
            with connection:
                if connection.recv(4) == b"stop":
                    return
                self.connections += 1

    def __exit__(self, *_):
        with socket.create_connection(self._socket.getsockname()) as connection:
            connection.sendall(b"stop")
        self._thread.join()
        self._socket.close()


def images() -> dict[str, bytes]:
    return {f"train/{kind}/{i}.png": png(100 * k + i) for k, kind in enumerate("ab") for i in range(12)}


def card(path: str) -> dict[str, bytes]:
    text = f"---\nconfigs:\n- config_name: default\n  data_files: '{path}'\n---\n"
    return {**images(), "README.md": text.encode()}


def metadata_csv(path: str) -> dict[str, bytes]:
    rows = "".join(f"{i}.png,{'ab'[i % 2]}\n" for i in range(23))
    return {**{f"{i}.png": png(i) for i in range(23)}, "metadata.csv": f"file_name,label\n{rows}{path},a\n".encode()}


def metadata_jsonl(path: str) -> dict[str, bytes]:
    names = [*(f"{i}.png" for i in range(23)), path]
    rows = "".join(json.dumps({"file_name": name, "label": "ab"[i % 2]}) + "\n" for i, name in enumerate(names))
    return {**{f"{i}.png": png(i) for i in range(23)}, "metadata.jsonl": rows.encode()}


def parquet_path(path: str) -> dict[str, bytes]:
    rows = [{"bytes": png(i) if i else None, "path": None if i else path} for i in range(24)]
    buffer = io.BytesIO()
    pq.write_table(pa.table({"image": rows, "label": ["ab"[i % 2] for i in range(24)]}), buffer)
    return {"train.parquet": buffer.getvalue()}


ROADS = {"card": card, "csv": metadata_csv, "jsonl": metadata_jsonl, "parquet": parquet_path}


@pytest.fixture(scope="module")
def answers(libraries, tmp_path_factory):
    """What one process of the real client answers for every road and form, and the connections that another host got."""
    with LoopbackHub(tmp_path_factory.mktemp("hub")) as hub, CountingServer() as other:
        names = []
        for road, files in ROADS.items():
            for form, text in FORMS.items():
                end = "png" if road != "card" else "csv"
                names.append(f"a/{road}-{form}")
                hub.commit("dataset", names[-1], files(text.format(host=other.host, end=end)))
        found = client(libraries, hub, tmp_path_factory.mktemp("home"), SCRIPT, *names)
    return found, other.connections


def test_no_road_asks_another_host(answers):
    assert answers[1] == 0


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("road", ROADS)
def test_every_road_is_refused_by_name(answers, road, form, streaming):
    assert "outside" in answers[0][f"a/{road}-{form} {streaming}"]
    assert answers[0][f"a/{road}-{form} {streaming}"].startswith("TargetError: ")


def test_the_server_counts():
    with CountingServer() as other:
        with socket.create_connection(other.host.split(":")) as connection:
            connection.sendall(b"USER")
            connection.recv(1)
        assert other.connections == 1
