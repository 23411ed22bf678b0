"""The page as programs see it: typed functions over gradio_client, and nothing of one visitor in another's answer."""

import gc
import json
import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from hf_transferability.benchmark import bundled
from hf_transferability.cli import main
from hf_transferability.reporting import benchmark_words
from hf_transferability.space import benchmark_tab, links, worker

gradio_client = pytest.importorskip("gradio_client")
ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.filterwarnings("ignore")  # Gradio's own


@pytest.fixture(scope="module")
def client(address):
    found = gradio_client.Client(address, verbose=False)
    yield found
    found.close()
    gc.collect()  # what clients leave open is told here, where such warnings are ignored


def until(true):
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


ASKED = (
    "dataset", "checkpoints", "sample_size", "scenario", "metric", "label_column", "image_column", "group_column",
    "class_level", "split", "window", "keep_masks",
)  # fmt: skip


def test_public_functions_are_typed(client):
    endpoints = client.view_api(return_format="dict")["named_endpoints"]
    assert set(endpoints) == {"/rank_checkpoints", "/lookup_benchmark", "/list_candidates", "/explain"}
    inputs = {each["parameter_name"]: each for each in endpoints["/rank_checkpoints"]["parameters"]}
    assert list(inputs) == [*ASKED]
    assert inputs["sample_size"]["parameter_default"] == 200


def test_checkpoints_of_a_hub_are_ranked(client, at_hub, tmp_path):
    at_hub.requests.clear()
    job = client.submit("alice/data", ["alice/one", "alice/two"], 36, "auto", "transferability", api_name="/rank_checkpoints")
    document = job.result(120)
    assert {row["checkpoint"] for row in document["rows"]} == {"alice/one", "alice/two"}
    assert all(row["error"] is None and len(row["revision"]) == 40 for row in document["rows"])
    assert document["dataset"]["images"] == 36
    assert not any(request.authenticated for request in at_hub.requests)
    assert not at_hub.leaks()


def test_a_dataset_that_needs_its_columns_named_is_ranked(client, at_hub, quick_work):
    """Two columns of images and of labels, and patients; without the options the dataset is refused."""
    document = client.predict(
        "alice/columns",
        ["alice/one"],
        24,
        "auto",
        "knn",
        "finding",
        "scan",
        "patient",
        0,
        "later",
        api_name="/rank_checkpoints",
    )
    where = document["dataset"]
    assert (where["label_column"], where["image_column"], where["group_column"]) == ("finding", "scan", "patient")
    assert (where["split"], where["groups"]) == ("later", 8)
    line = "splits: earlier 24, later 24; used: later; 2 classes: no: 12 images, yes: 12; left out: nothing."
    assert where["account"]["line"] == line
    with pytest.raises(Exception, match="must be named"):
        client.predict("alice/columns", ["alice/one"], 24, api_name="/rank_checkpoints")
    with pytest.raises(Exception, match="must have LOW below HIGH"):
        client.predict("alice/data", ["alice/one"], 24, window="9,1", api_name="/rank_checkpoints")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("alice/data", ["alice/one"] * 7), "at most 6 checkpoints at once; got 7"),
        (("alice/data", ["alice/one"], 501), "12 to 500 images; got 501"),
        (("/etc", ["alice/one"]), "must be a Hub id"),
        (("alice/data", ["alice/private"]), "public repositories only"),
    ],
)
def test_bounds_reach_the_caller(client, at_hub, arguments, text):
    with pytest.raises(Exception, match=text):
        client.predict(*arguments, api_name="/rank_checkpoints")


def test_work_ends_when_its_client_goes(address, at_hub, quick_work):
    at_hub.faults.add("model.safetensors", delay=60)  # so that there is work for longer than the page needs to notice
    client = gradio_client.Client(address, verbose=False)
    client.submit("alice/data", ["alice/one"], 36, api_name="/rank_checkpoints")
    until(lambda: worker._running)
    ((process,),) = worker._running.values()
    client.close()
    until(lambda: not worker._running)
    assert process.poll() == -signal.SIGKILL


def test_the_benchmark_is_looked_up(client):
    found = client.predict("source_dataset", "nleep", "mean", api_name="/lookup_benchmark")
    means = {row["metric"]: row["weighted tau"] for row in found["agreement"]}
    assert means["nleep"] == pytest.approx(0.411, abs=0.001)
    assert len(found["pairs"]) == 154
    with pytest.raises(Exception, match="has no moon"):
        client.predict("source_dataset", "nleep", "moon", api_name="/lookup_benchmark")


def test_another_benchmark_is_looked_up(client):
    found = client.predict("source_dataset", "knn", benchmark="open", selection="mean_of_best_5", api_name="/lookup_benchmark")
    assert set(found["benchmarks"]) == set(bundled.with_table("scores"))
    assert (found["benchmark"], found["selection"]) == ("open", "mean_of_best_5")
    truth = (
        bundled.load("ground_truth", "open")
        .query("selection == 'mean_of_best_5'")
        .set_index(["source", "target"])["performance"]
    )
    assert {(pair["source"], pair["target"]) for pair in found["pairs"]} == set(truth.index)
    assert all(pair["performance"] == pytest.approx(truth[pair["source"], pair["target"]]) for pair in found["pairs"])
    with pytest.raises(Exception, match=r"`benchmark` must be one of paper, .*got 'moon'"):
        client.predict(benchmark="moon", api_name="/lookup_benchmark")


def test_candidates_are_listed_and_words_explained(client):
    found = client.predict("radiology", "100M", "", "", "", 5, api_name="/list_candidates")
    assert 0 < len(found["candidates"]) <= 5
    assert all(each["domain"] == "radiology" and each["parameters"] <= 10**8 for each in found["candidates"])
    assert found["unknown"] > 0
    assert client.predict("consensus", api_name="/explain").startswith("consensus (metric)")


@pytest.mark.parametrize(
    ("name", "values", "text"),
    [
        ("/rank_checkpoints", ("alice/data", ["alice/one"], "many"), r"`sample_size` must be a whole number.*got 'many'"),
        ("/rank_checkpoints", (["alice/data"], ["alice/one"]), r"`dataset` must be a text; got \['alice/data'\]"),
        ("/rank_checkpoints", ("alice/data", "alice/one"), r"`checkpoints` must be a list"),
        ("/rank_checkpoints", ("alice/data", ["alice/one"], 36, "auto", None), r"`metric` must be a text; got None"),
        ("/rank_checkpoints", ("file:///etc/passwd", ["alice/one"]), "must be a Hub id"),
        ("/rank_checkpoints", ("alice/data", ["../../etc"]), "must be a Hub id"),
        ("/rank_checkpoints", ("alice/data", ["http://a.example/x"]), "must be a Hub id"),
        ("/lookup_benchmark", ("architecture", 7), r"`metric` must be a text; got 7"),
        ("/list_candidates", ("moon",), "moon"),
        ("/list_candidates", ("", "much"), r"`max_parameters` must be a number of parameters such as 50M; got 'much'"),
        ("/list_candidates", ("", "", "", "", "", 0), r"`limit` must be a whole number, 1 or more; got 0"),
        ("/explain", ("tie_grupo",), "Did you mean tie_group"),
        ("/explain", (None,), r"`name` must be a text that is not empty; got None"),
    ],
)
def test_what_a_program_gives_wrongly_is_named(client, name, values, text):
    with pytest.raises(Exception, match=text):
        client.predict(*values, api_name=name)


def test_examples_of_the_guide_run(address, at_hub, quick_work, capsys):
    at_hub.faults.clear()
    guide = (ROOT / "docs" / "space.md").read_text("utf-8")
    examples = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    assert len(examples) == 2  # for gradio_client and for MCP
    for example in examples:
        for written, here in {
            "http://127.0.0.1:7860": address.rstrip("/"), "hf-vision/chest-xray-pneumonia": "alice/data",
            "microsoft/resnet-18": "alice/one", "timm/resnet18.a1_in1k": "alice/two", '"sample_size": 200': '"sample_size": 24',
            "sample_size=200": "sample_size=24",
        }.items():  # fmt: skip
            assert written in example or "sample_size" in written
            example = example.replace(written, here)
        exec(compile(example, "docs/space.md", "exec"), {})
        printed = capsys.readouterr().out
        assert "alice/one" in printed and "alice/two" in printed
        if "gradio_client" in example:
            assert re.search(r"^0\.\d+$", printed, re.MULTILINE)
            assert "tie_group (column)" in printed


def test_what_a_chosen_benchmark_lacks_is_replaced_on_the_page():
    name, scenario, selection, metric, target = view = benchmark_tab.existing("open", "architecture", "moon", "moon", "moon")
    assert (name, scenario, selection, target) == ("open", "source_dataset", "mean_of_best_5", "mean")
    *_, link, summary, table, legend, _, _, _, overview = benchmark_tab.look("open", "architecture", "moon", "moon", "moon")
    assert benchmark_words.method(metric) in set(table.data["method"])
    assert "**agreement**" in legend
    assert "open datasets" in summary
    assert links.looked_up(links.asked(link)) == list(view)
    assert "in all bundled benchmarks" in overview


def told(address, *calls):
    """What an MCP client is told: the page's tools by name, and its answers to calls of a name and arguments."""
    pytest.importorskip("mcp", reason="mcp is not installed: pip install 'hf-transferability[space]'")
    import anyio
    from mcp import ClientSession
    from mcp.client.streamable_http import streamablehttp_client

    async def talk():
        async with (
            streamablehttp_client(f"{address}gradio_api/mcp/") as (reader, writer, _),
            ClientSession(reader, writer) as session,
        ):
            await session.initialize()
            tools = {tool.name: tool for tool in (await session.list_tools()).tools}
            return tools, *[await session.call_tool(*call) for call in calls]

    return anyio.run(talk)


def of_json(answer):
    """The answer of a tool as an MCP client without Python reads it: one text of strict JSON."""

    def refuse(constant):
        pytest.fail(f"{constant} is no JSON")

    (content,) = answer.content
    assert not answer.isError
    return json.loads(content.text, parse_constant=refuse)


def test_functions_are_tools_for_mcp_clients(address, at_hub):
    wanted = {"scenario": "architecture", "metric": "leep", "target": "bloodmnist"}
    tools, looked_up, short, refused, listed, explained = told(
        address,
        ("lookup_benchmark", wanted),
        ("lookup_benchmark", wanted | {"target": "mean", "pairs": False}),
        ("rank_checkpoints", {"dataset": "/etc", "checkpoints": ["alice/one"]}),
        ("list_candidates", {"domain": "pathology", "limit": 3}),
        ("explain", {"name": "tie_group"}),
    )
    assert len(of_json(listed)["candidates"]) == 3
    assert "(column)" in explained.content[0].text
    assert set(tools) == {"rank_checkpoints", "lookup_benchmark", "list_candidates", "explain"}
    inputs = tools["rank_checkpoints"].inputSchema["properties"]
    assert set(inputs) == {*ASKED}
    assert inputs["checkpoints"]["items"]["type"] == "string"
    assert "public" in inputs["dataset"]["description"]
    assert "without fine-tuning" in tools["rank_checkpoints"].description
    assert {pair["target"] for pair in of_json(looked_up)["pairs"]} == {"bloodmnist"}
    assert "pairs" not in of_json(short) and len(short.content[0].text) < 4000
    assert refused.isError
    assert "must be a Hub id" in refused.content[0].text


def test_tools_are_described_in_whole_sentences(address):
    """Gradio shows of each argument's description its first line only."""
    (tools,) = told(address)
    for tool in tools.values():
        assert tool.description.endswith(".") and ". Returns: " in tool.description
        for name, schema in tool.inputSchema["properties"].items():
            assert schema["description"].endswith("."), (tool.name, name)


def test_an_mcp_client_ranks_checkpoints_of_a_hub(address, at_hub, quick_work):
    """One of which cannot be loaded; the answer is what the command line writes."""
    asked = {"dataset": "alice/data", "checkpoints": ["alice/two", "alice/broken", "alice/one"], "sample_size": 36}
    _, answer, by_knn = told(
        address,
        ("rank_checkpoints", asked),
        ("rank_checkpoints", asked | {"checkpoints": ["alice/two", "alice/one"], "metric": "knn"}),
    )
    document = of_json(answer)
    *ranked, failed = document["rows"]
    assert [row["rank"] for row in ranked] == [1, 2]
    assert {row["checkpoint"] for row in ranked} == {"alice/one", "alice/two"}
    assert [row["score"] for row in ranked] == sorted((row["score"] for row in ranked), reverse=True)
    assert failed["checkpoint"] == "alice/broken" and failed["score"] is failed["rank"] is None
    assert "config.json" in failed["error"]
    shown = {"interval", "tie_group", "first_share", "consensus", "transferability", "feature_quality", "logme", "parameters"}
    for row in ranked:
        assert shown <= {name for name, value in row.items() if value is not None}
        assert "pool_of_two" in row["flags"]
        assert row["score"] == row["consensus"] and row["error"] is None
    assert document["advice"]["first"] == ranked[0]["checkpoint"]
    assert document["dataset"]["account"]["classes"] == {"class 0": 12, "class 1": 12, "class 2": 12}
    assert not any(marks in answer.content[0].text for marks in ("<div", "<img", "base64", "/tmp", '"path"'))
    assert len(answer.content[0].text) < 12_000  # some thousand of an agent's tokens
    (first, second) = of_json(by_knn)["rows"]
    assert first["score"] == first["knn"] >= second["knn"] == second["score"]


def test_the_app_unpacks_the_wheel_that_lies_beside_it(tmp_path):
    (tmp_path / "app.py").write_bytes((ROOT / "space" / "app.py").read_bytes())
    with zipfile.ZipFile(tmp_path / "hf_transferability-9-py3-none-any.whl", "w") as wheel:
        wheel.writestr("hf_transferability/__init__.py", "")
        wheel.writestr("hf_transferability/space/__init__.py", "")
        wheel.writestr("hf_transferability/space/page.py", "def launch():\n    print('started from the wheel')\n")
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "app.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )  # fmt: skip
    assert done.stdout == "started from the wheel\n", done.stderr


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["space", "--wheel", "x.whl"], "need --publish"),
        (["register", "--private"], "need --publish"),
        (["space", "--port", "70000"], "from 1 to 65535"),
        (["space", "--publish", "name"], "must be a Space's OWNER/NAME"),
    ],
)
def test_wrong_usage_of_the_command_is_status_2(capsys, words, text):
    try:
        status = main(words)
    except SystemExit as end:
        status = end.code
    assert status == 2
    assert text in capsys.readouterr().err


def test_without_gradio_the_command_says_how_to_install_it(capsys, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["space"]) == 2
    assert "pip install 'hf-transferability[space]'" in capsys.readouterr().err
