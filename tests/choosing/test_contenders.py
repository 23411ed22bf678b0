"""Who is fine-tuned before a decision."""

from hf_transferability.choosing.contenders import contenders


def row(name: str, rank: int | None) -> dict:
    return {"checkpoint": name, "rank": rank, "score": 1.0 if rank is None else 1 - rank / 10}


ROWS = [*(row(name, place) for place, name in enumerate("abcde", 1)), row("dropped", None)]


def advice(tied: list[str], count: int | None) -> dict:
    return {"first": "a", "not_told_apart": tied, "fine_tune": count}


def names(tied: list[str], count: int | None) -> str:
    return "".join(contender.name for contender in contenders(ROWS, advice(tied, count)))


def test_the_tie_group_and_as_many_of_the_first_as_the_benchmarks_ask_for():
    assert names(["b", "c"], 2) == "abc"
    assert names(["b"], 4) == "abcd"
    assert names([], 1) == "a"
    assert names(["b", "c"], None) == "abc"
    assert [one.tied for one in contenders(ROWS, advice(["b"], 3))] == [True, True, False]
    assert contenders(ROWS, None) == [] == contenders([], advice([], 1))
