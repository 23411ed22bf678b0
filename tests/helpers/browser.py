"""The page in a real browser: chromium, driven by selenium. Who imports this is skipped where one of them is missing."""

import os
import shutil
import time
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
if not (CHROMIUM and DRIVER):
    pytest.skip("there is no browser: apt-get install chromium chromium-driver", allow_module_level=True)
webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
Keys = pytest.importorskip("selenium.webdriver.common.keys").Keys
PATIENCE = 40.0  # seconds for what takes one
WORK = 300.0  # for what loads networks, on a busy machine
# The texts of one column of the ranking.
COLUMN = """const cells = [...document.querySelectorAll(`#ranking [role=gridcell][data-col="${arguments[0]}"]`)];
    cells.sort((a, b) => a.ariaRowIndex - b.ariaRowIndex);
    return cells.length ? cells.map(cell => cell.innerText.trim()) : null"""


class Browser:
    """One tab; `wait` polls a script until it gives something, and `shot` keeps a picture where SCREENSHOTS says."""

    def __init__(self, folder: Path, width: int):
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for word in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars", "--no-proxy-server"):
            options.add_argument(word)
        options.add_experimental_option("prefs", {"download.default_directory": str(folder)})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
        self.agent = ""
        self.resize(width)

    def resize(self, width):
        self.width = width
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.agent = self.agent or self.run("return navigator.userAgent")
        named = self.agent + " Mobile" * (width < 600)
        self.driver.execute_cdp_cmd("Emulation.setUserAgentOverride", {"userAgent": named})

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def wait(self, script, *arguments, patience=PATIENCE):
        end = time.monotonic() + patience
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

    def choose(self, text):
        """Put this, and nothing else, into the search box for checkpoints."""
        self.run("document.querySelector('#checkpoints .remove-all')?.click()")
        field = self.wait("return document.querySelector('#checkpoints input')")
        self.run("arguments[0].scrollIntoView({block: 'center'})", field)
        field.send_keys(text, Keys.ENTER, Keys.ESCAPE)
        self.wait("return document.querySelector('#checkpoints .token')")

    def unnamed(self):
        """Controls and tables that a screen reader finds, but has no name for."""
        self.driver.execute_cdp_cmd("Accessibility.enable", {})
        nodes = self.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
        kinds = (
            "button", "textbox", "searchbox", "slider", "spinbutton", "combobox", "checkbox", "radio", "link", "tab", "grid",
            "columnheader", "region",
        )  # fmt: skip
        seen = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"]]
        assert len([kind for kind, _ in seen if kind in kinds]) > 5
        return [kind for kind, name in seen if kind in kinds and not name.strip()]

    def toast(self, patience=PATIENCE):
        """The text of the error that is shown; closes it."""
        text = self.wait("return document.querySelector('.toast-body')?.innerText", patience=patience)
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
