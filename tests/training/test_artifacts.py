"""Machines that share no folder: what one made arrives at another whole, and is checked."""

import shutil

import fsspec
import pytest
from moto.server import ThreadedMotoServer

from tests.training.making import a_model, an_edit, claimed, succeeds
from training import artifacts, registry, runner, runs, snapshots
from training.models import ModelVersion, Run

pytestmark = pytest.mark.django_db


@pytest.fixture
def store(settings, tmp_path):
    settings.STORE = str(tmp_path / "store")
    return tmp_path / "store"


@pytest.fixture(scope="module")
def amazon():
    """A server that speaks as S3 does, with one bucket."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    address, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", f"http://{address}:{port}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
            environment.setenv(name, "anything")
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        fsspec.filesystem("s3").mkdir("bucket")
        yield
        fsspec.filesystem("s3").clear_instance_cache()
    server.stop()


@pytest.fixture
def elsewhere(settings, tmp_path):
    """From now on we are another machine, with nothing on its disk."""

    def move() -> None:
        settings.ARTIFACTS = tmp_path / "elsewhere"

    return move


@pytest.fixture
def made(store, project, bob) -> Run:
    """A run that has succeeded on one machine."""
    an_edit(bob)
    snapshot = snapshots.freeze(project=project, kind="demonstrations")
    return succeeds(runs.start(project=project, method="sft", base=a_model(project), snapshot=snapshot))


def test_a_model_and_its_data_arrive_at_another_machine(made, elsewhere):
    version = made.model_version
    before = (version.path / "weights").read_text()
    elsewhere()
    assert not version.path.exists()
    registry.bring(version)
    assert (version.path / "weights").read_text() == before
    assert registry.folder_hash(version.path) == version.sha256
    assert snapshots.is_intact(made.snapshot)
    assert [one.name for one in version.path.parent.iterdir()] == ["model"]  # nothing half is left


@pytest.mark.parametrize("address", ["memory://touchstone", "s3://bucket/touchstone"])
def test_a_store_may_be_any_address_that_fsspec_knows(address, settings, amazon, project, bob, elsewhere):
    settings.STORE = address
    an_edit(bob)
    snapshot = snapshots.freeze(project=project, kind="demonstrations")
    run = succeeds(runs.start(project=project, method="sft", base=a_model(project), snapshot=snapshot))
    version = run.model_version
    elsewhere()
    assert not snapshot.path.exists()
    assert [row["labels"] for row in snapshots.read(snapshot)] == [list(snapshot.labels.values_list("pk", flat=True))]
    registry.bring(version)
    assert registry.folder_hash(version.path) == version.sha256
    artifacts.forget(version.path, version.location)
    registry.bring(version)
    assert not version.path.exists()


def test_what_another_machine_kept_since_the_last_look_arrives_from_s3(settings, amazon, tmp_path):
    """s3fs remembers what it has listed."""
    settings.STORE, settings.ARTIFACTS = "s3://bucket/looked", tmp_path / "here"
    system = fsspec.filesystem("s3")
    system.pipe_file("bucket/looked/models/1/weights", b"one")
    system.ls("bucket/looked/models")
    another = fsspec.filesystem("s3", use_listings_cache=False, skip_instance_cache=True)
    another.pipe_file("bucket/looked/models/2/weights", b"two")
    artifacts.bring("models/2")
    assert (tmp_path / "here/models/2/weights").read_bytes() == b"two"


def test_a_damaged_file_in_s3_does_not_arrive(settings, amazon, project, bob, elsewhere):
    settings.STORE = "s3://bucket/damaged"
    an_edit(bob)
    snapshot = snapshots.freeze(project=project, kind="demonstrations")
    fsspec.filesystem("s3").pipe_file(f"bucket/damaged/{snapshot.folder}/train.parquet", b"something else")
    elsewhere()
    assert not snapshots.is_intact(snapshot)
    assert not snapshot.path.exists()


def test_what_is_not_what_was_kept_does_not_arrive(made, store, elsewhere):
    version = made.model_version
    (store / version.location / "weights").write_text("something else")
    elsewhere()
    with pytest.raises(artifacts.Damaged, match="its hash is another"):
        registry.bring(version)
    assert not version.path.exists()
    parquet = store / made.snapshot.folder / "train.parquet"
    parquet.write_bytes(parquet.read_bytes()[:-9])
    assert not snapshots.is_intact(made.snapshot)
    assert not made.snapshot.path.exists()


def test_a_name_in_the_store_leads_nowhere(settings, tmp_path):
    settings.STORE, settings.ARTIFACTS = "memory://hostile", tmp_path / "here"
    system = fsspec.filesystem("memory")
    system.pipe_file("/hostile/models/1/weights", b"x")
    system.store["/hostile/models/1/../../../outside"] = system.store["/hostile/models/1/weights"]
    with pytest.raises(artifacts.Damaged, match="leads out of it"):
        artifacts.bring("models/1")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_worker_elsewhere_ends_a_run_whose_model_is_damaged_with_the_reason(made, store, elsewhere):
    version = made.model_version
    (store / version.location / "weights").unlink()
    run = runs.start(project=made.project, method="generate", base=version)
    elsewhere()
    ended = runner.execute(claimed(run))
    assert (ended.status, ended.reason) == ("failed", "missing_base")


def test_what_nobody_kept_is_missing_as_ever(project, store, elsewhere):
    elsewhere()
    registry.bring(a_model(project))
    assert ModelVersion.objects.get().missing() is not None


def test_without_a_store_nothing_is_copied(settings, project, bob, tmp_path):
    assert settings.STORE == ""
    an_edit(bob)
    snapshot = snapshots.freeze(project=project, kind="demonstrations")
    shutil.rmtree(snapshot.path)
    assert not snapshots.is_intact(snapshot)
    assert not (tmp_path / "store").exists()
