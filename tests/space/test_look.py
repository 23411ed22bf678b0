"""How the page looks in a real browser: what comes first, where a link leads, colours, letters, and words.

Skipped where chromium or selenium is not installed.
"""

import itertools
import re
import time

import pytest
from helpers.browser import Keys

pytestmark = pytest.mark.filterwarnings("ignore")  # Gradio's and Selenium's own

# Red, green, blue and opacity of a CSS colour, as the browser draws it.
SHADE = """const shade = text => {
    const context = Object.assign(document.createElement("canvas"), {width: 1, height: 1}).getContext("2d");
    context.fillStyle = text; context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data];
};"""
# Of every element with letters that is seen: these letters, their colour, that of the ground that they stand on (the first of
# its parents that is not see-through), and their font.
LETTERS = (
    SHADE
    + """
    const found = [];
    for (const seen of document.querySelectorAll("body *")) {
        const style = getComputedStyle(seen), own = [...seen.childNodes].filter(node => node.nodeType === 3);
        const text = own.map(node => node.textContent).join("").trim();
        if (!seen.offsetParent || !text || style.visibility === "hidden" || style.opacity < 0.1) continue;
        let ground = seen;
        while (ground.parentElement && shade(getComputedStyle(ground).backgroundColor)[3] < 255) ground = ground.parentElement;
        found.push([text, shade(style.color), shade(getComputedStyle(ground).backgroundColor), style.fontFamily]);
    }
    return found"""
)
TOP = "const place = document.querySelector(arguments[0])?.getBoundingClientRect(); return place ? place.top : null"
OPTIONS = "return [...document.querySelectorAll('[role=option]')].map(option => option.innerText.trim())"
TITLES = """return [...document.querySelectorAll('#ranking [role=columnheader]')].map(
    head => [head.innerText.trim().replace(/\\s+/g, ' '), head.getBoundingClientRect().right])"""


def contrast(letters, ground):
    """The ratio of WCAG 2.2 between two colours: 1 for the same, 21 for black on white."""

    def light(colour):
        parts = [part / 255 for part in colour[:3]]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    darker, lighter = sorted((light(letters), light(ground)))
    return (lighter + 0.05) / (darker + 0.05)


def opened_at(browser, address, query, theme="light"):
    browser.driver.get(f"{address}{query}&__theme={theme}")
    browser.wait("return window.linkIsRead")


def settled(browser, selector):
    """Where the top of an element is, in pixels of the window, when it has not moved for a second."""
    seen, since, end = None, time.monotonic(), time.monotonic() + 40
    while seen is None or time.monotonic() < since + 1:
        assert time.monotonic() < end, f"{selector} moves or is missing: {seen}"
        if (now := browser.run(TOP, selector)) != seen:
            seen, since = now, time.monotonic()
        time.sleep(0.1)
    return seen


def test_contrast_is_that_of_wcag():
    assert contrast([0, 0, 0], [255, 255, 255]) == pytest.approx(21)
    assert contrast([249, 115, 22], [255, 255, 255]) == pytest.approx(2.80, abs=0.01)  # Gradio's own orange


BEYOND = "?tab=rank&checkpoint=owkin/phikon-v2"  # larger than the page takes


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("view", [BEYOND, "?tab=rank&ranking=example", "?tab=benchmark&benchmark=open", "?tab=about"])
def test_all_letters_can_be_read_and_are_of_two_fonts(browser, fits, address, view, theme):
    opened_at(browser, address, view, theme)
    if view == BEYOND:
        browser.wait("return document.querySelector('#state .beyond')")
    elif "about" not in view:
        browser.wait("return document.querySelectorAll('.picture img').length >= 3")
    time.sleep(1)  # colours fade in
    found = browser.run(LETTERS)
    texts = [text for text, *_ in found]
    expected = "Rank checkpoints for a labelled (medical) image dataset without fine-tuning any of them."
    assert expected in texts and len(texts) > 30
    assert "Rank" in texts  # also on the orange button, where the tab is open
    assert [(text, colours) for text, *colours, _ in found if contrast(*colours) < 4.5] == []
    assert {font.split(",")[0].strip('"') for *_, font in found} <= {"Source Sans Pro", "IBM Plex Mono"}
    browser.shot(f"colours-{theme}")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("view", ["?tab=rank&ranking=example", "?tab=benchmark&benchmark=open"])
def test_pictures_are_in_the_colours_of_the_page_and_fit_a_phone(browser, fits, address, view, theme):
    opened_at(browser, address, view, theme)
    script = """const seen = [...document.querySelectorAll('.picture img')].filter(i => i.offsetParent && i.naturalWidth);
        return seen.map(image => {
            const canvas = Object.assign(document.createElement("canvas"), {width: 1, height: 1}).getContext("2d");
            canvas.drawImage(image, 0, 0, 2, 2, 0, 0, 1, 1);
            const box = image.closest(".wide");
            return [canvas.getImageData(0, 0, 1, 1).data[0], box.scrollWidth - box.clientWidth];
        })"""
    least = 3 if "ranking" in view else 4
    found = browser.wait(f"const found = (() => {{ {script} }})(); return found.length >= {least} && found")
    assert len(found) == least  # of each picture the one in the page's colours alone
    assert all((red > 250) == (theme == "light") and (red < 40) == (theme == "dark") for red, _ in found)
    if "ranking" in view:
        assert [beyond for _, beyond in found] == [0, 0, 0]


def test_bold_letters_are_of_the_font_of_the_text(browser, fits):
    """Gradio's own semi-bold has some letters only, so that single words came in another font."""
    script = """const weights = [400, 600, 700];
    return Promise.all(weights.map(weight => document.fonts.load(`${weight} 16px "Source Sans Pro"`))).then(() => {
        const context = document.createElement("canvas").getContext("2d");
        const width = font => (context.font = font, context.measureText(arguments[0]).width);
        return weights.map(weight => ["serif", "monospace"].map(
            other => width(`${weight} 16px "Source Sans Pro", ${other}`)));
    })"""
    script = script.replace("arguments[0]", repr("Which pretrained checkpoint should you fine-tune? JQXZ 0123456789 (90%)"))
    for serif, mono in browser.run(script):
        assert serif == pytest.approx(mono)  # no letter is taken from the font that comes after


def test_examples_come_before_the_form(browser, fits, address):
    opened_at(browser, address, "?tab=rank")
    form = browser.run(TOP, "#checkpoints")
    buttons = browser.run(
        "return [...document.querySelectorAll('#examples button')].map(b => b.getBoundingClientRect().bottom)"
    )
    assert len(buttons) == 4
    assert 0 < max(buttons) < form
    assert max(buttons) < 900  # in the first window


def test_a_link_leads_to_the_answer(browser, fits, address):
    opened_at(browser, address, "?tab=rank&ranking=example")
    browser.wait("return document.querySelectorAll('.picture img').length >= 3")
    assert -5 <= settled(browser, "#summary") < 100
    opened_at(browser, address, "?tab=benchmark&benchmark=open")
    browser.wait("return document.querySelector('#benchmark-summary')?.innerText.includes('open datasets')")
    assert -5 <= settled(browser, "#one-benchmark") < 100


def test_what_one_decides_by_comes_before_the_metrics(browser, fits, address):
    opened_at(browser, address, "?tab=rank&ranking=example")
    titles = browser.wait(f"const found = (() => {{ {TITLES} }})(); return found.length > 8 && found")
    names = [name for name, _ in titles]
    assert names[:9] == [
        "rank", "checkpoint", "score", "90% interval", "tie group", "first share", "flags", "parameters", "licence",
    ]  # fmt: skip
    legend = browser.run("return document.querySelector('#legend').innerText")
    assert "first share: in how many" in legend
    if browser.width > 600:
        assert titles[8][1] <= browser.width
    browser.shot("ranking")


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("resnet50", r"timm/resnet50\."),
        ("microsoft/resnet-50", "microsoft/resnet-50 "),
        ("vit-base", "google/vit-base-patch16-224 "),
    ],
)
def test_the_search_puts_the_same_name_first(browser, fits, address, typed, first):
    opened_at(browser, address, "?tab=rank")
    field = browser.wait("return document.querySelector('#checkpoints input')")
    browser.run("arguments[0].scrollIntoView({block: 'center'})", field)
    field.send_keys(typed)
    browser.wait(f"const found = (() => {{ {OPTIONS} }})(); return RegExp('^' + arguments[0]).test(found[0])", first)
    options = browser.run(OPTIONS)
    assert all(typed in option.lower() for option in options)
    begins = [bool(re.match(rf"[^/]*/{re.escape(typed.split('/')[-1])}", option)) for option in options]
    assert begins == sorted(begins, reverse=True)  # names that begin with it come before those that hold it
    field.send_keys(Keys.ARROW_DOWN, Keys.ENTER)
    assert browser.wait("return document.querySelector('#checkpoints .token')?.innerText").strip() == options[0]


def test_errors_are_plain_text(browser, fits, address):
    opened_at(browser, address, "?tab=rank")
    browser.type("Dataset", "/etc/<b>passwd")
    browser.choose("a/b")
    browser.click("Rank")
    assert "dataset must be a Hub id, OWNER/NAME; got '/etc/<b>passwd'." in browser.toast()
    assert "`" not in browser.run("return document.querySelector('#state').innerText")
    pills = "return [...document.querySelectorAll('[data-testid=status-tracker] .error')].map(e => e.offsetParent !== null)"
    assert browser.wait(f"const found = (() => {{ {pills} }})(); return found.length && found") == [False]


def test_benchmarks_are_told_in_words_and_their_table_is_whole(browser, fits, address):
    for name in ("paper", "open", "chaves2024"):
        opened_at(browser, address, f"?tab=benchmark&benchmark={name}")
        browser.wait(
            "return document.querySelector('#benchmark-link input')?.value.includes(arguments[0])", f"benchmark={name}"
        )
        browser.wait("return document.querySelectorAll('.picture img').length >= 4")
        panel = "[...document.querySelectorAll('[role=tabpanel]')].find(each => each.querySelector('#one-benchmark'))"
        words = browser.run(f"return {panel}.innerText")
        values = browser.run(f"return [...{panel}.querySelectorAll('[role=combobox]')].map(box => box.value)")
        assert "noise ceiling" in words and len(values) == 3
        assert re.findall(r"\S*\w_\w\S*", words + " ".join(values)) == []
        shown = browser.run("""const cells = [...document.querySelectorAll('#agreement [role=gridcell]')];
            const rows = new Set(cells.map(cell => cell.ariaRowIndex)).size;
            const box = document.querySelector('#agreement [role=grid]')?.parentElement;
            return [rows, box ? box.scrollHeight - box.clientHeight : null]""")
        assert shown[0] > 10
        assert shown[1] is not None and shown[1] <= 2
    browser.shot("words")


FOCUSED = """const seen = document.activeElement, style = getComputedStyle(seen);
    return [seen.tagName, seen.type, style.outlineStyle, parseFloat(style.outlineWidth)]"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_one_sees_where_the_keyboard_is(browser, fits, address, theme):
    """Gradio shows no focus on radio buttons and sliders."""
    opened_at(browser, address, "?tab=rank", theme)
    time.sleep(1)
    kinds = set()
    for _ in range(24):
        browser.driver.switch_to.active_element.send_keys(Keys.TAB)
        tag, kind, style, width = browser.run(FOCUSED)
        if kind in ("radio", "range"):
            kinds.add(kind)
            assert style == "solid" and width >= 2, (tag, kind)
    assert kinds == {"radio", "range"}


def test_what_is_typed_beside_chosen_checkpoints_is_seen(browser, fits, address):
    chosen = ("microsoft/resnet-18", "microsoft/resnet-50", "timm/densenet121.tv_in1k", "timm/convnext_tiny.fb_in1k")
    opened_at(browser, address, "?tab=rank" + "".join(f"&checkpoint={name}" for name in chosen))
    browser.wait("return document.querySelectorAll('#checkpoints .token').length === 4")
    assert browser.run("return document.querySelector('#checkpoints input').clientWidth") > 90


def test_the_name_of_a_benchmark_ends_before_the_arrow(browser, fits, address):
    opened_at(browser, address, "?tab=benchmark&benchmark=open")
    browser.wait("return document.querySelector('#benchmark-choices input')?.value.includes('open datasets')")
    gap = """const field = document.querySelector('#benchmark-choices input'), style = getComputedStyle(field);
        const arrow = field.parentElement.querySelector('.icon-wrap').getBoundingClientRect();
        return arrow.left - (field.getBoundingClientRect().right - parseFloat(style.paddingRight))"""
    assert browser.run(gap) >= 0


def test_the_numbers_of_the_overview_are_a_table_for_screen_readers(browser, fits, address):
    opened_at(browser, address, "?tab=benchmark")
    browser.click("The numbers as a table\n▼")
    browser.wait("return document.querySelector('.figures')?.offsetParent")
    assert browser.run("return document.querySelectorAll('.figures tbody th[scope=row]').length") > 15
    assert browser.unnamed() == []


@pytest.mark.parametrize("view", ["?tab=rank&ranking=example", "?tab=benchmark&benchmark=open", "?tab=about"])
def test_a_screen_reader_finds_titles_in_order_and_names_of_questions_and_downloads(browser, fits, address, view):
    opened_at(browser, address, view)
    if "about" not in view:
        browser.wait("return document.querySelectorAll('.picture img').length >= 6")
    levels = browser.run(
        "return [...document.querySelectorAll('h1, h2, h3, h4')].filter(h => h.offsetParent).map(h => +h.tagName[1])"
    )
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    questions = browser.run(
        "return [...document.querySelectorAll('fieldset')].filter(f => f.offsetParent).map(f => f.ariaLabel)"
    )
    assert all(questions) and ("What the candidates differ in" in questions) == ("about" not in view)
    if "ranking" in view:
        links = browser.wait("const found = [...document.querySelectorAll('#downloads a')]; return found.length && found")
        assert [link.accessible_name for link in links] == [f"Download ranking.{kind}" for kind in ("json", "csv", "html")]
    before = None
    for _ in range(60):  # every stop of the keyboard is a control, a table or a picture
        browser.driver.switch_to.active_element.send_keys(Keys.TAB)
        stop = browser.driver.switch_to.active_element
        if stop == before or stop.tag_name == "body":
            break
        before = stop
        assert stop.tag_name in ("button", "input", "textarea", "a") or stop.aria_role in ("gridcell", "group", "grid"), (
            stop.get_attribute("outerHTML")[:200]
        )
