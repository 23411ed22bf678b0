"""What differs between the candidates of a pool: their source datasets or their architectures."""

from collections.abc import Sequence

from hf_transferability.ranking.candidates import Candidate

_NOTES = {
    "source_dataset": "scenario source_dataset: one architecture; high feature quality and a high update ratio count.",
    "architecture": "scenario architecture: the paper's order is reversed here, which can favour bad networks; "
    "read `hf-transferability explain architecture`.",
}
_ONE_ARCHITECTURE = "scenario architecture was asked for, but all candidates share one architecture: leave --scenario out."
_SEVERAL_ARCHITECTURES = (
    "scenario source_dataset was asked for, but there are {} architectures, whose update ratios cannot be compared: "
    "leave --scenario out."
)


def choose_scenario(requested: str, candidates: Sequence[Candidate]) -> tuple[str, list[str]]:
    """The scenario, and what the reader should know about it; "auto" looks whether all share one architecture."""
    signatures = {signature for candidate in candidates if (signature := candidate.facts.get("signature"))}
    if not signatures:
        return ("source_dataset" if requested == "auto" else requested), []
    if requested == "auto":
        requested = "source_dataset" if len(signatures) == 1 else "architecture"
    elif requested == "architecture" and len(signatures) == 1:
        return requested, [_NOTES[requested], _ONE_ARCHITECTURE]
    elif requested == "source_dataset" and len(signatures) > 1:
        return requested, [_NOTES[requested], _SEVERAL_ARCHITECTURES.format(len(signatures))]
    return requested, scenario_notes(requested)


def scenario_notes(scenario: str) -> list[str]:
    """What the reader should know about a scenario."""
    return [_NOTES[scenario]]
