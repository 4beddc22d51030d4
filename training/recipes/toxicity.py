"""How likely each text is toxic, as a classifier of texts has it.

    python -m training.recipes.toxicity <folder>

    spec.json  {"method": "toxicity", "model": {"base": ...},
                "data": {"texts": "….jsonl", "labels": "….jsonl"}, "settings": {...}}

A line of the texts file is {"id": …, "text": …}, a line of the labels file the name of a label that means toxic. A line
of `<folder>/toxicity.jsonl` is {"id", "score", "label", "start", "end"}: how likely it is that any of these labels
holds, and the likeliest of them. Where a text may have several labels at once that is the likelihood of the likeliest;
where it has one of them, they exclude each other, and theirs are added up.

A text that is longer than the model can read is read in windows that overlap, and the worst one counts; `start` and
`end` say where that stands, in characters, and are null for a text of one window. Texts are read longest first, so
that those beside each other are alike, and if memory does not suffice that shows at once.

Left out: what stands behind the first 50,000 characters of a text, as in the other checks.
"""

import json
import math
import time
from pathlib import Path
from typing import Any

from training.methods.answers import TOXICITY_CHARACTERS
from training.recipes.contract import BadData, Failed, Job, Journal, main


def run(job: Job) -> dict[str, Any]:
    import torch

    from training.recipes import models, reading

    settings = job.settings

    texts = _texts(job.data("texts"))
    wanted = {json.loads(line) for line in Path(job.data("labels")).read_text(encoding="utf-8").splitlines() if line}
    model, tokenizer = reading.load(job.model.base)
    labels = reading.labels_of(model.config)
    toxic = [number for number, label in enumerate(labels) if label in wanted]
    if not toxic:
        raise BadData(f"The model has none of the labels that are to mean toxic: it knows {', '.join(labels[:20])}.")
    limit = min(settings.max_length, reading.longest(model, tokenizer) or settings.max_length)

    counts = {
        "read": len(texts),
        "kept": len(texts),
        "dropped": 0,
        "cut": sum(len(text) > TOXICITY_CHARACTERS for text in texts.values()),
    }
    if not any(line.get("event") == "rows" for line in job.metrics.read()):
        job.event("rows", **counts)

    written = Journal(job.folder / "toxicity.jsonl", writes=job.is_main)
    written.append()  # the file is there, though nothing may be left to read
    known = {row["id"] for row in written.keep(lambda row: True)}
    waiting = sorted((name for name in texts if name not in known), key=lambda name: -len(texts[name]))
    batches = [waiting[start : start + settings.batch_size] for start in range(0, len(waiting), settings.batch_size)]
    job.metrics.keep(lambda line: "event" in line)
    for number, batch in enumerate(batches, start=1):
        started = time.monotonic()
        parts = reading.windows(tokenizer, [texts[name][:TOXICITY_CHARACTERS] for name in batch], limit)
        flat = [window for part in parts for window in part]
        found: list[list[float]] = []
        for place in range(0, len(flat), settings.batch_size):
            job.stop.check()
            read = reading.probabilities(model, flat[place : place + settings.batch_size], tokenizer.pad_token_id)
            found += read[:, toxic].tolist()
        several = reading.holds_several(model.config)
        lines = []
        for name, part in zip(batch, parts, strict=True):
            mine, found = found[: len(part)], found[len(part) :]
            lines.append({"id": name, **_worst(part, mine, [labels[one] for one in toxic], several)})
        seconds = max(time.monotonic() - started, 1e-9)
        with job.stop.gently():
            written.append(*lines)
            speed = {"texts_per_second": len(batch) / seconds, "tokens_per_second": _tokens(flat) / seconds}
            job.metrics.append(
                {"step": number, "total": len(batches), **{name: round(value, 1) for name, value in speed.items()}}
            )
    job.stop.check()

    scores = [row["score"] for row in written.read()]
    if None in scores:  # what is no number is written as null
        raise Failed("The classifier gives some texts no probability: its weights are damaged, import it again.")
    return {
        "output": "toxicity.jsonl",
        "metrics": {
            "texts": len(scores),
            **({"highest": max(scores), "mean": sum(scores) / len(scores)} if scores else {}),
        },
        "rows": counts,
        "environment": models.environment(torch.float32),
    }


def _worst(windows: list[Any], found: list[list[float]], labels: list[str], several: bool) -> dict[str, Any]:
    """Of a text's windows, with how likely each toxic label is in each, the worst one."""
    if not windows:  # nothing in it that the model could read
        return {"score": 0.0, "label": labels[0], "start": None, "end": None}
    if any(math.isnan(value) for row in found for value in row):
        return {"score": math.nan, "label": "", "start": None, "end": None}
    totals = [max(row) if several else min(1.0, math.fsum(row)) for row in found]
    place = totals.index(max(totals))
    label = labels[found[place].index(max(found[place]))]
    window = windows[place] if len(windows) > 1 else None
    return {
        "score": round(totals[place], 6),
        "label": label,
        "start": window.start if window else None,
        "end": window.end if window else None,
    }


def _tokens(windows: list[Any]) -> int:
    return sum(len(window.ids) for window in windows)


def _texts(path: str) -> dict[Any, str]:
    """By id; none, if all were read or excluded before the run began."""
    if not Path(path).is_file():
        raise BadData("The texts file is not there: start a new run.")
    found = {}
    with Path(path).open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                row = json.loads(line)
                found[row["id"]] = str(row["text"])
            except (ValueError, KeyError, TypeError) as error:
                raise BadData(f'Line {number} of the texts is not {{"id", "text"}}: correct it.') from error
    return found


if __name__ == "__main__":
    main("toxicity", run)
