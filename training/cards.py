"""A model's card, written from what is on record about it, and the model as a folder that others can load."""

import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from django.core.exceptions import ValidationError

from training import registry
from training.models import ModelVersion
from training.models.registry import Format, ModelKind
from training.runs import method_of

UNKNOWN = "not on record"
DOES = {  # what a model does that writes nothing
    ModelKind.REWARD.value: "It gives an answer a score; it writes nothing.",
    ModelKind.CLASSIFIER.value: "It says which labels a text has; it writes nothing.",
}


def card(version: ModelVersion, scores: Iterable[tuple[str, str]] = ()) -> str:
    """Markdown in the hub's form. `scores`: names and values of what was measured."""
    base = version.full_weights()
    licence = base.card.get("licence") or UNKNOWN
    lines = [
        "---",
        f"library_name: {'peft' if version.format == Format.ADAPTER else 'transformers'}",
        *([f"base_model: {json.dumps(base.name)}"] if base != version else []),
        *([f"license: {json.dumps(licence)}"] if licence != UNKNOWN else []),
        "---",
        "",
        f"# {_plain(version.name)}",
        "",
        f"{version.get_kind_display()}, {version.get_format_display().lower()}.",
        *([DOES[version.kind]] if version.kind in DOES else []),
        "",
        "| | |",
        "|---|---|",
        f"| Base | {_plain(base.name)} |",
        f"| Licence of the base | {_plain(licence)} |",
        f"| Made | {version.created_at:%Y-%m-%d} |",
        f"| SHA-256 | {version.sha256 or UNKNOWN} |",
        f"| Labels behind it | {registry.labels_behind(version).count()} |",
        f"| People behind them | {len(registry.people_behind(version))} |",
    ]
    for ancestor in version.ancestry():
        lines += _made(ancestor)
    lines += ["", "## Evaluation", ""]
    measured = [f"- {_plain(name)}: {_plain(value)}" for name, value in scores]
    return "\n".join([*lines, *(measured or ["Nothing was measured."]), ""])


def _made(version: ModelVersion) -> list[str]:
    """How one of the line was made: method, data, settings."""
    run = version.run
    if run is None or run.method == "convert":
        return []
    lines = ["", f"## {_plain(version.name)}: {method_of(run.method).title}", "", "| | |", "|---|---|"]
    facts: dict[str, Any] = {"Run": run.pk, "Seed": run.seed}
    if run.snapshot is not None:
        counts = run.snapshot.counts
        languages = ", ".join(f"{name or 'not said'} {n}" for name, n in counts.get("languages", {}).items())
        facts |= {"Data": f"{run.snapshot.get_kind_display()}, {counts.get('rows', '?')} rows", "Languages": languages}
        facts["SHA-256 of the data"] = run.snapshot.sha256
        if source := run.snapshot.source:
            facts |= {"Made of the file": source["file"], "SHA-256 of the file": source["file_sha256"]}
    facts |= {f"`{name}`": value for name, value in run.used_settings.items()}
    facts |= {name: run.environment[name] for name in ("commit", "torch", "trl", "device") if name in run.environment}
    return [*lines, *(f"| {name} | {_plain(value)} |" for name, value in facts.items())]


def _plain(value: Any) -> str:
    """In a table's cell, on one line."""
    return " ".join(str(value).split()).replace("|", "\\|")


def export(version: ModelVersion, folder: Path, scores: Iterable[tuple[str, str]] = ()) -> None:
    """Write the model in Hugging Face's layout, its card as README.md, into a folder that is empty or not there yet.

    Raises ValidationError if the model is not on this machine or the folder holds something.
    """
    registry.bring(version)
    if version.missing() is not None:
        raise ValidationError(f"{version} is not where it was stored.")
    if folder.exists() and any(folder.iterdir()):
        raise ValidationError(f"{folder} is not empty.")
    shutil.copytree(version.path, folder, dirs_exist_ok=True)
    (folder / "README.md").write_text(card(version, scores))
    adapter = folder / "adapter_config.json"
    if adapter.exists():  # where the base lies on this machine means nothing elsewhere
        config = json.loads(adapter.read_text())
        config["base_model_name_or_path"] = version.full_weights().name
        adapter.write_text(json.dumps(config, indent=2))


def packed(version: ModelVersion, scores: Iterable[tuple[str, str]] = ()) -> IO[bytes]:
    """The same as an open zip file, which is gone once it is closed. Weights do not compress, so nothing is."""
    with tempfile.TemporaryDirectory(prefix="export-", dir=registry.store()) as made:
        folder = Path(made) / "model"
        export(version, folder, scores)
        whole = tempfile.TemporaryFile(dir=registry.store())  # noqa: SIM115  (the answer closes it)
        with zipfile.ZipFile(whole, "w", zipfile.ZIP_STORED) as archive:
            for path in sorted(path for path in folder.rglob("*") if path.is_file()):
                archive.write(path, f"{version.name}/{path.relative_to(folder)}")
    whole.seek(0)
    return whole
