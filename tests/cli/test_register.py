"""`hf-transferability register`."""

from hf_transferability.cli import main


def test_register_prints_the_script(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path))
    assert main(["register"]) == 0
    said = capsys.readouterr()
    assert said.out.strip().endswith("transferability.py")  # a script can use it
    assert 'evaluate.load("transferability")' in said.err and "Next: hf-transferability demo" in said.err
