"""Many visitors of the page at once: how long look-ups take, whether files are scored, and what memory and disk it needs.

    .venv/bin/python tests/costs/space_load.py [--visitors 50] [--seconds 120] [--scoring 5]

Most visitors are a `gradio_client` each, and look benchmarks up with a pause between two questions: the client alone takes some
80 ms of a core for an answer, the page 20. The others do what a browser does: upload files of features and have them ranked.
Prints, over time and once more after all have left, the memory of the page's process, of the work that it has started and of
the visitors (this process), and the stored files of uploads and answers; and at the end the look-ups that were answered,
the share of them within a second, and how many rankings were made.
"""

import argparse
import contextlib
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
from gradio_client import Client

from hf_transferability.provenance import hardware
from hf_transferability.space.work import READING

_QUESTIONS = [
    ("paper", "source_dataset", "transferability"), ("paper", "architecture", "logme"), ("open", "source_dataset", "consensus"),
    ("open_regnet", "source_dataset", "nleep"), ("chaves2024", "architecture", "logme"),
    ("medmnistplus", "architecture", "linear_probe"),
]  # fmt: skip


_LEAVING = 20  # seconds until the page has noticed that a visitor has gone


class Answers:
    """Seconds of every answer by kind, and what went wrong."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {"look-up": [], "ranking": []}
        self.errors: Counter[str] = Counter()

    def ask(self, kind: str, call) -> None:
        """Call, and note how long it took or how it failed."""
        start = time.perf_counter()
        try:
            call()
        except Exception as error:
            self.errors[f"{kind}: {type(error).__name__} {str(error)[:80]}"] += 1
            time.sleep(1)
        else:
            self.seconds[kind].append(time.perf_counter() - start)


def look_up(address: str, number: int, end: float, pause: float, answers: Answers) -> None:
    """A visitor who looks benchmarks up until the end."""
    client = Client(address, verbose=False)
    rng = random.Random(number)
    time.sleep(rng.uniform(0, pause))
    while time.time() < end:
        name, scenario, metric = rng.choice(_QUESTIONS)
        question = (scenario, metric, "mean", name, "")
        answers.ask("look-up", lambda question=question: client.predict(*question, api_name="/lookup_benchmark"))
        time.sleep(rng.uniform(0, 2 * pause))


def rank_files(address: str, number: int, end: float, files: list[str], answers: Answers) -> None:
    """A visitor who has files ranked until the end, by the requests that a browser makes."""
    with httpx.Client(base_url=address, timeout=300) as browser:
        events = browser.get("/config").json()["dependencies"]
        handler = next(event["id"] for event in events if event["api_name"] == "handler")
        uploaded = next(event["id"] for event in events if any(target[1] == "upload" for target in event["targets"]))
        while time.time() < end:
            answers.ask("ranking", lambda: _ranked(browser, (uploaded, handler), f"visitor{number}", files))


def _ranked(browser: httpx.Client, events: tuple[int, int], session: str, files: list[str]) -> None:
    sent = [("files", (Path(path).name, Path(path).read_bytes())) for path in files]
    paths = browser.post("/gradio_api/upload", files=sent).raise_for_status().json()
    uploaded = [{"path": path, "meta": {"_type": "gradio.FileData"}} for path in paths]
    told = {"data": [uploaded], "fn_index": events[0], "session_hash": session}
    browser.post("/gradio_api/run/predict", json=told).raise_for_status()
    reading = [{"class_level": None, "keep_masks": False}.get(name, "") for name in READING]
    data = [True, uploaded, "", [], 200, "auto", "consensus", *reading]
    words = {"data": data, "fn_index": events[1], "session_hash": session}
    browser.post("/gradio_api/queue/join", json=words).raise_for_status()
    with browser.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as lines:
        for line in lines.iter_lines():
            message = json.loads(line.removeprefix("data:") or "{}")
            if message.get("msg") == "process_completed":
                if not message["success"]:
                    raise RuntimeError(message["output"])
                return
    raise RuntimeError("no answer")


def write_features(folder: Path) -> list[str]:
    """Three files of features of 300 images."""
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 4
    paths = []
    for i in range(3):
        features = rng.normal(size=(300, 64)) + (labels[:, None] == np.arange(64)) * i
        np.savez(path := folder / f"candidate{i}.npz", features=features.astype(np.float32), labels=labels)
        paths.append(str(path))
    return paths


class Page:
    """The page in a process of its own, with a folder for uploads."""

    def __init__(self, uploads: Path):
        self.uploads = uploads
        environment = {**os.environ, "GRADIO_TEMP_DIR": str(uploads), "GRADIO_ANALYTICS_ENABLED": "0"}
        words = [sys.executable, "-u", "-m", "hf_transferability", "space"]
        self.process = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True)
        self.address = next(found[0] for line in self.process.stdout if (found := re.search(r"http://\S+", line)))
        threading.Thread(target=self.process.stdout.read, daemon=True).start()  # a full pipe would stop the page

    def measure(self, when: str) -> int:
        """Print and return the page's memory in MiB."""
        process = psutil.Process(self.process.pid)
        own, work = _mebibytes([process]), _mebibytes(process.children(recursive=True))
        files = [path for path in self.uploads.rglob("*") if path.is_file()]
        features = [path.stat().st_size for path in files if path.suffix == ".npz"]
        print(
            f"{when:>12}: page {own} MiB in {process.num_threads()} threads, work {work} MiB, visitors "
            f"{_mebibytes([psutil.Process()])} MiB, {len(features)} uploads of {sum(features) / 2**20:.1f} MiB, "
            f"{len(files) - len(features)} answers",
            flush=True,
        )
        return own


def _mebibytes(processes: list[psutil.Process]) -> int:
    total = 0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            total += process.memory_info().rss
    return round(total / 2**20)


def visit(page: Page, options: argparse.Namespace, folder: Path) -> Answers:
    """Let all visitors come and go; prints memory and uploads meanwhile."""
    answers, end = Answers(), time.time() + options.seconds
    files = write_features(folder)
    asking = options.visitors - options.scoring
    jobs: list[Any] = [(look_up, (page.address, i, end, options.pause, answers)) for i in range(asking)]
    jobs += [(rank_files, (page.address, i, end, files, answers)) for i in range(options.scoring)]
    visitors = [threading.Thread(target=function, args=words) for function, words in jobs]
    start = time.time()
    for visitor in visitors:
        visitor.start()
    while any(visitor.is_alive() for visitor in visitors) and time.time() < end + 60:
        time.sleep(options.seconds / 8)
        page.measure(f"{time.time() - start:.0f} s")
    return answers


def report(answers: Answers) -> None:
    """Print what was answered, how fast, and what failed."""
    for kind, seconds in answers.seconds.items():
        if seconds:
            middle, most = np.quantile(seconds, [0.5, 0.99])
            soon = np.mean(np.array(seconds) < 1)
            print(
                f"{kind}: {len(seconds)} answered, {soon:.1%} in less than 1 s; median {middle:.2f} s, "
                f"99 % within {most:.2f} s, longest {max(seconds):.2f} s"
            )
        else:
            print(f"{kind}: none answered")
    print(f"failed: {sum(answers.errors.values())}")
    for error, count in answers.errors.most_common():
        print(f"  {count} x {error}")


def main() -> None:
    """Serve the page in a process of its own and visit it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--visitors", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--pause", type=float, default=5, help="mean seconds between an answer and the next question")
    parser.add_argument("--scoring", type=int, default=5, help="how many of the visitors upload files and have them ranked")
    options = parser.parse_args()
    print(f"{hardware()}, {os.cpu_count()} cores; {options.visitors} visitors, {options.scoring} of them with files")
    with tempfile.TemporaryDirectory() as folder:
        page = Page(Path(folder, "uploads"))
        try:
            time.sleep(5)  # until the first pictures are drawn
            first = page.measure("start")
            answers = visit(page, options, Path(folder))
            time.sleep(_LEAVING)
            last = page.measure("all left")
            report(answers)
            print(f"memory of the page: {first} MiB before the visitors, {last} MiB after them")
        finally:
            page.process.terminate()
            page.process.wait(30)


if __name__ == "__main__":
    main()
