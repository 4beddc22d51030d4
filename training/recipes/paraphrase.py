"""Saying what people asked in other words: several wordings of the last turn of each prompt, drawn at random.

    python -m training.recipes.paraphrase <folder>

    spec.json  {"method": "paraphrase", "seed": 17, "model": {"base": ..., "adapter": "…" or null},
                "data": {"prompts": "….jsonl"}, "settings": {...}}

It is `generate` with another question: files, batches, endpoints and what is left out are as there. The instruction in
the settings stands before the text of the prompt's last turn; earlier turns and a system message are not shown.
Whether a wording is any good is judged where the prompts are (training/paraphrasing.py).
"""

from typing import Any

from training.recipes import generate
from training.recipes.contract import Job, main

LINE = "-----"


def run(job: Job) -> dict[str, Any]:
    asked = generate.prompts(job.data("prompts"))
    return generate.answered(job, [{**one, "messages": question(job.settings.instruction, one)} for one in asked])


def question(instruction: str, prompt: dict[str, Any]) -> list[dict[str, str]]:
    """What the model is asked in place of a prompt.

    >>> question("Rewrite this.", {"id": 1, "messages": [{"role": "user", "content": "Where is it?"}]})
    [{'role': 'user', 'content': 'Rewrite this.\\n\\n-----\\nWhere is it?\\n-----'}]
    """
    text = prompt["messages"][-1]["content"]
    return [{"role": "user", "content": f"{instruction}\n\n{LINE}\n{text}\n{LINE}"}]


if __name__ == "__main__":
    main("paraphrase", run)
