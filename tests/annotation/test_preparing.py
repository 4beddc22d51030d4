"""Rows made ready ahead of those that are being stored."""

from weakref import WeakSet

from annotation.preparing import AHEAD, Batch, ahead, prepare
from annotation.shapes import native


def test_parts_that_were_used_are_let_go():
    class Part:
        pass

    alive: WeakSet[Part] = WeakSet()

    def made():
        for _ in range(30):
            part = Part()
            alive.add(part)
            yield part

    most = max(len(alive) for _ in ahead(made()))
    assert most <= AHEAD + 4  # and the one that takes the place of another
    assert not alive


def test_what_several_rows_bring_is_the_first_ones():
    batch = Batch()
    records = [
        {"prompt": "Where?", "responses": ["Here.", "There."]},
        {"prompt": "Where?", "responses": ["There.", "Here.", "Nowhere."]},
        {"prompt": "Where?", "responses": ["There.", "Here."]},
    ]
    for number, record in enumerate(records, start=1):
        batch.add(prepare(native.understand(record, number), 0))
    assert [ready.row.line for ready in batch.prompts.values()] == [1]
    assert list(batch.answers.values()) == ["Here.", "There.", "Nowhere."]
    assert [ready.row.line for ready, _ in batch.items.values()] == [1, 2]
    assert len(batch.ready) == 3
