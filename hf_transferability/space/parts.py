"""What the tabs of the page share."""

import base64
import contextlib
import gc
import io
import re
import threading
from collections.abc import Callable, Iterator
from functools import wraps
from typing import TYPE_CHECKING, Any

import gradio as gr

from hf_transferability.errors import TransferabilityError
from hf_transferability.escaping.html import text as escape
from hf_transferability.reporting import plots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCENARIOS = [
    ("Work it out from the candidates", "auto"),
    ("Same network, other source datasets", "source_dataset"),
    ("Different architectures", "architecture"),
]
# Options of an event that is answered from memory: a queue of its own, from which any number is taken at once.
AT_ONCE: dict[str, Any] = {"concurrency_limit": None, "concurrency_id": "look"}
# Puts the query of a view into the address of the page, and gives the whole address. Gradio's own choice of theme stays.
_ADDRESS = """(query) => {
  const theme = new URLSearchParams(location.search).get("__theme");
  history.replaceState(history.state, "", location.pathname + query + (theme ? `&__theme=${encodeURIComponent(theme)}` : ""));
  return location.origin + location.pathname + query;
}"""
# Puts the link of a tab that is opened again into the address; none before the page's own link is read.
RESTORED = """(link) => {
  if (!window.linkIsRead) return;
  const theme = new URLSearchParams(location.search).get("__theme");
  const query = new URLSearchParams(link ? new URL(link).search : "");
  if (theme) query.set("__theme", theme);
  history.replaceState(history.state, "", location.pathname + (query.size ? `?${query}` : ""));
}"""
_PER_INCH = (61, 104)  # pixels of the page for an inch of a picture, at least and at most
_PHONE = 300  # pixels of the page for a picture on a phone
_CODE = re.compile(r"`([^`]*)`")
_DRAWING = threading.Lock()  # Matplotlib's fonts are shared between threads


@contextlib.contextmanager
def drawing() -> Iterator[None]:
    """Within it, one thread at a time draws; the memory of its figures is free afterwards."""
    with _DRAWING:
        try:
            yield
        finally:
            gc.collect()  # figures refer to themselves; left to Python's own time, those of dozens of rankings pile up


def pictures(label: str, **options: Any) -> gr.HTML:
    """A place for pictures made by `drawn`."""
    return gr.HTML(label=label, show_label=False, elem_classes="picture", **options)


def on_a_phone(request: gr.Request | None) -> bool:
    """Whether who asks is on a phone, which gets narrow pictures; both for everybody would take twice as long to draw."""
    return request is not None and "Mobi" in request.headers.get("user-agent", "")


def drawn(figure: "Figure", text: str, whole: bool = True) -> str:
    """A picture as HTML, in the colours of the page, which scrolls sideways where it is wider than the screen.

    Args:
        figure: of matplotlib; its colours are changed.
        text: what it shows, for those who cannot see it.
        whole: with no other picture beside it.
    """
    least, most = (round(scale * figure.get_figwidth()) for scale in _PER_INCH)
    width, height = figure.get_size_inches() * figure.dpi
    # The size keeps the page from moving when the picture arrives; letters have nearly one size in all pictures.
    size = f'width="{round(width)}" height="{round(height)}" style="min-width: {least}px; max-width: {most}px"'
    images = [f'<img class="by-day" alt="{escape(text)}" {size} src="{_webp(figure)}">']
    figure.set_layout_engine("none")  # everything has its place by now
    images.append(f'<img class="by-night" alt="{escape(text)}" {size} src="{_webp(plots.darkened(figure))}">')
    kind = "wide" + " whole" * whole + " long" * (least > _PHONE)
    return f'<div class="{kind}" tabindex="0" role="group" aria-label="Picture">{"".join(images)}</div>'


def _webp(figure: "Figure") -> str:
    content = io.BytesIO()
    figure.savefig(content, format="webp")
    return f"data:image/webp;base64,{base64.b64encode(content.getvalue()).decode()}"


def link(name: str) -> gr.Textbox:
    """A field with the link to what the tab shows; `into_address` fills it; the keyboard reaches only what can be edited."""
    return gr.Textbox(label="Link to this view", interactive=True, max_lines=1, elem_id=f"{name}-link")


def into_address(event: Any, field: gr.Textbox) -> None:
    """After an event that puts the query of a view into the field: complete it there, and show it in the browser's address."""
    event.then(None, field, field, js=_ADDRESS, api_visibility="private", show_progress="hidden")


def show_errors(function: Callable[..., Any], told: Callable[[str], str] | None = None) -> Callable[..., Any]:
    """The function, with this package's errors raised as those that Gradio shows to the visitor.

    Args:
        function: what a visitor or a program calls.
        told: how an error's text is told; by default without Markdown, and with no HTML, as visitors see it.
    """

    @wraps(function)
    def call(*inputs: Any, **more: Any) -> Any:
        try:
            return function(*inputs, **more)
        except TransferabilityError as error:
            raise gr.Error((told or _for_visitors)(str(error)), duration=None, print_exception=False) from error

    return call


def _for_visitors(text: str) -> str:
    return escape(plain(text[:1].upper() + text[1:]))  # a name of code, which is between backticks, keeps its letters


def plain(text: str) -> str:
    """A text without the marks of Markdown around code: names stay bare, and commands get quotes."""
    return _CODE.sub(lambda found: f'"{found[1]}"' if " " in found[1] else found[1], text)


def visitor(request: gr.Request | None) -> str:
    """The name of one open page; empty if there is none."""
    return (request and request.session_hash) or ""
