"""What the tabs of the page share."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import gradio as gr

from hf_transferability.errors import TransferabilityError

SCENARIOS = [
    ("Look at the candidates", "auto"),
    ("Same network, other source datasets", "source_dataset"),
    ("Different architectures", "architecture"),
]
# Options of an event that is answered from memory: a queue of its own, from which any number is taken at once.
AT_ONCE: dict[str, Any] = {"concurrency_limit": None, "concurrency_id": "look"}


def plot(label: str, **options: Any) -> gr.Plot:
    """A place for a picture; its title is in the picture."""
    return gr.Plot(label=label, show_label=False, elem_classes="picture", **options)


def show_errors(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, with this package's errors raised as those that Gradio shows to the visitor."""

    @wraps(function)
    def call(*inputs: Any, **more: Any) -> Any:
        try:
            return function(*inputs, **more)
        except TransferabilityError as error:
            raise gr.Error(str(error), duration=None, print_exception=False) from error

    return call


def visitor(request: gr.Request | None) -> str:
    """The name of one open page; empty if there is none."""
    return (request and request.session_hash) or ""
