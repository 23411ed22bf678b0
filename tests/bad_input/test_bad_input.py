"""Cases of every kind from the matrix of bad input; `python tests/bad_input/matrix.py` runs all of them."""

import pytest

from bad_input import cases, outcomes

CHOSEN = {
    "files": ("a fifo", "labels: 0-d", "labels: 3-d", "labels: 2-d NaN", "labels: 2-d text", "features: 0-d", "features: no rows", "features: one row", ".npy header: no header", "features: empty", "a member that is no array"),
    "datasets": ("named ~nosuchuser", "named NUL", "card configs data_files: number", "image column: ftp", "image column: NUL", "image column: path of a number", "a fifo image", "card: a circle", "card: aliases", "a link in a circle", "good folder with '--class-level 9'"),
    "layouts": (
        "split in a struct of metadata.jsonl", "split in a JSON text of data.jsonl --streaming", "no split in deep JSON of data.jsonl", "tables called development and holdout", "folders called internal and external", "labels.csv in latin-1",
        "labels.jsonl in cp1252", "labels.csv beside patients.csv", "class folders in x.tar.gz", "frames out of range: --frame 1 --skip-corrupt", "masks beside images", "photographs called masks", "masks only", "folders main and test_set below classes", "file names of which some say train and test",
        "patients called NA",
    ),
    "medical": (
        "group: some infinite", "group: large floats", "group in metadata: beyond 32 bits", "20 digits in a metadata file", "DICOM bomb", "DICOM of nested sequences", "DICOM WindowWidth b'nan'", "DICOM RescaleSlope b'1e308'", "DICOM NumberOfFrames b'-1'", "DICOM BitsAllocated 12",
        "NIfTI bomb", "NIfTI extension 2147483647", "NIfTI first length -1", "NIfTI affine nan", "--leak-check nan",
    ),
    "checkpoints": ("card datasets: number", "card: a large head", "vit of 10^6 layers", "config.json is deep", "config.json is a fifo", "adapter b'[]'", "config.json is long"),
    "options": (
        "pretrain --batch-size '18446744073709551616'", "pretrain --seed '18446744073709551616'", "finetune --seeds '99999999'",
        "grid: nested 10,000 deep", "grid: nested 200,000 deep", "finetune --dropout 'nan'", "finetune --validation-per-class '99999999'",
        "pretrain --output '/dev/null/x'", "command 'demo --keep ~nosuchuser/x'", "report of b'[[[[[[[[[[[[[[[[[[[['",
    ),
    "python": (
        "rank(..., a generator)", "rank(window=(1,))", "rank(window=1)", "score(logme, features=sparse tensor)", "save(None)",
        "rank(sead=1)", "rank_features(nosuch=1)", "gbc(variant='typo')", "transrate(variant='typo')", "rank(progress=a number)",
        "score(empty list)", "groups with None, through evaluate (logme)", "references that are empty, through evaluate (default)", "a local copy whose configuration is deep",
         "score(seed=beyond 64 bits)", "combine(a number)", "run_grid(..., a generator)",
    ),
    "surroundings": ("latin-1: '\\udcff' as table", "files of 0 bytes: pretrain", "files of 1000 bytes: demo --keep"),
}  # fmt: skip


@pytest.fixture(scope="module")
def all_cases(tmp_path_factory):
    return {(case.kind, case.name): case for case in cases.of_kinds(CHOSEN, tmp_path_factory.mktemp("bad"))}


@pytest.mark.parametrize("kind, name", [(kind, name) for kind, names in CHOSEN.items() for name in names])
def test_the_user_is_told_what_is_wrong(all_cases, tmp_path, kind, name):
    outcome = outcomes.run(all_cases[kind, name], tmp_path)
    assert outcome.good, outcome


def test_what_the_classes_of_outcomes_mean(tmp_path):
    """The matrix sees a traceback, an error without a name, and bad input that is taken."""

    def unexpected(folder):
        print("hf-transferability: unexpected KeyError: 'x'")
        return 1

    for act, kind in ((lambda folder: 1 / 0, "traceback"), (unexpected, "unexpected"), (lambda folder: 0, "wrong result")):
        assert outcomes.run(outcomes.Case("x", kind, act), tmp_path).kind == kind
