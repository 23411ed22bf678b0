"""The tab where checkpoints of the Hub, or files of features, are ranked."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from hf_transferability.escaping.html import text as escape
from hf_transferability.metrics import all_metrics
from hf_transferability.ranking.choices import DEFAULT_METRICS
from hf_transferability.reporting import plots
from hf_transferability.space import answer, candidates, limits, links, texts, uploads, work
from hf_transferability.space.examples import EXAMPLES, Example
from hf_transferability.space.parts import (
    AT_ONCE,
    SCENARIOS,
    drawing,
    drawn,
    into_address,
    link,
    on_a_phone,
    pictures,
    plain,
    show_errors,
    visitor,
)

WORK: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "work"}  # a Space has few cores
_TO_THE_ANSWER = "() => document.querySelector('#summary').scrollIntoView({block: 'start', behavior: 'smooth'})"
_HUB = "hub"
# Sorts the choices of the search box in the browser by what is typed: an id or name that is the same comes first, then those
# that begin with it, then the others in their own order; what follows a point in a name is its training. The box itself then
# shows those that hold the text.
_BEST_FIRST = """() => {
  const field = document.querySelector("#checkpoints input");
  const box = window.gradio_config?.components.find(one => one.props.elem_id === "checkpoints");
  const same = {__type__: "update"};
  if (!field || !box) return same;
  window.catalogue ??= box.props.choices;
  const typed = field.value.trim().toLowerCase();
  if (window.sortedFor === typed) return same;
  window.sortedFor = typed;
  const place = ([, id]) => {
    const whole = id.toLowerCase(), name = whole.slice(whole.indexOf("/") + 1);
    if (!typed || !whole.includes(typed)) return 4;
    if (whole === typed || name === typed) return 0;
    if (name.split(".")[0] === typed) return 1;
    return name.startsWith(typed) || whole.startsWith(typed) ? 2 : 3;
  };
  const choices = window.catalogue.map((one, i) => [place(one), i, one]).sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  return {__type__: "update", choices: choices.map(one => one[2])};
}"""
# To the answer again, for who has waited beside the progress; who has gone elsewhere stays there.
_FROM_THE_PROGRESS = """() => {
  const place = document.querySelector("#summary"), top = place.getBoundingClientRect().top;
  if (top > 0 && top < innerHeight) place.scrollIntoView({block: "start", behavior: "smooth"});
}"""
_PRIVATE: dict[str, Any] = {"api_visibility": "private"}
_QUIET: dict[str, Any] = {**_PRIVATE, "show_progress": "hidden"}


@dataclass(frozen=True)
class RankTab:
    """What the page needs of the tab: the fields that a link fills in, and the arguments of events.

    Attributes:
        fields: name, as in `links.form`, -> component.
        checked: arguments of an event that checks the form and makes its link; its field is `link`.
        link: field with the link to the form, or to that ranking.
    """

    fields: dict[str, Any]
    checked: dict[str, Any]
    link: gr.Textbox


def rank_tab() -> RankTab:
    """Build the tab."""
    example_button, demo_button, fills = _examples()
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=300):
            fields, files, by_file, state, inputs = _form()
            button = gr.Button("Rank", variant="primary")
            address = link("rank")
        with gr.Column(scale=1, min_width=260):
            gr.Markdown(texts.LIMITS)
    shown = _answer()
    checked: dict[str, Any] = {
        "fn": _checked, "inputs": list(fields.values()), "outputs": [state, address], "trigger_mode": "always_last",
        **_QUIET, **AT_ONCE,
    }  # fmt: skip
    event = gr.on([field.change for field in fields.values()], **checked)
    into_address(event, address)
    for fill, example in zip(fills, EXAMPLES, strict=True):
        outputs = [inputs, by_file, fields["dataset"], fields["checkpoints"]]
        fill.click(partial(_filled, example), None, outputs, queue=False, **_QUIET)
    # The previous ranking is not an answer to the new request.
    cleared = [pressed.click(_cleared, None, shown, queue=False, **_QUIET) for pressed in (button, demo_button)]
    slow: dict[str, Any] = {**_PRIVATE, "show_progress_on": shown[0]}
    files.upload(_on_upload, files, None, queue=False, **_QUIET)
    done = cleared[0].then(_from_inputs, [by_file, files, *fields.values()], shown, **slow, **WORK)
    made = cleared[1].then(_from_demo, None, shown, **slow, **WORK)
    for ended in (done.success, made.success):
        ended(None, None, None, js=_FROM_THE_PROGRESS, **_QUIET)
    for ended in (done.success, done.failure):  # `then` does not come after a failure in a chain
        ended(lambda: None, None, files, **_PRIVATE)  # they have been removed from the disk
    ready = example_button.click(_from_example, None, shown, concurrency_limit=4, **slow)
    ready.success(None, None, None, js=_TO_THE_ANSWER, **_QUIET)
    for pressed in (button, demo_button, example_button):  # the answer is below the form, out of sight
        pressed.click(None, None, None, js=_TO_THE_ANSWER, **_QUIET)
    into_address(example_button.click(lambda: links.EXAMPLE, None, address, queue=False, **_QUIET), address)
    return RankTab(fields, checked, address)


def _examples() -> tuple[gr.Button, gr.Button, list[gr.Button]]:
    """Buttons that show a ranking, make one, or fill in the form; they come first, also on a phone."""
    with gr.Column(elem_id="examples"):
        gr.Markdown(texts.EXAMPLES)
        with gr.Row():
            example_button = gr.Button("Show the example", size="sm", min_width=200, elem_id="show-example")
            demo_button = gr.Button("Run the example here, about two minutes", size="sm", min_width=200)
            fills = [gr.Button(f"Fill in: {example.title}", size="sm", min_width=200) for example in EXAMPLES]
    return example_button, demo_button, fills


def _form() -> tuple[dict[str, Any], gr.File, gr.Checkbox, gr.HTML, gr.Tabs]:
    """The inputs; returns the fields by name, the uploads, whether these are chosen, the place for what is wrong, and the tabs
    of the Hub and of uploads."""
    with gr.Tabs() as inputs:
        with gr.Tab("From the Hub", id=_HUB) as hub_tab:
            dataset = gr.Textbox(label="Dataset", placeholder="OWNER/NAME", max_lines=1)
            names = gr.Dropdown(
                candidates.choices(), value=[], multiselect=True, allow_custom_value=True, label="Checkpoints",
                info=texts.SEARCH, elem_id="checkpoints",
            )  # fmt: skip
            state = gr.HTML(_state(), elem_id="state", padding=False)
            size = gr.Slider(12, limits.IMAGES, value=links.SAMPLE_SIZE, step=1, label="Images to draw")
            reading = _reading_inputs()
        with gr.Tab("Features that you have") as file_tab:
            gr.Markdown(texts.UPLOAD)
            files = gr.File(
                label="Files of features", file_count="multiple", file_types=[".npz", ".safetensors"], type="filepath"
            )
    scenario = gr.Radio(SCENARIOS, value="auto", label="What the candidates differ in")
    titles = [(metric.label, name) for name, metric in all_metrics().items()]
    metric = gr.Dropdown(titles, value=DEFAULT_METRICS[0], label="Sort by")
    by_file = gr.Checkbox(False, visible=False)  # which of the two tabs is open; the browser sets it without a request
    hub_tab.select(None, None, by_file, js="() => false", **_PRIVATE)
    file_tab.select(None, None, by_file, js="() => true", **_PRIVATE)
    names.key_up(None, None, names, js=_BEST_FIRST, **_QUIET)
    fields = {"dataset": dataset, "checkpoints": names, "images": size, "scenario": scenario, "metric": metric, **reading}
    return fields, files, by_file, state, inputs


def _reading_inputs() -> dict[str, Any]:
    """A folded part with one input for each of `work.READING`, in that order."""
    with gr.Accordion("Reading the data", open=False):
        gr.Markdown(texts.DATA_HELP)
        with gr.Row():
            split = gr.Textbox(label="Split", placeholder="train", max_lines=1, min_width=140)
            images = gr.Textbox(label="Image column", placeholder="the only one", max_lines=1, min_width=140)
            labels = gr.Textbox(label="Label column", placeholder="such as label", max_lines=1, min_width=140)
        with gr.Row():
            groups = gr.Textbox(label="Group column", placeholder="such as patient", max_lines=1, min_width=140)
            level = gr.Number(
                label="Class level of folders (0: found by itself)", value=None, precision=0, minimum=0, min_width=140
            )
            window = gr.Textbox(label="Window LOW,HIGH", placeholder="-160,240", max_lines=1, min_width=140)
        keep_masks = gr.Checkbox(False, label="Take masks beside their images as images")
    return dict(zip(work.READING, [split, images, labels, groups, level, window, keep_masks], strict=True))


def _answer() -> list[Any]:
    """Where a ranking is shown: summary, table, its legend, pictures and files."""
    summary = gr.Markdown(elem_id="summary")
    table = gr.Dataframe(interactive=False, wrap=True, label="Ranking", elem_id="ranking", visible=False, max_height=2000)
    legend = gr.Markdown(elem_id="legend", visible=False)
    drawings = pictures("Pictures of the ranking", visible=False)
    downloads = gr.File(label="Download", file_count="multiple", interactive=False, visible=False, elem_id="downloads")
    return [summary, table, legend, drawings, downloads]


def _filled(example: Example) -> list[Any]:
    """The form of an example: the tab of the Hub, and what is in its fields."""
    return [gr.Tabs(selected=_HUB), False, example.dataset, list(example.checkpoints)]


def _cleared() -> list[Any]:
    return ["", *(kind(visible=False) for kind in (gr.Dataframe, gr.Markdown, gr.HTML, gr.File))]


def _checked(dataset: str, names: list[str], size: float, scenario: str, metric: str, *reading: Any) -> tuple[str, str]:
    """What is beyond the limits so far, or how large the request is; and the link to this form."""
    chosen = candidates.ids(names)
    options = dict(zip(work.READING, reading, strict=True))
    address = links.form_link(dataset.strip(), chosen, size, scenario, metric, options)
    return _state(dataset, chosen), address


def _state(dataset: str = "", names: Sequence[str] = ()) -> str:
    """What is beyond the limits, or how large the request is, as HTML that screen readers read out when it changes."""
    found = candidates.problems(dataset, names)
    lines = "".join(f"<p>{escape(plain(text))}</p>" for text in found or [candidates.total(names)])
    return f'<div role="status" class="{"beyond" if found else "within"}">{lines}</div>'


def _answered(work_of: Callable[..., work.Document]) -> Callable[..., Iterator[list[Any]]]:
    """A handler that shows the ranking made by `work_of`; its files stay on disk only until they are sent."""

    # Gradio passes the request and the progress only to arguments before the `*`.
    def handler(
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
        *inputs: Any,
    ) -> Iterator[list[Any]]:
        def tell(text: str, share: float) -> None:
            progress(share, desc=text)

        document = show_errors(work_of)(*inputs, tell=tell, visitor=visitor(request))
        with tempfile.TemporaryDirectory(prefix="hf-transferability-answer-", ignore_cleanup_errors=True) as folder:
            with drawing():
                shown = plots.described(document, on_a_phone(request))
                drawings = [drawn(each.figure, each.text, each.whole) for each in shown]
                downloads = work.write_files(document, folder)
            yield [
                answer.summary(document),
                gr.Dataframe(answer.table(document), column_widths=answer.widths(document), visible=True),
                gr.Markdown(f"## What the table says\n\n{answer.legend(document)}", visible=True),
                gr.HTML(f'<div class="pictures">{"".join(drawings)}</div>', visible=True),
                gr.File(downloads, visible=True),
            ]

    return handler


@_answered
def _from_inputs(
    by_file: bool,
    paths: list[str] | None,
    dataset: str,
    names: list[str],
    size: float,
    scenario: str,
    metric: str,
    *reading: Any,
    **callbacks: Any,
) -> work.Document:
    if by_file:
        visitor = callbacks["visitor"]
        uploads.hold(visitor, paths or [])
        try:
            return work.rank_files(uploads.held(visitor, paths or []), scenario, metric, **callbacks)
        finally:
            uploads.forget(visitor)
    options = dict(zip(work.READING, reading, strict=True))
    return work.rank_checkpoints(dataset, candidates.ids(names), int(size), scenario, metric, options, **callbacks)


@_answered
def _from_demo(**callbacks: Any) -> work.Document:
    return work.run_demo(**callbacks)


@_answered
def _from_example(**callbacks: Any) -> work.Document:
    return work.example()


def _on_upload(paths: list[str], request: gr.Request) -> None:
    uploads.hold(visitor(request), paths)
