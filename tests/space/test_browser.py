"""The page in a real browser, at the width of a desk and of a phone. Skipped where chromium or selenium is not installed."""

import json
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from hf_transferability.space import limits

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
if not (CHROMIUM and DRIVER):
    pytest.skip("there is no browser: apt-get install chromium chromium-driver", allow_module_level=True)
webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")  # Gradio's and Selenium's own
PATIENCE = 30.0  # seconds


class Browser:
    """One tab; `wait` polls a script until it gives something, and `shot` keeps a picture where SCREENSHOTS says."""

    def __init__(self, folder: Path, width: int):
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for word in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars", "--no-proxy-server"):
            options.add_argument(word)
        options.add_experimental_option("prefs", {"download.default_directory": str(folder)})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.width = width
        self.driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def wait(self, script, *arguments):
        end = time.monotonic() + PATIENCE
        while not (found := self.run(script, *arguments)):
            assert time.monotonic() < end, f"never true: {script} {arguments}: {self.run('return document.body.innerText')}"
            time.sleep(0.1)
        return found

    def click(self, text, kind="button:not([role=tab])"):
        """The button of that text that is seen; Gradio also has hidden copies of tabs, which no key reaches."""
        script = """return [...document.querySelectorAll(arguments[0])].find(
            b => b.innerText.trim() === arguments[1] && b.offsetParent && b.tabIndex >= 0)"""
        button = self.wait(script, kind, text)
        self.run("arguments[0].scrollIntoView({block: 'center'})", button)
        button.click()

    def open(self, tab):
        self.click(tab, "button[role=tab]")

    def type(self, label, text):
        script = """const label = [...document.querySelectorAll('label')].find(l => l.innerText.startsWith(arguments[0]));
            return label && label.querySelector('textarea, input')"""
        field = self.wait(script, label)
        field.clear()
        field.send_keys(text)

    def toast(self):
        """The text of the error that is shown; closes it."""
        text = self.wait("return document.querySelector('.toast-body, .toast-wrap')?.innerText")
        self.run("document.querySelectorAll('.toast-close').forEach(button => button.click())")
        self.wait("return !document.querySelector('.toast-body')")
        return text

    def pictures(self):
        """Widths in pixels of the pictures that are seen and loaded."""
        script = """return [...document.querySelectorAll('.picture img')].filter(i => i.offsetParent && i.complete)
            .map(i => i.naturalWidth)"""
        return self.run(script)

    def shot(self, name):
        if folder := os.environ.get("SCREENSHOTS"):
            self.driver.save_screenshot(str(Path(folder, f"{name}-{self.width}.png")))


@pytest.fixture(scope="module", params=[1280, 390], ids=["desk", "phone"])
def browser(request, address, tmp_path_factory):
    found = Browser(tmp_path_factory.mktemp("downloads"), request.param)
    found.folder = Path(tmp_path_factory.getbasetemp())
    found.driver.get(address)
    found.wait("return document.body.innerText.includes('Which pretrained checkpoint')")
    yield found
    errors = [entry for entry in found.driver.get_log("browser") if entry["level"] == "SEVERE"]
    found.driver.quit()
    assert errors == []


@pytest.fixture
def fits(browser):
    """The page is never wider than the window."""
    yield
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth")


COLUMN = """const cells = [...document.querySelectorAll(`#ranking [role=gridcell][data-col="${arguments[0]}"]`)];
    cells.sort((a, b) => a.ariaRowIndex - b.ariaRowIndex);
    return cells.length ? cells.map(cell => cell.innerText.trim()) : null"""


MENU = "return [...document.querySelectorAll('[role=menuitem]')].find(item => item.innerText.includes(arguments[0]))"


def test_the_example_is_shown_to_the_end(browser, fits):
    browser.click("Show the example")
    browser.wait("return document.querySelector('#summary')?.innerText.includes('7 of 7 candidates ranked')")
    names = browser.wait(COLUMN, 1)
    assert names[0] == "demo/checkpoints/digits"
    assert len(names) == 7
    browser.wait("return document.querySelectorAll('.picture img').length >= 3")
    browser.wait("return [...document.querySelectorAll('.picture img')].every(i => i.complete)")
    assert all(width > 500 for width in browser.pictures()[:3])
    browser.shot("example")


def test_the_table_sorts(browser, fits):
    before = browser.wait(COLUMN, 1)
    menu = browser.wait("return document.querySelectorAll('#ranking .cell-menu-button')[7]")
    browser.run("arguments[0].scrollIntoView({block: 'center', inline: 'center'}); arguments[0].click()", menu)
    browser.run("arguments[0].click()", browser.wait(MENU, "Sort ascending"))
    browser.wait(f"const now = (() => {{ {COLUMN} }})(); return now && now.join() !== arguments[1]", 1, ",".join(before))
    ratios = [float(text) for text in browser.wait(COLUMN, 7)]
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


def test_every_bound_is_explained(browser, fits, at_hub, monkeypatch):
    def told(dataset, checkpoints):
        browser.type("Dataset", dataset)
        browser.type("Checkpoints", checkpoints)
        browser.click("Rank")
        return browser.toast()

    assert "at most 6 checkpoints" in told("alice/data", "\n".join(f"alice/{i}" for i in range(7)))
    browser.shot("bounds")
    if browser.width < 600:
        return  # the rest differs in its words only
    assert "must be a Hub id" in told("/etc/passwd", "alice/one")
    assert "public repositories only" in told("alice/data", "alice/private")
    for bound, text in (
        ("PARAMETERS", "million parameters; alice/one"),
        ("CHECKPOINT_BYTES", "MB of checkpoints"),
        ("DATASET_BYTES", "reads datasets of at most"),
        ("SECONDS", "stops work after"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(limits, bound, 0.5)
            assert text in told("alice/data", "alice/one")
    with monkeypatch.context() as patch:
        patch.setattr(limits, "IMAGES", 20)
        assert "takes 12 to 20 images; got 200" in told("alice/data", "alice/one")


def test_uploads_are_bounded_too(browser, fits, tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    np.savez(path, features=np.zeros((400, 1000)), labels=np.zeros(400))
    browser.open("Features that you have")
    browser.run("document.querySelectorAll('input[type=file]').forEach(i => i.style.display = 'block')")
    browser.wait("return document.querySelector('input[type=file]')").send_keys(str(path))
    # The page sets the ending apart, which some windows show as a line of its own.
    browser.wait(r"return document.body.innerText.replace(/\s/g, '').includes('a.npz')")
    monkeypatch.setattr(limits, "FILE_BYTES", 2**20)
    browser.click("Rank")
    assert "at most 1 MiB of arrays" in browser.toast()
    browser.open("From the Hub")


def test_the_benchmark_is_drawn(browser, fits):
    browser.open("Benchmark")
    browser.wait(
        """return [...document.querySelectorAll('.picture img')]
        .filter(i => i.offsetParent && i.complete && i.naturalWidth).length === 3"""
    )
    assert "mean_rank_elsewhere" in browser.run("return document.querySelector('#agreement').innerText")
    browser.shot("benchmark")
    browser.run(
        """[...document.querySelectorAll('input[type=radio]')]
        .find(i => i.offsetParent && i.value === 'architecture').click()"""
    )
    browser.wait("return document.querySelector('#agreement').innerText.includes('parameter_count')")


def test_about_says_what_the_score_means(browser, fits):
    browser.open("About")
    browser.wait("return document.body.innerText.includes('What the score means')")
    assert "@article{juodelyte2024dataset" in browser.run("return document.body.innerText")
    browser.shot("about")
