import pytest

from hf_transferability.data.delimiters import delimiter_note, delimiter_of


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [("a;b\n1,5;2", ";"), ("a\tb\n", "\t"), ("a,b;c\n", ","), ("label\n", ","), ("", ","), ("\ufeffa;b", ";")],
)
def test_delimiters(tmp_path, text, delimiter):
    (tmp_path / "x.csv").write_text(text, encoding="utf-8")
    assert delimiter_of(tmp_path / "x.csv") == delimiter
    assert delimiter_of(tmp_path / "none.csv") == ","
    assert "semicolons" in delimiter_note(";")
