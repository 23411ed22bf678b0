"""People who publish to the loopback Hub with the unmodified clients, and the contents of that Hub.

The clients read HF_ENDPOINT when they are imported. So each person has one process, which runs one command line after the
other.
"""

import io
import json
import re
from pathlib import Path
from subprocess import PIPE
from types import SimpleNamespace

import pandas as pd

from helpers.forks import ForkServer, Process
from helpers.loopback_hub.clients import COMMAND_LINES

ALICE, BOB, READER, PARTNER = "hf_alice_secret", "hf_bob_secret", "hf_reader_secret", "hf_partner_secret"
TOKENS = {ALICE: {"*"}, PARTNER: {"lab/closed"}, BOB: set(), READER: set()}
WRITES = {ALICE: {"alice_secret", "lab"}, PARTNER: {"partner_secret", "lab"}, BOB: {"bob_secret"}}
COMMAND_LOOP = (
    COMMAND_LINES
    + """    out, err, status = io.StringIO(), io.StringIO(), 0
    waits.clear()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        if words[0] == "load":
            import datasets
            loaded = datasets.load_dataset(*words[1:3], split="train", revision=words[3] if words[3:] else None)
            loaded.to_pandas().to_parquet(out_file := words[1].replace("/", "-") + ".parquet")
            print(out_file)
        elif words[0] == "merge":
            import huggingface_hub
            huggingface_hub.HfApi().merge_pull_request(words[1], int(words[2]), repo_type="dataset")
        else:
            status = main(words)
    print(json.dumps([status, out.getvalue(), err.getvalue(), waits]), file=answers, flush=True)
"""
)


class Person:
    """Somebody who runs command lines in one process; `printed` collects all output."""

    def __init__(self, libraries: ForkServer, environment: dict[str, str], folder: Path, token: str):
        self.printed, self.folder, self.token = "", folder, token
        self._process = Process(libraries, COMMAND_LOOP, cwd=folder, env=environment, streams=(PIPE, PIPE, PIPE))

    def __call__(self, *words: str, token: str | None = "") -> SimpleNamespace:
        self.start(*words, token=token)
        return self.answer()

    def start(self, *words: str, token: str | None = "") -> None:
        self._process.stdin.write(json.dumps([words, self.token if token == "" else token]) + "\n")
        self._process.stdin.flush()

    def answer(self) -> SimpleNamespace:
        line = self._process.stdout.readline()
        assert line, self._process.stderr.read()
        status, out, err, waits = json.loads(line)
        self.printed += out + err
        assert "Traceback" not in err
        assert "unexpected" not in err
        return SimpleNamespace(status=status, out=out, err=err, waits=waits)

    def publish(self, repo_id: str, *frames: pd.DataFrame, token: str | None = "", options: tuple = ()) -> SimpleNamespace:
        self.start_publishing(repo_id, *frames, token=token, options=options)
        return self.answer()

    def start_publishing(self, repo_id: str, *frames: pd.DataFrame, token: str | None = "", options: tuple = ()) -> None:
        files = []
        for number, frame in enumerate(frames):
            files.append(self.folder / f"scores-{self.token.split('_')[1]}-{number}.parquet")
            frame.to_parquet(files[-1], index=False)
        self.start("benchmark", "publish", repo_id, *map(str, files), *options, token=token)

    def load(self, repo_id: str, config: str) -> pd.DataFrame:
        return pd.read_parquet(self.folder / self("load", repo_id, config).out.strip())

    def close(self) -> None:
        self._process.close()


def repository(hub, repo_id: str):
    return hub.store.get("dataset", repo_id)


def head(hub, repo_id: str):
    return repository(hub, repo_id).resolve("main")


def rows(hub, repo_id: str, table: str = "scores", ref: str = "main") -> pd.DataFrame:
    """All rows of a table in a repository."""
    dataset = repository(hub, repo_id)
    files = [file for path, file in dataset.resolve(ref).files.items() if re.fullmatch(rf"data/{table}/[^/]+\.parquet", path)]
    return pd.concat([pd.read_parquet(io.BytesIO(hub.store.read(file))) for file in files], ignore_index=True)


def sources(hub, repo_id: str, ref: str = "main") -> list[str]:
    return sorted(rows(hub, repo_id, ref=ref)["source"])
