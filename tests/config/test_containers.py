"""What deploys Touchstone in containers is valid, and as locked up as it says."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

DOCKER = Path(__file__).parents[2] / "docker"
MANIFESTS = sorted(path for path in (DOCKER / "kubernetes").glob("*.yaml") if path.name != "kustomization.yaml")
SUPPORTED = ["1.29", kubernetes_validate.latest_version()]  # the schemas come in the package


def objects() -> Iterator[dict[str, Any]]:
    for path in MANIFESTS:
        yield from yaml.safe_load_all(path.read_text())


def pods() -> dict[str, dict[str, Any]]:
    """The pods that are made, by what makes them: `Deployment web`."""
    found = {}
    for each in objects():
        spec = each["spec"].get("jobTemplate", {}).get("spec", each["spec"])
        if "template" in spec:
            found[f"{each['kind']} {each['metadata']['name']}"] = spec["template"]
    return found


@pytest.mark.parametrize("version", SUPPORTED)
def test_every_manifest_is_valid(version):
    for each in objects():
        kubernetes_validate.validate(each, version, strict=True)


def test_a_misspelt_manifest_is_not():
    (service,) = (each for each in objects() if each["kind"] == "Service")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**service, "specs": service["spec"]}, SUPPORTED[0], strict=True)


def test_kustomize_takes_every_manifest():
    listed = yaml.safe_load((DOCKER / "kubernetes" / "kustomization.yaml").read_text())
    assert sorted(listed["resources"]) == [path.name for path in MANIFESTS]
    images = {container["image"] for pod in pods().values() for container in pod["spec"]["containers"]}
    assert images == {image["name"] for image in listed["images"]}


def test_every_pod_is_nobody_and_has_limits_and_takes_its_secrets_by_reference():
    assert pods().keys() == {"Deployment web", "Deployment queue", "Deployment gpu", "Job migrate", "CronJob backup"}
    for name, pod in pods().items():
        spec = pod["spec"]
        (container,) = spec["containers"]
        assert spec["securityContext"]["runAsNonRoot"], name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not spec["automountServiceAccountToken"], name
        assert not container["securityContext"]["allowPrivilegeEscalation"], name
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}, name
        assert container["securityContext"].get("readOnlyRootFilesystem") or name == "Deployment gpu", name
        assert "memory" in container["resources"]["limits"], name
        assert {"secretRef": {"name": "touchstone"}} in container["envFrom"], name
        assert "env" not in container, f"{name}: settings come from the config map and the secret"


def test_names_lead_somewhere():
    claims = {each["metadata"]["name"] for each in objects() if each["kind"] == "PersistentVolumeClaim"}
    labels = [pod["metadata"]["labels"] for pod in pods().values()]
    for name, pod in pods().items():
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        used = {mount["name"] for mount in pod["spec"]["containers"][0]["volumeMounts"]}
        assert used == volumes.keys(), name
        for volume in volumes.values():
            assert volume.get("persistentVolumeClaim", {"claimName": "store"})["claimName"] in claims, name
    for each in objects():
        selector = each["spec"].get("selector") or each["spec"].get("podSelector") or {}
        wanted = selector.get("matchLabels", selector)
        assert any(wanted.items() <= label.items() for label in labels), each["metadata"]["name"]


def test_the_web_server_is_asked_what_it_answers(client):
    (container,) = pods()["Deployment web"]["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"http": 8000}
    assert "0.0.0.0:8000" in (DOCKER / "web.sh").read_text()
    probes = {container[probe]["httpGet"]["path"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert probes == {"/health/live", "/health/ready"}
    assert container["livenessProbe"]["httpGet"]["path"] == "/health/live", "a database that is away restarts nobody"
    assert client.get("/health/live").status_code == 200


def test_a_page_gets_its_files_from_the_server_that_gave_it():
    """Two releases have other files, or none, under the names that a page of one of them uses."""
    (web,) = (each for each in objects() if each["kind"] == "Deployment" and each["metadata"]["name"] == "web")
    (ingress,) = (each for each in objects() if each["kind"] == "Ingress")
    assert web["spec"]["replicas"] > 1
    assert ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/affinity"] == "cookie"


def test_a_gpu_worker_has_a_device_and_no_more_than_the_devices_at_an_upgrade():
    gpu = next(each for each in objects() if each["metadata"]["name"] == "gpu")
    (container,) = pods()["Deployment gpu"]["spec"]["containers"]
    assert (
        container["resources"]["limits"]["nvidia.com/gpu"] == container["resources"]["requests"]["nvidia.com/gpu"] == 1
    )
    assert gpu["spec"]["strategy"]["rollingUpdate"]["maxSurge"] == 0


def test_the_user_of_the_pods_is_the_images():
    for image in ("web", "worker"):
        lines = (DOCKER / f"{image}.Dockerfile").read_text().splitlines()
        assert "USER 10001" in lines
    assert {pod["spec"]["securityContext"]["runAsUser"] for pod in pods().values()} == {10001}


def test_the_folders_that_compose_mounts_volumes_on_belong_to_the_user():
    """Docker makes a folder that the image lacks for root, and then nothing can be written into the volume."""
    services = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]
    ours = [service for service in services.values() if service["image"].startswith("touchstone-")]
    image = (DOCKER / "web.Dockerfile").read_text()
    for folder in {volume.split(":")[1] for service in ours for volume in service["volumes"]}:
        assert f"--home-dir {folder} --create-home" in image or f"install -d -o touchstone -m 700 {folder}" in image
