"""What stands in examples/cluster/ must be what Ray, KubeRay and we ourselves read.

Ray brings the schema of `ray up` files. That of KubeRay comes with its operator and with no package, so `RAY_JOB` says
what its v1 types say of the fields used here: their names and kinds, and which are needed.
"""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

from parefront.cli.sweep_file import check_submittable, read_sweep
from parefront.hardware_profiles import profile_names

FOLDER = Path(__file__).parent.parent / "examples" / "cluster"


def fields(needed: list[str], **known: Any) -> dict[str, Any]:
    return {"type": "object", "properties": known, "required": needed, "additionalProperties": False}


TEXT, WHOLE, TRUTH, ANYTHING = {"type": "string"}, {"type": "integer"}, {"type": "boolean"}, {"type": "object"}
TEXTS = {"type": "object", "additionalProperties": TEXT}
CONTAINER = {"type": "object", "required": ["name", "image"]}
POD = fields(
    ["spec"],
    metadata=ANYTHING,
    spec={"type": "object", "required": ["containers"], "properties": {"containers": {"items": CONTAINER}}},
)
HEAD = fields(["rayStartParams", "template"], rayStartParams=TEXTS, template=POD, serviceType=TEXT)
GROUP = fields(
    ["groupName", "minReplicas", "maxReplicas", "rayStartParams", "template"],
    groupName=TEXT,
    replicas=WHOLE,
    minReplicas=WHOLE,
    maxReplicas=WHOLE,
    rayStartParams=TEXTS,
    template=POD,
)
CLUSTER = fields(
    ["headGroupSpec"],
    headGroupSpec=HEAD,
    workerGroupSpecs={"type": "array", "items": GROUP},
    rayVersion=TEXT,
    enableInTreeAutoscaling=TRUTH,
)
RAY_JOB = fields(
    ["apiVersion", "kind", "metadata", "spec"],
    apiVersion={"const": "ray.io/v1"},
    kind={"const": "RayJob"},
    metadata={"type": "object", "required": ["name"]},
    spec=fields(
        ["rayClusterSpec"],
        entrypoint=TEXT,
        submissionMode={"enum": ["K8sJobMode", "HTTPMode", "InteractiveMode"]},
        shutdownAfterJobFinishes=TRUTH,
        ttlSecondsAfterFinished=WHOLE,
        backoffLimit=WHOLE,
        rayClusterSpec=CLUSTER,
    ),
)


def read(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text())


def offered(resources: str) -> set[str]:
    """The profiles whose devices a node offers, from what `ray start --resources` is given."""
    return {name.removeprefix("device:") for name in json.loads(resources)}


def test_ray_takes_the_cluster_as_it_stands() -> None:
    config = read("ray-cluster.yaml")
    # As `ray up` does: it puts the numbers of workers into a node type, then ray-schema.json counts.
    validate_config(prepare_config(config))
    (start,) = [command for command in config["worker_start_ray_commands"] if "--resources" in command]
    assert offered(start.partition("--resources='")[2].partition("'")[0]) <= set(profile_names())


def test_ray_refuses_what_it_does_not_know() -> None:
    with pytest.raises(jsonschema.ValidationError, match="setup_comands"):
        validate_config(prepare_config({**read("ray-cluster.yaml"), "setup_comands": []}))


def test_the_job_has_the_fields_of_kuberay() -> None:
    job = read("ray-job.yaml")
    jsonschema.validate(job, RAY_JOB)
    with pytest.raises(jsonschema.ValidationError, match="entrypoints"):
        jsonschema.validate({**job, "spec": {**job["spec"], "entrypoints": ""}}, RAY_JOB)
    (group,) = job["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    # KubeRay passes it on in a shell's quotes, so it is a JSON text within a JSON text.
    assert offered(json.loads(group["rayStartParams"]["resources"])) <= set(profile_names())


def test_every_mount_of_the_job_has_its_volume() -> None:
    cluster = read("ray-job.yaml")["spec"]["rayClusterSpec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        pod = group["template"]["spec"]
        mounted = {mount["name"] for container in pod["containers"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}


def test_both_want_the_same_ray() -> None:
    version = read("ray-job.yaml")["spec"]["rayClusterSpec"]["rayVersion"]
    assert any(f"ray[default,tune]=={version}" in command for command in read("ray-cluster.yaml")["setup_commands"])


def test_the_sweep_passes_all_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER)
    path = Path("sweep.yaml")
    plan, _ = read_sweep(path)
    check_submittable(path)
    assert len(plan.searches) == 2 * 2 * 3 * 2
