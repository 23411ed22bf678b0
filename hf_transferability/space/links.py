"""Links to a view of the page: which tab is open, and what is looked up or filled in, as the query of an address.

A query is foreign text. Names that it holds are compared with those that there are, Hub ids must look like Hub ids, and what
does not pass is left out and told; it is never repeated on the page.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlencode

from hf_transferability.metrics import all_metrics
from hf_transferability.names import SCENARIOS
from hf_transferability.ranking.choices import DEFAULT_METRICS
from hf_transferability.space import limits
from hf_transferability.space.work import READING

TABS = ("rank", "benchmark", "about")
LOOKED_UP = ("benchmark", "scenario", "selection", "metric", "target")  # of the tab of benchmarks, in this order
EXAMPLE = "?tab=rank&ranking=example"  # the ranking that comes with the page
ABOUT = "?tab=about"
SAMPLE_SIZE = 200  # images, unless a visitor or a link says otherwise
_LONGEST = 4000  # characters of a query
_LONGEST_VALUE = 200  # characters of one value in it
_MOST_FIELDS = 60

Asked = dict[str, list[str]]


def asked(query: str) -> Asked:
    """What a query asks for: name -> values, "" for one that cannot be shown; nothing where it is too long, or no query."""
    if not isinstance(query, str) or len(query) > _LONGEST:
        return {}
    try:
        fields = parse_qs(query.removeprefix("?"), max_num_fields=_MOST_FIELDS)
    except ValueError:
        return {}
    return {name: [value if _is_plain(value) else "" for value in values] for name, values in fields.items()}


def tab(query: Asked) -> str:
    """The tab that a query asks for; without a known one, the first."""
    wished = _one(query, "tab")
    return wished if wished in TABS else TABS[0]


def looked_up(query: Asked) -> list[str]:
    """The wished benchmark, scenario, selection, metric and target, "" where none is wished; the page knows which there are."""
    return [_one(query, name) for name in LOOKED_UP]


def benchmark_link(*values: str) -> str:
    """The query of a view of a benchmark; values in the order of LOOKED_UP."""
    return _query(("tab", "benchmark"), *zip(LOOKED_UP, values, strict=True))


def form_link(
    dataset: str, checkpoints: Sequence[str], sample_size: float, scenario: str, metric: str, reading: Mapping[str, Any]
) -> str:
    """The query that fills the form in this way; what is not its default. Only ids are passed on, so that no path gets out."""
    fields = [("dataset", dataset)] if limits.is_id(dataset) else []
    fields += [("checkpoint", name) for name in checkpoints if limits.is_id(name.partition("@")[0])]
    given = {
        "images": (f"{sample_size:g}", f"{SAMPLE_SIZE}"),
        "scenario": (scenario, "auto"),
        "metric": (metric, DEFAULT_METRICS[0]),
    }
    fields += [(name, value) for name, (value, default) in given.items() if value != default]
    reading = {name: int(value) if isinstance(value, bool) else value for name, value in reading.items()}
    fields += [(name, f"{value}") for name, value in reading.items() if value and _is_plain(f"{value}")]
    return _query(("tab", "rank"), *fields)


def form(query: Asked) -> tuple[dict[str, Any], list[str]]:
    """What a query fills in: name of a field -> value, for fields that it names; and the names of those that were not taken."""
    values: dict[str, Any] = {}
    refused = []
    datasets, checkpoints = query.get("dataset", []), query.get("checkpoint", [])
    ids = [name for name in checkpoints if limits.is_id(name.partition("@")[0])]
    tests = {
        "dataset": (datasets[-1:], all(map(limits.is_id, datasets))),
        "scenario": (query.get("scenario", []), _one(query, "scenario") in ("auto", *SCENARIOS)),
        "metric": (query.get("metric", []), _one(query, "metric") in all_metrics()),
        "images": (query.get("images", []), _is_whole(_one(query, "images"), 12, limits.IMAGES)),
        "class_level": (query.get("class_level", []), _is_whole(_one(query, "class_level"), 0, 99)),
        "keep_masks": (query.get("keep_masks", []), _one(query, "keep_masks") in ("0", "1")),
        **{name: (query.get(name, []), True) for name in READING if name not in ("class_level", "keep_masks")},
    }
    for name, (given, passes) in tests.items():
        if given and all(given) and passes:
            value = int(given[-1]) if name in ("images", "class_level", "keep_masks") else given[-1]
            values[name] = bool(value) if name == "keep_masks" else value
        elif name in query:
            refused.append(name)
    if ids:
        values["checkpoints"] = list(dict.fromkeys(ids))[: 4 * limits.CHECKPOINTS]
    return values, refused + (["checkpoint"] if len(ids) < len(checkpoints) else [])


def _one(query: Asked, name: str) -> str:
    return (query.get(name) or [""])[-1]


def _is_whole(text: str, smallest: int, largest: int) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 6 and smallest <= int(text) <= largest


def _is_plain(value: str) -> bool:
    return value.isprintable() and len(value) <= _LONGEST_VALUE


def _query(*fields: tuple[str, str]) -> str:
    return "?" + urlencode([(name, value) for name, value in fields if value], safe="/@,")
