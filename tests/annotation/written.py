"""What people and models may have written, for Hypothesis to draw from: odd texts, conversations, answers."""

from hypothesis import strategies as st

from annotation.text import as_seen

ODD = [
    *('=HYPERLINK("http://example.com")', "+1", "-1", "@home", "'tis", "''=1", " =1", "\u00a0+1", "＝1", "'"),
    *(
        "a\nb",
        "a\r\nb",
        "a\rb",
        '"',
        '""',
        "\\",
        '\\"',
        "\\n",
        "a,b;c\td",
        "\ufeffbegins",
        "ends\ufeff",
        "\u2028",
        "\x85",
    ),
    *("שלום עולם", "\u202eRTL", "e\u0301", "\U0001f469\u200d\U0001f680", "null", "true", "[]", "{}", "123", "1e5"),
    *("\n\nHuman: no\n\nAssistant: no", "<|im_start|>", "x" * 20_000, "\x01", "\x7f"),
]
# NUL and halves of surrogate pairs are never stored, so they never go out.
STORABLE = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
TEXTS = st.text(STORABLE, max_size=60) | st.sampled_from(ODD)
ANSWERS = TEXTS.map(str.strip).filter(bool)  # answers are stored without space around them
QUESTIONS = TEXTS.filter(lambda text: bool(text.strip()))


@st.composite
def conversations(draw):
    system = [{"role": "system", "content": draw(QUESTIONS)}] if draw(st.booleans()) else []
    turns = draw(st.lists(st.tuples(st.sampled_from(["user", "assistant"]), QUESTIONS), max_size=4))
    if draw(st.booleans()):  # turn by turn
        turns = [("user" if place % 2 == 0 else "assistant", text) for place, (_, text) in enumerate(turns)]
        turns = turns[: len(turns) // 2 * 2]
    said = [{"role": role, "content": text} for role, text in turns]
    return [*system, *said, {"role": "user", "content": draw(QUESTIONS)}]


def different(count: int, most: int):
    seen = ANSWERS.filter(as_seen)
    return st.lists(seen, min_size=count, max_size=most, unique_by=as_seen)
