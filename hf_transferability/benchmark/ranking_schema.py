"""The schema of a saved ranking: what its fields hold, so that one that was changed by hand is refused, not drawn wrongly."""

from typing import Any

from hf_transferability.errors import UsageError
from hf_transferability.escaping.terminal import printable
from hf_transferability.metrics import all_metrics

TEXT, FLAG = str, bool
NUMBER, PAIR = "a number", "two numbers"
NOTHING = type(None)

_PAIR_OR_NONE = (PAIR, NOTHING)
_TEXT_OR_NONE = (TEXT, NOTHING)
_NUMBER_OR_NONE = (NUMBER, NOTHING)
_ACCOUNT = {"line": TEXT, "notes": [TEXT], "classes": {...: NUMBER}, "rows": {...: NUMBER}, "left_out": {...: NUMBER}}
_DATASET = {"id": TEXT, "split": TEXT, "images": NUMBER, "classes": [TEXT], "modes": {...: NUMBER}, "account": _ACCOUNT}
_ADVICE = {
    "text": [TEXT], "first": _TEXT_OR_NONE, "not_told_apart": [TEXT], "fine_tune": _NUMBER_OR_NONE, "command": _TEXT_OR_NONE,
    "evidence": ({"chance_of_best": [NUMBER], "benchmarks": [TEXT]}, NOTHING),
}  # fmt: skip
_NEEDED_IN_ROWS = {
    "rank": _NUMBER_OR_NONE, "checkpoint": TEXT, "score": _NUMBER_OR_NONE, "flags": [TEXT], "error": _TEXT_OR_NONE,
    "n_features": _NUMBER_OR_NONE, "parameters": _NUMBER_OR_NONE, "licence": _TEXT_OR_NONE, "revision": _TEXT_OR_NONE,
    "seconds": _NUMBER_OR_NONE,
}  # fmt: skip
_ROW = {
    **_NEEDED_IN_ROWS, "interval": _PAIR_OR_NONE, "tie_group": _NUMBER_OR_NONE, "first_share": _NUMBER_OR_NONE,
    "known_elsewhere": _NUMBER_OR_NONE, "known_targets": _NUMBER_OR_NONE, "known_medical": _NUMBER_OR_NONE,
    "known_studies": [TEXT], "flag_details": {...: TEXT}, "undefined": {...: TEXT}, "intervals": {...: _PAIR_OR_NONE},
    "variant": TEXT, "training_datasets": [TEXT], "layers": [TEXT], "untrained": FLAG,
}  # fmt: skip
_LABEL_CHECK = {"p_value": _NUMBER_OR_NONE, "alarm": _TEXT_OR_NONE}
_KNOWN = {"studies": {...: TEXT}, "left_out": [TEXT]}
_DOCUMENT = {
    "dataset": _DATASET, "scenario": TEXT, "metric": TEXT, "notes": [TEXT], "metric_versions": {...: NUMBER},
    "versions": {...: TEXT}, "advice": (_ADVICE, NOTHING), "label_check": (_LABEL_CHECK, NOTHING), "known": (_KNOWN, NOTHING),
}  # fmt: skip
_NEEDED = ("dataset", "scenario", "metric", "rows")


def check_ranking(document: Any, origin: str, *, whole: bool = True) -> None:
    """Refuse a document that does not fit the schema. Fields that are not known here may hold anything.

    Args:
        document: what the file holds.
        origin: the file, for the error.
        whole: False where fields may be absent.

    Raises:
        UsageError: with the first place that is not as in a ranking, such as rows[3].score.
    """
    if (place := _first_misfit(document, whole)) is not None:
        raise UsageError(
            f"{origin} must be a ranking saved as .json; {printable(place)} is not as in one. Save it with --output FILE.json."
        )


def _first_misfit(document: Any, whole: bool) -> str | None:
    if not isinstance(document, dict):
        return "the whole"
    absent = next((name for name in _NEEDED if not document.get(name)), None) if whole else None
    if absent is not None:
        return absent
    row = {**_ROW, **dict.fromkeys(all_metrics(), _NUMBER_OR_NONE)}
    found = _misfit(document, {**_DOCUMENT, "rows": [row]}, "")
    if found is not None or not whole:
        return found
    for number, each in enumerate(document["rows"]):
        for name in _NEEDED_IN_ROWS:
            if name not in each:
                return f"rows[{number}].{name}"
    return None if document["metric"] in all_metrics() else "metric"


def _misfit(value: Any, schema: Any, place: str) -> str | None:
    if isinstance(schema, tuple):
        found = [_misfit(value, each, place) for each in schema]
        return None if None in found else max((each for each in found if each is not None), key=len)
    if schema == NUMBER:
        return None if isinstance(value, int | float) and not isinstance(value, bool) else place
    if schema == PAIR:
        return place if not isinstance(value, list) or len(value) != 2 else _misfit(value, [NUMBER], place)
    if isinstance(schema, type):
        return None if isinstance(value, schema) else place
    if not isinstance(value, type(schema)):
        return place
    if isinstance(schema, list):
        parts = [(each, schema[0], f"{place}[{number}]") for number, each in enumerate(value)]
    elif ... in schema:
        parts = [(each, schema[...], f"{place}.{name}") for name, each in value.items()]
    else:
        parts = [(value[name], each, f"{place}.{name}".lstrip(".")) for name, each in schema.items() if name in value]
    return next((found for found in (_misfit(*part) for part in parts) if found is not None), None)
