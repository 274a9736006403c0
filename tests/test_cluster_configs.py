"""The files of configs/cluster/ are valid: Ray's own cluster schema, a RayJob's required keys, bash."""

import json
import re
import shlex
import subprocess
import sys
import threading
import tomllib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from models.core.schema import check_document, read_document
from search.config.study import SearchConfig, read_search
from search.launch.ray_jobs import SEARCH, entrypoint, stage
from tests.support.packages import refused, shell
from tests.support.ray_nodes import ENVIRONMENT

FAR = "s3://bucket/amp/held.json?endpoint_override=127.0.0.1:9000&scheme=http"
pytestmark = pytest.mark.ray
ROOT = Path(__file__).parent.parent / "configs" / "cluster"


def test_the_token_is_made_in_a_new_account_for_its_user_alone(tmp_path: Path):
    (command,) = re.findall(r"`(.*token_hex.*?)`", (ROOT / "README.md").read_text())
    words = ["bash", "-euc", f"umask 022; {command}"]
    place = {"HOME": str(tmp_path), "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    subprocess.run(words, env=place, check=True, timeout=60)
    token = tmp_path / ".ray" / "auth_token"
    assert re.fullmatch(r"[0-9a-f]{64}\n", token.read_text())
    assert token.stat().st_mode & 0o777 == 0o600


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("name", ["hosts", "aws"])
def test_ray_up_accepts_the_config(name: str, monkeypatch: pytest.MonkeyPatch):
    from ray.autoscaler._private import util

    document = yaml.safe_load((ROOT / f"{name}.yaml").read_text())
    complete = util.prepare_config(document)
    util.validate_config(complete)
    if name == "hosts":
        assert complete["max_workers"] == 2
    for commands in ("head_start_ray_commands", "worker_start_ray_commands"):
        assert "RAY_AUTH_MODE=token" in document[commands][-1]
    assert "~/.ray/auth_token" in document["file_mounts"]
    with pytest.raises(Exception, match="cluster_name"):
        util.validate_config({key: value for key, value in complete.items() if key != "cluster_name"})


@pytest.mark.parametrize("name", ["hosts", "aws"])
def test_jobs_find_the_python_that_is_set_up(name: str, tmp_path: Path):
    """Ray and all that it starts search PATH; a shell that nobody activated anything in has none of it there."""
    for program, body in (("ray", 'command -v python; printf "%s\\n" "$@"'), ("python", "")):
        (tmp_path / "zoo" / "bin").mkdir(parents=True, exist_ok=True)
        (tmp_path / "zoo" / "bin" / program).write_text(f"#!/bin/bash\n{body}\n")
        (tmp_path / "zoo" / "bin" / program).chmod(0o755)
    document = yaml.safe_load((ROOT / f"{name}.yaml").read_text())
    for commands in ("head_start_ray_commands", "worker_start_ray_commands"):
        done = subprocess.run(
            ["bash", "-c", document[commands][-1]],
            env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "RAY_HEAD_IP": "192.0.2.1"},
            capture_output=True,
            text=True,
            check=True,
        )
        python, start, *_ = done.stdout.splitlines()
        assert (python, start) == (str(tmp_path / "zoo" / "bin" / "python"), "start")
    (install,) = document["setup_commands"]
    needed = tomllib.loads((ROOT.parents[1] / "pyproject.toml").read_text())["project"]["dependencies"]
    words = [re.split(r"[\[<>=]", word)[0] for word in shlex.split(install)]
    assert {re.split(r"[\[<>=]", dependency)[0] for dependency in needed} <= set(words)


@pytest.mark.parametrize("name", ["hosts.yaml", "aws.yaml", "kuberay.yaml", "slurm.sh"])
def test_heads_notice_soon_that_a_node_is_silent(name: str):
    """With the settings that the tests' own nodes have; of three, a missing one would leave it at a minute."""
    wanted = {setting for setting in ENVIRONMENT if setting.startswith("RAY_health_check") and "initial" not in setting}
    assert len(wanted) == 3 and all(setting in (ROOT / name).read_text() for setting in wanted)


def test_the_ray_job_has_what_kuberay_asks_for():
    job = yaml.safe_load((ROOT / "kuberay.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    cluster = job["spec"]["rayClusterSpec"]
    assert cluster["authOptions"]["mode"] == "token"
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    for group in groups:
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        pod = group["template"]["spec"]
        mounts = {mount["name"] for container in pod["containers"] for mount in container["volumeMounts"]}
        assert mounts == {volume["name"] for volume in pod["volumes"]}
    assert len({container["image"] for group in groups for container in group["template"]["spec"]["containers"]}) == 1
    assert job["spec"]["backoffLimit"] > 0, "a job whose head is lost begins again"


@pytest.mark.parametrize("begun", [False, True])
def test_the_ray_job_goes_on_with_a_study_that_has_begun(begun: bool, tmp_path: Path):
    """Two shells read it: KubeRay's submitter puts it behind `ray job submit --`, which quotes the words for Ray's."""
    entrypoint = yaml.safe_load((ROOT / "kuberay.yaml").read_text())["spec"]["entrypoint"].replace(
        "/zoo/", f"{tmp_path}/"
    )
    if begun:
        (tmp_path / "studies" / "search").mkdir(parents=True)
        (tmp_path / "studies" / "search" / "study.json").touch()
    for name, body in (
        ("submit", f'{sys.executable} -c "import shlex, sys; print(shlex.join(sys.argv[1:]))" "$@"'),
        ("zoo", 'echo "$@"'),
    ):
        (tmp_path / name).write_text(f"#!/bin/bash\n{body}\n")
        (tmp_path / name).chmod(0o755)
    found = f"submit {entrypoint} ;"
    for reader in ("bash", "sh"):
        done = subprocess.run(
            [reader, "-c", found], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True, text=True, check=True
        )
        found = done.stdout
    wanted = ["search", f"{tmp_path}/search.json", "--out", f"{tmp_path}/studies/search", "--address", "auto"]
    assert shlex.split(found) == wanted + ["--resume"] * begun


@pytest.mark.parametrize("nodes", [1, 3])
def test_the_slurm_script_starts_a_head_and_the_other_nodes_and_goes_on_with_a_study(nodes: int, tmp_path: Path):
    script = ROOT / "slurm.sh"
    subprocess.run(["bash", "-n", script], check=True)
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "study.json").touch()
    calls = tmp_path / "calls"
    for name, body in (
        ("python", "echo 10.0.0.1"),
        ("ray", f'echo "ray $@" >> {calls}'),
        ("srun", f'echo "srun $1 $2 $3" >> {calls}; shift 3; "$@"'),
        ("zoo", f'while (({nodes} > 1)) && ! grep -q block {calls}; do sleep .1; done; echo "zoo $@" >> {calls}'),
    ):
        (tmp_path / name).write_text(f"#!/bin/bash\n{body}\n")
        (tmp_path / name).chmod(0o755)
    slurm = {"SLURM_JOB_ID": "70042", "SLURM_JOB_NUM_NODES": str(nodes), "SLURM_CPUS_PER_TASK": "4"}
    subprocess.run(
        ["bash", script, "search.json", tmp_path / "study", "--json"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "SLURMD_NODENAME": "one", **slurm},
        check=True,
    )
    lines = calls.read_text().splitlines()
    assert lines[0].startswith("ray start --head --node-ip-address=10.0.0.1 --port=20042 --temp-dir=/tmp/zoo-70042")
    assert lines[-1] == f"zoo search search.json --out {tmp_path}/study --address 10.0.0.1:20042 --resume --json"
    others = [
        f"srun --nodes={nodes - 1} --ntasks={nodes - 1} --exclude=one",
        "ray start --address=10.0.0.1:20042 --num-cpus=4 --disable-usage-stats --block",
    ]
    assert lines[1:-1] == (others if nodes > 1 else [])


def test_a_job_is_submitted_with_the_token_of_the_cluster(tmp_path: Path):
    class Dashboard(BaseHTTPRequestHandler):
        """Of a cluster with a token, which lets nobody in for another reason too."""

        def do_GET(self) -> None:
            admitted = self.headers.get("Authorization") == f"Bearer {token}"
            self.send_error(500, "too busy") if admitted else self.send_error(401, "Unauthorized")

        def log_message(self, format: str, *words: object) -> None:
            pass

    token = "0123456789abcdef" * 4
    config = tmp_path / "search.json"
    config.write_text(json.dumps({"name": "s", "datasets": [{"name": "a", "train": FAR, "held": FAR}]}))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Dashboard)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    words = ("search", config, "--submit", f"http://127.0.0.1:{server.server_port}")
    try:
        refused(shell(*words, HOME=str(tmp_path)), 1, "asks for the cluster's token", "auth_token")
        (tmp_path / ".ray").mkdir()
        (tmp_path / ".ray" / "auth_token").write_text(token)
        assert "too busy" in shell(*words, HOME=str(tmp_path)).err
    finally:
        server.shutdown()
        server.server_close()


def test_a_job_carries_code_and_config_and_no_audio(tmp_path: Path):
    data = {"name": "a", "train": "/shared/train.json", "held": FAR}
    config = check_document({"name": "s", "datasets": [data]}, SearchConfig, "test")
    stage(config, tmp_path)
    assert read_document(tmp_path / SEARCH, SearchConfig) == config
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {".py", ".json", ".typed", ".html", ".css", ".js", ".svg"}
    assert sum(path.stat().st_size for path in files) < 3 << 20
    command = shlex.split(entrypoint(Path("/shared/study"), resume=True, storage=FAR))
    assert command[-2:] == ["--storage", FAR]
    code = command[: command.index("search")]
    helped = subprocess.run([*code, "search", "--help"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert helped.returncode == 0, helped.stderr
    assert all(word in helped.stdout for word in command if word.startswith("--"))
    (staged,) = json.loads((tmp_path / SEARCH).read_text())["datasets"]
    assert (staged["train"], staged["held"]) == ("/shared/train.json", FAR)
    assert read_search(tmp_path / SEARCH) == config, "whole paths and URIs are the same from any folder"
