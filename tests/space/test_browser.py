"""The page in a real browser, at the width of a desk and of a phone. Skipped where chromium or selenium is not installed."""

import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from helpers.browser import COLUMN, PATIENCE, WORK, Keys

from hf_transferability.space import limits, work, worker

pytestmark = pytest.mark.filterwarnings("ignore")  # Gradio's and Selenium's own


MENU = "return [...document.querySelectorAll('[role=menuitem]')].find(item => item.innerText.includes(arguments[0]))"


def test_the_example_is_shown_to_the_end(browser, fits):
    browser.click("Show the example")
    browser.wait("return document.querySelector('#summary')?.innerText.includes('6 of 7 candidates ranked')")
    names = browser.wait(COLUMN, 1)
    assert names[0] == "digits"
    assert len(names) == 7
    browser.wait("return document.querySelectorAll('.picture img').length >= 3")
    browser.wait("return [...document.querySelectorAll('.picture img')].every(i => i.complete)")
    assert all(width > 500 for width in browser.pictures()[:3])
    assert browser.unnamed() == []
    browser.shot("example")


STATE = "return document.querySelector('#state').innerText.includes(arguments[0])"
LINK = "return document.querySelector('#rank-link input').value"
DATASET = """return [...document.querySelectorAll('label')].find(l => l.innerText.startsWith('Dataset'))
    .querySelector('input, textarea').value"""


def test_the_catalogue_is_searched_and_bounds_are_told_as_one_types(browser, fits):
    field = browser.wait("return document.querySelector('#checkpoints input')")
    browser.run("arguments[0].scrollIntoView({block: 'center'})", field)
    field.send_keys("resnet50.a1_in1k")
    browser.wait(
        "return document.querySelector('[role=option]')?.innerText.includes('timm/resnet50.a1_in1k (23.5M, apache-2.0)')"
    )
    browser.shot("search")
    field.send_keys(Keys.ARROW_DOWN, Keys.ENTER)
    browser.wait(STATE, "1 of at most 6 checkpoints, 23.5M parameters together.")
    field.send_keys("owkin/phikon-v2", Keys.ENTER, Keys.ESCAPE)
    browser.wait(STATE, "at most 100M parameters; owkin/phikon-v2 has 303M")
    browser.shot("bounds-as-typed")


def test_an_example_fills_the_form_and_its_link_fills_it_again(browser, fits):
    browser.click("Fill in: chest X-rays, four architectures")
    browser.wait(STATE, "4 of at most 6 checkpoints, 69.5M parameters together.")
    link = browser.wait(f"const link = (() => {{ {LINK} }})(); return link.includes('resnet-50') && link")
    assert browser.run("return location.href") == link
    browser.driver.get(link + "&metric=%3Cscript%3E")
    assert "does not have or take: metric" in browser.toast()
    browser.wait(STATE, "4 of at most 6 checkpoints, 69.5M parameters together.")
    assert browser.run(DATASET) == "hf-vision/chest-xray-pneumonia"
    assert browser.unnamed() == []


def test_a_link_shows_the_example_and_one_a_view_of_a_benchmark(browser, fits, address):
    browser.driver.get(f"{address}?tab=benchmark&benchmark=open&metric=logme&target=cells")
    browser.wait(
        "return document.querySelector('#benchmark-link textarea, #benchmark-link input')?.value.includes('benchmark=open')"
    )
    browser.toast()
    summary = "return document.querySelector('#benchmark-summary').innerText"
    assert "open datasets" in browser.wait(summary)
    assert "metric=logme" in browser.run("return location.search")
    assert browser.unnamed() == []
    browser.open("Rank")
    browser.wait("return !location.search.includes('benchmark')")
    browser.driver.get(f"{address}?tab=rank&ranking=example")
    browser.wait("return document.querySelector('#summary')?.innerText.includes('6 of 7 candidates ranked')")
    browser.wait("return document.querySelectorAll('.picture img').length >= 3")


def test_the_table_sorts(browser, fits):
    before = browser.wait(COLUMN, 1)
    menu = browser.wait("return document.querySelectorAll('#ranking .cell-menu-button')[10]")
    browser.run("arguments[0].scrollIntoView({block: 'center', inline: 'center'}); arguments[0].click()", menu)
    browser.run("arguments[0].click()", browser.wait(MENU, "Sort ascending"))
    browser.wait(f"const now = (() => {{ {COLUMN} }})(); return now && now.join() !== arguments[1]", 1, ",".join(before))
    ratios = [float(text) for text in browser.wait(COLUMN, 10)]
    assert ratios == sorted(ratios)
    assert sorted(browser.run(COLUMN, 1)) == sorted(before)


def test_the_ranking_is_downloaded(browser, fits, tmp_path):
    browser.driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    link = browser.wait("return [...document.querySelectorAll('#downloads a')].find(a => a.download === 'ranking.json')")
    browser.run("arguments[0].click()", link)
    end = time.monotonic() + PATIENCE
    while not (tmp_path / "ranking.json").exists():
        assert time.monotonic() < end, list(tmp_path.iterdir())
        time.sleep(0.1)
    assert len(json.loads((tmp_path / "ranking.json").read_text())["rows"]) == 7


@pytest.fixture(scope="module")
def small_demo(tmp_path_factory):
    """The demo's folders with fewer images and steps."""
    from hf_transferability.demo import run as demo

    sizes = {"train_per_class": 8, "test_per_class": 4, "steps": 2, "images": 32}
    with demo.run(tmp_path_factory.mktemp("demo"), **sizes) as made:
        yield made


def test_the_demo_is_run_to_the_end(browser, fits, small_demo, quick_work, monkeypatch):
    if browser.width < 600:
        pytest.skip("the same work again; the phone shows its result in the example")
    told, seen = [], threading.Event()

    def run_demo(tell, visitor):
        def listen(text, share):
            told.append(text)
            tell(text, share)
            if len(told) == 1:
                seen.wait(PATIENCE)  # until the browser shows it

        words = [str(path) for path in (small_demo.target, *small_demo.checkpoints[:3])]
        return work._done(worker.run(["rank"], words, visitor=visitor), listen)

    monkeypatch.setattr(work, "run_demo", run_demo)
    browser.click("Run the example here, about two minutes")
    browser.wait("return document.querySelector('#summary')?.innerText.includes('starting')")
    # The page goes to the answer, which is below the form.
    browser.wait(
        "const top = document.querySelector('#summary').getBoundingClientRect().top; return 0 <= top + 1 && top < innerHeight"
    )
    assert not browser.run("return document.querySelector('.picture img')")  # the example is gone
    seen.set()
    browser.wait("return document.querySelector('#summary')?.innerText.includes('3 of 3 candidates ranked')", patience=WORK)
    names = browser.wait(COLUMN, 1)
    assert sorted(Path(name).name for name in names) == sorted(path.name for path in small_demo.checkpoints[:3])
    browser.wait("return document.querySelectorAll('.picture img').length >= 3")
    assert any("[3/3]" in text for text in told)
    browser.shot("demo")


def test_every_bound_is_explained(browser, fits, at_hub, monkeypatch):
    if browser.width < 600:
        pytest.skip("the same work again; the phone shows its result in the example")

    def told(dataset, checkpoints):
        browser.type("Dataset", dataset)
        browser.choose(checkpoints)
        browser.click("Rank")
        return browser.toast()

    assert "at most 6 checkpoints" in told("alice/data", " ".join(f"alice/{i}" for i in range(7)))
    browser.shot("bounds")
    assert "must be a Hub id" in told("/etc/passwd", "alice/one")
    assert "public repositories only" in told("alice/data", "alice/private")
    bounds = {
        "PARAMETERS": "parameters; alice/one has",
        "CHECKPOINT_BYTES": "MB of checkpoints",
        "DATASET_BYTES": "reads datasets of at most",
        "SECONDS": "The work is stopped after",
    }
    for bound, text in bounds.items():
        with monkeypatch.context() as patch:
            patch.setattr(limits, bound, 0.5)
            assert text in told("alice/data", "alice/one")
    with monkeypatch.context() as patch:
        patch.setattr(limits, "IMAGES", 20)
        assert "takes 12 to 20 images; got 200" in told("alice/data", "alice/one")
    monkeypatch.setattr(limits, "MEMORY", 2**28)
    assert "of memory that this page gives it" in told("alice/data", "alice/one")


RADIO = "[...document.querySelectorAll('input[type=radio]')].find(i => i.offsetParent && i.value === arguments[0]).click()"
UPLOADED = "return [...document.querySelectorAll('.file-preview .filename')].some(i => i.ariaLabel === arguments[0])"


@pytest.mark.parametrize(
    ("bound", "value", "text"),
    [("FILE_BYTES", 2**20, "at most 1 MiB of arrays"), ("FILES", 0, "at most 0 files at once; got 1")],
)
def test_uploads_are_bounded_too(browser, fits, tmp_path, monkeypatch, bound, value, text):
    path = tmp_path / f"{bound}.npz"
    np.savez(path, features=np.zeros((400, 1000)), labels=np.zeros(400))
    browser.open("Features that you have")
    browser.wait("return document.querySelector('input[type=file]')")
    browser.run("document.querySelectorAll('input[type=file]').forEach(i => i.style.display = 'block')")
    browser.wait("return document.querySelector('input[type=file]')").send_keys(str(path))
    browser.wait(UPLOADED, path.name)
    monkeypatch.setattr(limits, bound, value)
    browser.click("Rank")
    assert text in browser.toast()
    browser.wait(UPLOADED.replace("return ", "return !"), path.name)  # it is gone
    browser.open("From the Hub")


def test_uploads_are_ranked_and_forgotten(browser, fits, quick_work, tmp_path):
    if browser.width > 600:
        pytest.skip("the same work again; at the desk a ranking is made in the demo")
    rng, labels, paths = np.random.default_rng(0), np.arange(60) % 3, []
    for name, distance in (("near", 0.1), ("far", 3.0)):
        paths.append(tmp_path / f"{name}.npz")
        features = rng.normal(size=(60, 8)) + distance * labels[:, None]
        np.savez(paths[-1], features=features, labels=labels, gradient_norms=np.tile([1.0, 2 + distance], (6, 1)))
    browser.open("Features that you have")
    browser.run("document.querySelectorAll('input[type=file]').forEach(i => i.style.display = 'block')")
    browser.wait("return document.querySelector('input[type=file]')").send_keys("\n".join(map(str, paths)))
    for path in paths:
        browser.wait(UPLOADED, path.name)
    browser.run(RADIO, "source_dataset")
    browser.click("Rank")
    browser.wait("return document.querySelector('#summary')?.innerText.includes('2 of 2 candidates ranked')", patience=WORK)
    assert [name.rpartition("/")[2] for name in browser.wait(COLUMN, 1)] == ["far.npz", "near.npz"]
    for path in paths:
        browser.wait(UPLOADED.replace("return ", "return !"), path.name)
    browser.open("From the Hub")


def test_the_benchmark_is_drawn(browser, fits):
    browser.open("Benchmark")
    browser.wait(
        """return [...document.querySelectorAll('.picture img')]
        .filter(i => i.offsetParent && i.complete && i.naturalWidth).length === 4""",
        patience=WORK,
    )
    assert "mean rank elsewhere" in browser.run("return document.querySelector('#agreement').innerText")
    assert "Noise ceiling 0.65" in browser.run("return document.querySelector('#benchmark-summary').innerText")
    browser.shot("benchmark")
    browser.run(RADIO, "architecture")
    browser.wait("return document.querySelector('#agreement').innerText.includes('number of parameters')", patience=WORK)
    browser.wait("return location.search.includes('scenario=architecture')")


def test_about_says_what_the_score_means(browser, fits):
    browser.open("About")
    browser.wait("return document.body.innerText.includes('What the score means')")
    assert "@article{juodelyte2024dataset" in browser.run("return document.body.innerText")
    browser.shot("about")
