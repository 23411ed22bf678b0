"""The page of a ranking in a real browser: its table is sorted by the keyboard. Skipped where there is no browser."""

import shutil

import pytest
from helpers.rankings import ranking_of

from hf_transferability.reporting import html

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
if not (CHROMIUM and DRIVER):
    pytest.skip("there is no browser: apt-get install chromium chromium-driver", allow_module_level=True)
webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")  # Selenium's own


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for word in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--no-proxy-server"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


def order(browser) -> list[str]:
    return browser.execute_script(
        "return [...document.querySelectorAll('table.sortable tbody tr')].map(r => r.cells[1].innerText)"
    )


def test_a_title_sorts_the_table_by_the_keyboard_and_says_so(browser, tmp_path):
    document = ranking_of(4, 1)
    sizes = (9_000_000, 850_000, 1_100_000_000, None)
    for row, size, name in zip(document["rows"], sizes, ("d", "b", "c", "a"), strict=False):
        row |= {"checkpoint": name, "parameters": size}
    html.save(document, tmp_path / "page.html")
    browser.get((tmp_path / "page.html").as_uri())
    assert order(browser) == ["d", "b", "c", "a", "broken/<b>0"]
    buttons = browser.find_elements("css selector", "table.sortable th button")
    titles = [button.text for button in buttons]
    assert len(titles) == len(browser.find_elements("css selector", "table.sortable th"))
    size = buttons[titles.index("parameters")]
    size.send_keys("\ue007")  # Enter
    assert order(browser) == ["b", "d", "c", "a", "broken/<b>0"]  # 850k, 9.0M, 1.1B, unknown, failed
    heads = browser.find_elements("css selector", "th[aria-sort]")
    assert [(head.text.split()[0], head.get_attribute("aria-sort")) for head in heads] == [("parameters", "ascending")]
    size.send_keys("\ue007")
    assert order(browser) == ["c", "d", "b", "a", "broken/<b>0"]  # what is unknown stays last
    buttons[titles.index("checkpoint")].send_keys("\ue007")
    assert order(browser) == ["a", "b", "broken/<b>0", "c", "d"]
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
