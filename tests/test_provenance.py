"""Where a number comes from."""

from datetime import UTC, datetime

from hf_transferability import provenance


def test_versions_name_what_can_change_a_number():
    versions = provenance.package_versions()
    assert {"hf-transferability", "torch", "transformers", "numpy", "pillow"} <= set(versions)


def test_several_processes_are_counted():
    one = provenance.hardware("cpu")
    assert one.endswith("(cpu)")
    assert provenance.hardware("mps") == "mps"
    assert provenance.together([one, "mps", one]) == f"2 x {one} and mps"
    assert provenance.together([one]) == one


def test_the_date_is_in_utc():
    date = datetime.fromisoformat(provenance.now())
    assert abs((datetime.now(UTC) - date).total_seconds()) < 60
