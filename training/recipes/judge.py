"""Asking a model behind an endpoint which of two answers is better, twice, with the sides swapped.

    python -m training.recipes.judge <folder>

    spec.json  {"method": "judge", "seed": 17, "endpoint": {"url": ..., "model": ...},
                "data": {"pairs": "….jsonl", "instructions": "what the judge is told"}, "settings": {...}}

A line of the pairs is {"id", "messages", "first", "second"}: a conversation and two answers to it. A line of
`<folder>/verdicts.jsonl` is {"id", "swapped", "verdict", "text", "tokens"}: what was said with the first answer shown
as A (or, `swapped`, as B), and which answer that prefers: "first", "second" or "tie"; null if it could not be read, or
if the endpoint refused the pair, as it does with one that is too long. Both lines of a pair are written together: a run
that was stopped goes on with the next pair. Once `most_tokens` are spent, as the endpoint counts them, no further pair
is asked.

What each answer says stands between lines with a mark that hangs on all that is said in the pair, so that no answer can
hold its own; an answer may still talk a judge round (Zheng et al. 2023,
"Judging LLM-as-a-Judge with MT-Bench and Chatbot Arena", section 3, has what else such judges fall for).

Left out: judges with weights here, for one that is small enough agrees with people hardly more than a coin.
"""

import hashlib
import json
import platform
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from training.recipes.contract import BadData, Job, Journal, main

MARK = re.compile(r"\[\[\s*(A|B|C)\s*\]\]", re.I)
CHARACTERS = 4  # about so many make a token, where the endpoint does not count


def run(job: Job) -> dict[str, Any]:
    from training.recipes import endpoint

    settings = job.settings
    if job.spec.endpoint is None:
        raise BadData("No endpoint was chosen: choose the model that is to judge.")
    there = endpoint.Endpoint(job.spec.endpoint.url, job.spec.endpoint.model)
    asked, instructions = pairs(job.data("pairs")), job.data("instructions")
    counts = {"read": len(asked), "kept": len(asked), "dropped": 0, "cut": 0, "longest_tokens": 0}
    if not any(line.get("event") == "rows" for line in job.metrics.read()):
        job.event("rows", **counts)

    def ask(pair: dict[str, Any], swapped: bool) -> dict[str, Any]:
        messages = question(instructions, pair, swapped=swapped, seed=job.spec.seed)
        line = {"id": pair["id"], "swapped": swapped, "verdict": None, "text": "", "tokens": 0}
        try:
            said = endpoint.patiently(
                there, job.stop, messages, max_tokens=settings.max_new_tokens, temperature=0, seed=job.spec.seed
            )
        except endpoint.Refused as error:
            return {**line, "refused": str(error)}
        characters = len(said.text) + sum(len(one["content"]) for one in messages)
        spent = said.read + said.tokens or characters // CHARACTERS
        return {**line, "verdict": verdict(said, swapped=swapped), "text": said.text, "tokens": spent}

    written = Journal(job.folder / "verdicts.jsonl", writes=job.is_main)
    said = {(row["id"], row["swapped"]) for row in written.read()}
    done = {name for name, swapped in said if (name, not swapped) in said}
    spent = sum(row["tokens"] for row in written.keep(lambda row: row["id"] in done))
    waiting, size = [pair for pair in asked if pair["id"] not in done], settings.batch_size // 2
    for batch in (waiting[start : start + size] for start in range(0, len(waiting), size)):
        job.stop.check()
        if spent >= settings.most_tokens:
            break
        with ThreadPoolExecutor(2 * len(batch)) as pool:
            asking = [pool.submit(ask, pair, swapped) for pair in batch for swapped in (False, True)]
            rows = [one.result() for one in asking]
        if not done and all("refused" in row for row in rows):  # the address, or the settings, and not one pair
            raise BadData(rows[0]["refused"])
        with job.stop.gently():
            written.append(*rows)
            done |= {pair["id"] for pair in batch}
            spent += sum(row["tokens"] for row in rows)
            job.metrics.append({"step": len(done), "total": len(asked), "tokens": spent})
    job.stop.check()

    unread = sum(row["verdict"] is None for row in written.read())
    return {
        "output": "verdicts.jsonl",
        "metrics": {"pairs": len(done), "not_asked": len(asked) - len(done), "unreadable": unread, "tokens": spent},
        "rows": counts,
        "environment": {"python": platform.python_version(), "endpoint": there.url, "model": there.model},
    }


def pairs(path: str) -> list[dict[str, Any]]:
    if not Path(path).is_file():
        raise BadData("The file of pairs is not there: ask for the verdicts again.")
    lines = Path(path).read_text(encoding="utf-8").split("\n")
    try:
        found = [{name: row[name] for name in ("id", "messages", "first", "second")} for row in _rows(lines)]
    except (ValueError, KeyError, TypeError) as error:
        raise BadData('A line of the pairs is not {"id", "messages", "first", "second"}: correct it.') from error
    if not found:
        raise BadData("There is no pair to judge: choose some and start again.")
    return found


def _rows(lines: list[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines if line]


def question(instructions: str, pair: dict[str, Any], *, swapped: bool, seed: int = 0) -> list[dict[str, str]]:
    """What the judge is sent about a pair."""
    mark = hashlib.sha256(json.dumps([seed, pair], sort_keys=True).encode()).hexdigest()[:12]
    left, right = (pair["second"], pair["first"]) if swapped else (pair["first"], pair["second"])
    turns = "\n\n".join(f"{one['role']}: {one['content']}" for one in pair["messages"])
    parts = [("The conversation", turns), ("Answer A", left), ("Answer B", right)]
    shown = "\n\n".join(f"{name}, up to the line {mark}:\n{text}\n{mark}" for name, text in parts)
    asked = "Which answer is better? End with a line that holds nothing but [[A]], [[B]], or [[C]] for alike."
    return [{"role": "system", "content": instructions}, {"role": "user", "content": f"{shown}\n\n{asked}"}]


def verdict(said: Any, *, swapped: bool) -> str | None:
    """Which answer a reply prefers; None if that cannot be read: it says nothing, or two things, or was cut off.

    >>> from training.recipes.endpoint import Said
    >>> verdict(Said("B says [[A]], but is wrong.\\n[[A]]", 9, True), swapped=True)
    'second'
    >>> verdict(Said("[[A]] or [[B]]?", 9, True), swapped=False), verdict(Said("[[C]]. Alike.", 9, True), swapped=False)
    (None, 'tie')
    >>> verdict(Said("Whoever says [[A]] is ", 9, False), swapped=False) is None
    True
    """
    shown = ("second", "first") if swapped else ("first", "second")
    means = dict(zip("ABC", (*shown, "tie"), strict=True))
    text = said.text.rpartition("</think>")[2].strip()
    part = next((part for part in (text.split("\n")[-1], text) if MARK.search(part)), "")
    found = {mark.upper() for mark in MARK.findall(part)}
    if len(found) != 1 or not (said.finished or MARK.fullmatch(part.strip())):
        return None
    return means[found.pop()]


if __name__ == "__main__":
    main("judge", run)
