"""Every layout in miniature: the features are the library's own embedding, or the refusal says why."""

import pytest
from helpers.format_cases import Case
from helpers.format_cases_timm import all_cases
from helpers.format_comparison import compare

CASES = all_cases()


@pytest.mark.parametrize("case", CASES, ids=[f"{case.layout}: {case.name}" for case in CASES])
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")  # of the libraries that make the folders
def test_features_are_the_librarys_own_embedding(case: Case, tmp_path):
    if case.layout in ("open_clip", "adapter"):
        pytest.importorskip(
            {"open_clip": "open_clip", "adapter": "peft"}[case.layout], reason=f"{case.layout} is not installed"
        )
    assert compare(case, tmp_path).problems == ()
