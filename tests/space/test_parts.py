"""What the tabs of the page share."""

import base64
import gc
import io
import re
import weakref

import gradio as gr
import pytest
from PIL import Image

from hf_transferability.errors import UsageError
from hf_transferability.reporting.plots.style import NARROW, new_figure
from hf_transferability.space.parts import drawing, drawn, on_a_phone, plain, show_errors


class Figure:
    """It refers to itself, as matplotlib's do."""

    def __init__(self):
        self.axes = [self]


def test_figures_are_gone_after_drawing():
    """Left to Python's own time they pile up: the page grew by a mebibyte with each ranking."""
    gc.disable()
    try:
        with drawing():
            figure = weakref.ref(Figure())
            assert figure() is not None
        assert figure() is None
    finally:
        gc.enable()


def test_code_in_a_message_is_told_without_marks():
    assert plain("`dataset` must be `a` ``") == "dataset must be a "
    assert plain("use `hf-transferability rank` there") == 'use "hf-transferability rank" there'


@pytest.mark.parametrize(
    ("told", "shown"), [(None, "split must be a text; got &lt;b&gt;x."), (str, "`split` must be a text; got <b>x.")]
)
def test_visitors_see_errors_as_plain_text_and_programs_as_they_are(told, shown):
    def refuse():
        raise UsageError("`split` must be a text; got <b>x.")

    with pytest.raises(gr.Error) as error:
        show_errors(refuse, told)()
    assert error.value.message == shown


@pytest.mark.parametrize(
    ("text", "shown"), [("the dataset is empty.", "The dataset is empty."), ("`split` is empty.", "split is empty.")]
)
def test_an_error_begins_with_a_capital_but_names_keep_their_letters(text, shown):
    def refuse():
        raise UsageError(text)

    with pytest.raises(gr.Error) as error:
        show_errors(refuse)()
    assert error.value.message == shown


def test_a_picture_has_its_size_before_it_is_there():
    """Without it, the page moves away under a link that leads to a place below the picture."""
    html = drawn(new_figure(5, 3), "nothing")
    width, height = (int(re.search(rf'{name}="(\d+)"', html)[1]) for name in ("width", "height"))
    content = re.search(r"base64,([^\"]+)", html)[1]
    assert Image.open(io.BytesIO(base64.b64decode(content))).size == (width, height)
    assert "max-width: 520px" in html  # letters of a small picture are not larger than those of a wide one


def test_a_picture_comes_in_the_colours_of_both_themes_with_one_text_each():
    html = drawn(new_figure(4.9, 3), "nothing <b>")
    pictures = {
        kind: Image.open(io.BytesIO(base64.b64decode(content))).convert("RGB").getpixel((2, 2))
        for kind, content in re.findall(r'<img class="(by-\w+)" alt="nothing &lt;b&gt;" [^>]*base64,([^"]+)"', html)
    }
    assert set(pictures) == {"by-day", "by-night"}
    assert min(pictures["by-day"]) > 250 and max(pictures["by-night"]) < 32


@pytest.mark.parametrize(("inches", "scrolls"), [(NARROW, False), (10, True)])
def test_a_narrow_picture_fits_a_phone_and_a_wide_one_says_that_it_scrolls(inches, scrolls):
    html = drawn(new_figure(inches, 3), "nothing")
    assert ('class="wide whole long"' in html) == scrolls
    assert (int(re.search(r"min-width: (\d+)px", html)[1]) > 302) == scrolls  # what the page has at 390 pixels


@pytest.mark.parametrize(
    ("agent", "phone"),
    [
        (
            "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36",
            True,
        ),
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36", False),
        (None, False),
    ],
)
def test_a_phone_says_that_it_is_one(agent, phone):
    request = gr.Request(headers={"user-agent": agent} if agent else {})
    assert on_a_phone(request) == phone
    assert not on_a_phone(None)
