"""The page: three tabs that call the functions of `work`; those of `api` are offered to programs and MCP clients."""

from typing import Any

import gradio as gr

from hf_transferability.extraction.allocator import share_arenas
from hf_transferability.space import api, limits, links, texts, uploads, worker
from hf_transferability.space.benchmark_tab import BenchmarkTab, benchmark_tab, draw_ahead, existing, look
from hf_transferability.space.parts import AT_ONCE, RESTORED, into_address, on_a_phone, show_errors, visitor
from hf_transferability.space.rank_tab import WORK, RankTab, rank_tab

_KEPT = 1800  # seconds that uploads and downloads stay on disk at most
_WAITING = 100  # requests that may wait; look-ups do so for a moment only, so nearly all are rankings
_SESSIONS = 300  # pages of visitors of which Gradio keeps the last answer, up to 1.5 MB each; by default it keeps 10,000
# After the page's link has been read: one to the ranking that comes with the page does what its button does, and one to a
# benchmark passes by the table over all of them.
_READ = """() => {
  window.linkIsRead = true;
  const asked = new URLSearchParams(location.search);
  if (asked.get("ranking") === "example") document.querySelector("#show-example").click();
  if (asked.has("benchmark")) document.querySelector("#one-benchmark").scrollIntoView();
}"""
# Names for screen readers where Gradio gives none: the question above radio buttons, and the files of a download.
_NAMED = """() => {
  const name = () => {
    for (const part of document.querySelectorAll("fieldset:not([aria-label])")) {
      const question = part.querySelector("[data-testid=block-info]");
      if (question) part.setAttribute("aria-label", question.innerText.trim());
    }
    for (const link of document.querySelectorAll("#downloads a[download]:not([aria-label])"))
      link.setAttribute("aria-label", `Download ${link.download}`);
  };
  name();
  new MutationObserver(name).observe(document.body, {childList: true, subtree: true});
}"""
_QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


def build() -> gr.Blocks:
    """Build the page, without serving it."""
    with gr.Blocks(title="Transferability", delete_cache=(300, _KEPT), analytics_enabled=False) as page:
        gr.Markdown(texts.INTRODUCTION)
        query = gr.Textbox(visible=False)  # of the page's address
        with gr.Tabs() as tabs:
            with gr.Tab("Rank", id="rank") as rank_place:
                ranking = rank_tab()
            with gr.Tab("Benchmark", id="benchmark") as benchmark_place:
                benchmark = benchmark_tab()
            with gr.Tab("About", id="about") as about_place:
                gr.Markdown(texts.ABOUT)
        rank_place.select(None, ranking.link, None, js=RESTORED, **_QUIET)
        into_address(benchmark_place.select(**benchmark.look), benchmark.link)
        about_place.select(None, None, None, js=f"() => ({RESTORED})(location.origin + '{links.ABOUT}')", **_QUIET)
        _open_link(page, query, tabs, ranking, benchmark)
        page.load(None, None, ranking.link, js="() => location.origin + location.pathname + '?tab=rank'", **_QUIET)
        page.load(None, None, None, js=_NAMED, **_QUIET)
        page.unload(_on_unload)
        gr.api(api.rank_checkpoints, api_name="rank_checkpoints", **WORK)
        for answer in (api.lookup_benchmark, api.list_candidates, api.explain):
            gr.api(answer, api_name=answer.__name__, **AT_ONCE)
    return page.queue(max_size=_WAITING)


def launch(host: str | None = None, port: int | None = None, **options: Any) -> gr.Blocks:
    """Serve the page, also as an API, and to MCP clients if gradio[mcp] is installed; returns the page when it ends.

    Args:
        host, port: default: Gradio's own, the loopback address or that of the Space.
        options: passed to Gradio's `launch`.
    """
    try:
        import mcp  # noqa: F401
    except ImportError:
        served = False
    else:
        served = True
    share_arenas()
    page = build()
    draw_ahead()
    page.launch(
        server_name=host,
        server_port=port,
        mcp_server=served,
        max_file_size=limits.FILE_BYTES,
        state_session_capacity=_SESSIONS,
        theme=_theme(),
        css=texts.STYLE,
        **options,
    )
    return page


def _theme() -> gr.themes.Base:
    """Gradio's own look, with letters dark enough to be read on their ground, and with fonts that have every letter in bold."""
    font, mono = (gr.themes.LocalFont(name, weights=(400, 700)) for name in ("Source Sans Pro", "IBM Plex Mono"))
    letters: list[Any] = [font, "ui-sans-serif", "system-ui", "sans-serif"]
    figures: list[Any] = [mono, "ui-monospace", "monospace"]
    return gr.themes.Default(font=letters, font_mono=figures).set(
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
        input_placeholder_color="*neutral_500",
        input_placeholder_color_dark="*neutral_400",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_hover_dark="*primary_800",
        color_accent="*primary_700",
        link_text_color_dark="*secondary_400",
    )


def _open_link(page: gr.Blocks, query: gr.Textbox, tabs: gr.Tabs, ranking: RankTab, benchmark: BenchmarkTab) -> None:
    """Show what the address asks for when the page is opened."""
    outputs = benchmark.look["outputs"]

    def show(text: str, request: gr.Request) -> list[Any]:
        asked = links.asked(text)
        if not asked:
            return [gr.skip()] * (1 + len(ranking.fields) + len(outputs))
        tab = links.tab(asked)
        values, refused = links.form(asked) if tab == "rank" else ({}, [])
        filled = [values.get(name, gr.skip()) for name in ranking.fields]
        looked = [gr.skip()] * len(outputs)
        if tab == "benchmark":
            wished = links.looked_up(asked)
            view = existing(*wished)
            looked = look(*view, narrow=on_a_phone(request))
            refused = [name for name, wish, found in zip(links.LOOKED_UP, wished, view, strict=True) if wish not in ("", found)]
        if refused:
            gr.Warning(texts.LINK_REFUSED.format(names=", ".join(refused)), duration=None)
        return [gr.Tabs(selected=tab), *filled, *looked]

    opened = page.load(
        show_errors(show), query, [tabs, *ranking.fields.values(), *outputs], js="() => [location.search]", **_QUIET, **AT_ONCE
    )
    opened.then(None, None, None, js=_READ, **_QUIET)


def _on_unload(request: gr.Request) -> None:
    worker.leave(visitor(request))
    uploads.forget(visitor(request))
