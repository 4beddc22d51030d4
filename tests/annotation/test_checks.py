"""What the cleaning checks find in a text, what they leave alone, and that no text makes them slow."""

import time
from collections.abc import Callable
from itertools import pairwise

import pytest

from annotation.checks import Finding, findings, without_code

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"


def found(text: str) -> list[tuple[str, str]]:
    return [(one.kind, text[one.start : one.end]) for one in findings(text)]


FOUND = [
    # what nobody filled in
    ("Dear [NAME], good day.", "placeholder", "[NAME]"),
    ("Dear [Your Name],", "placeholder", "[Your Name]"),
    ("Yours, [customer's name]", "placeholder", "[customer's name]"),
    ("On [insert date] we sent it.", "placeholder", "[insert date]"),
    ("See [ORDER_NO] below.", "placeholder", "[ORDER_NO]"),
    ("Hello {{ customer.name }}!", "placeholder", "{{ customer.name }}"),
    ("{% if late %}Sorry", "placeholder", "{% if late %}"),
    ("Hello {customer_name}!", "placeholder", "{customer_name}"),
    ("Set it to <YOUR_KEY> first.", "placeholder", "<YOUR_KEY>"),
    ("Write to <your address> now.", "placeholder", "<your address>"),
    ("Lorem ipsum dolor sit amet.", "placeholder", "Lorem ipsum"),
    ("Please insert your own name here.", "placeholder", "insert your own name here"),
    ("Order XXX is late.", "placeholder", "XXX"),
    ("Call xxx-xxx-xxxx.", "placeholder", "xxx-xxx-xxxx"),
    ("TODO: check this.", "placeholder", "TODO"),
    ("Write to support@example.com.", "placeholder", "example.com"),
    # about somebody
    ("Write to anna.berg+shop@mail.post.de, please.", "personal data", "anna.berg+shop@mail.post.de"),
    ("<a.b@c-d.org>", "personal data", "a.b@c-d.org"),
    ("Call +49 89 1234567.", "personal data", "+49 89 1234567"),
    ("Call +44 (20) 7946 0958!", "personal data", "+44 (20) 7946 0958"),
    ("Call (555) 123-4567 or write.", "personal data", "(555) 123-4567"),
    ("It is 555-123-4567.", "personal data", "555-123-4567"),
    ("Ring 020 7946 0958.", "personal data", "020 7946 0958"),
    ("Tel.: 0151/2345678", "personal data", "0151/2345678"),
    ("Charge 4111 1111 1111 1111 today.", "personal data", "4111 1111 1111 1111"),
    ("5555-5555-5555-4444", "personal data", "5555-5555-5555-4444"),
    ("Amex 3782 822463 10005", "personal data", "3782 822463 10005"),
    ("It is 6011111111111117.", "personal data", "6011111111111117"),
    ("Pay to DE89 3704 0044 0532 0130 00 IBAN", "personal data", "DE89 3704 0044 0532 0130 00"),
    ("Pay to GB82WEST12345698765432.", "personal data", "GB82WEST12345698765432"),
    # keys
    ("sk-proj-abcdEFGH1234567890abcdEFGH", "secret", "sk-proj-abcdEFGH1234567890abcdEFGH"),
    (f"use ghp_{'aB3' * 12}", "secret", f"ghp_{'aB3' * 12}"),
    ("AKIAIOSFODNN7EXAMPLE is mine", "secret", "AKIAIOSFODNN7EXAMPLE"),
    (f"Bearer {JWT}", "secret", JWT),
    ("`sk_live_abcd1234abcd1234abcd`", "secret", "sk_live_abcd1234abcd1234abcd"),
    ("-----BEGIN RSA PRIVATE KEY-----\nMIIE", "secret", "-----BEGIN RSA PRIVATE KEY-----"),
    (f"```sh\nexport KEY=hf_{'aB3' * 12}\n```", "secret", f"hf_{'aB3' * 12}"),
    # again and again
    ("We ship your tea today! Bye. we ship your tea today.", "repetition", "we ship your tea today"),
    ("It is on its way. Please wait. It is on its way.", "repetition", "It is on its way"),
    ("go there now go there now go there now", "repetition", "go there now go there now go there now"),
    ("Yes no no no no!", "repetition", "no no no no"),
    ("We saw the the cat.", "repetition", "the the"),
    ("我们今天发货我们今天发货我们今天发货", "repetition", "我们今天发货我们今天发货我们今天发货"),
    # about itself
    ("As an AI language model, I cannot say.", "boilerplate", "As an AI language model"),
    ("as a large language model trained on", "boilerplate", "as a large language model"),
    ("As an AI, I have no taste.", "boilerplate", "As an AI"),
    ("Sorry, I'm just an AI.", "boilerplate", "I'm just an AI"),
    ("My knowledge cutoff is 2023.", "boilerplate", "My knowledge cutoff"),
    ("Als KI-Sprachmodell kann ich", "boilerplate", "Als KI-Sprachmodell"),
    ("En tant que modèle de langage, je", "boilerplate", "En tant que modèle de langage"),
    ("Como modelo de lenguaje, no", "boilerplate", "Como modelo de lenguaje"),
    # broken letters
    ("cafÃ© au lait", "encoding", "Ã©"),
    ("I donâ€™t know", "encoding", "â€™"),
    ("Â£5 only", "encoding", "Â£"),
    ("ÐŸÑ€Ð¸Ð²ÐµÑ‚", "encoding", "ÐŸÑ€Ð¸Ð²ÐµÑ‚"),
    ("hi ðŸ˜€", "encoding", "ðŸ˜€"),
    ("what\ufffd\ufffds that", "encoding", "\ufffd\ufffd"),
    (r"caf\u00e9 au lait", "encoding", r"\u00e9"),
]


@pytest.mark.parametrize(("text", "kind", "part"), FOUND)
def test_what_is_wrong_is_found_where_it_stands(text, kind, part):
    assert (kind, part) in found(text)


LEFT_ALONE = [
    "It costs $1,299.00, £5 or 1.299,00 €, and 10 000 000 people paid 1,000,000.",
    "On 2024-11-25 at 10:30, on 25.11.2024, 01/02/2024 or 10-12-2024.",
    "Order 123-456-7890, order number 0171 2345678, ticket 0123-4567-8901.",
    "Invoice no. 4111111111111111 and order #4111 1111 1111 1111",
    "The number 4111 1111 1111 1112 and 1234567812345678 fail the check.",
    "Pay to DE89 3704 0044 0532 0130 01 or XX89 3704 0044 0532 0130 00.",
    "ISBN 978-3-16-148410-0, version 1.2.3.4, address 192.168.100.100, time 1700000000000.",
    "Pi is 3.14159265358979; from 1990-2000; open 08:00-18:30; 100 200 3000.",
    "names = [name] and arr[INDEX] and x[name]",
    "```python\nprint(f'{{x}} {name} [NAME] <YOUR_KEY>')\nprint(1)\nprint(1)\nprint(1)\nprint(1)\n```",
    "~~~\n[NAME]\n~~~",
    "Use `[NAME]` or ``{{x}}`` as the field.",
    "Read [the name](https://shop.de) and [name][1], [1], [x], [ ] and [sic] or [...].",
    "“[The customer] never came,” he said.",
    "$x_{{name}}$ and $a_{name}$ and \\(b_{name}\\)",
    "Super Bowl XXX, chapter XXX, size XXXL.",
    "As an AI researcher I work; I am an AI engineer; as an aide I helped.",
    "react@18.2.0, icon@2x.png, git@github.com:a/b.git, @media and @app.route",
    "Thank you. It is sent. Thank you.",
    "He had had it; that that is so; very, very good; ha ha ha; 哈哈哈哈",
    "1 0 0 0 1 0 0 0 1 0 0 0",
    "| a b c d e f |\n| a b c d e f |",
    "CAFÉ’s “É” AMANHÃ” café…” ÑANDÚ Ð Â à … » naïve façade Übergröße",
    ".sk-circle-fade-dot-delay-number { color: red }",
    "<p>Text</p> <TITLE> a < b > c",
    "The meeting is at 9. The meeting room is B. The meeting ends at 10.",
    "",
]


@pytest.mark.parametrize("text", LEFT_ALONE)
def test_what_is_meant_is_left_alone(text):
    assert found(text) == []


def test_a_finding_says_what_it_is_in_a_sentence():
    assert findings("Hi [NAME]") == [
        Finding(3, 9, "placeholder", "“[NAME]” looks like a place that nobody has filled in.")
    ]
    assert findings("cafÃ©")[0].sentence == "“Ã©” was “é” before its encoding was mistaken."


def test_a_key_is_not_said_again_in_full():
    assert JWT not in findings(JWT)[0].sentence


def test_places_count_characters_also_after_wide_ones():
    text = "😀😀 [NAME] 😀"
    assert found(text) == [("placeholder", "[NAME]")]


def test_findings_come_in_order_and_do_not_overlap():
    text = "As an AI, write to a@b.de about [NAME], [NAME] or call +49 89 1234567 the the " + JWT
    places = [(one.start, one.end) for one in findings(text)]
    assert len(places) >= 6
    assert all(end <= start for (_, end), (start, _) in pairwise(places))


def test_blanked_code_leaves_every_place_where_it_was():
    text = "a `b` c\n```py\nx\n```\n\\(d\\) e $f$ g\n~~~\nh"
    assert len(without_code(text)) == len(text)
    assert without_code(text).split() == ["a", "c", "e", "g"]


HOSTILE: dict[str, Callable[[int], str]] = {
    "spaces": lambda n: " " * n,
    "lines": lambda n: "\n" * n,
    "digits": lambda n: "1" * n,
    "lonely digits": lambda n: "1 " * (n // 2),
    "zeros": lambda n: "0 00 000 " * (n // 9),
    "pluses": lambda n: "+1" * (n // 2),
    "brackets": lambda n: "[" * n,
    "half brackets": lambda n: "[NAME " * (n // 6),
    "braces": lambda n: "{{" * (n // 2),
    "angles": lambda n: "<a " * (n // 3),
    "letters": lambda n: "a" * n,
    "words": lambda n: "a " * (n // 2),
    "two words": lambda n: "ab cd " * (n // 6),
    "many words": lambda n: " ".join(f"w{number}" for number in range(n // 7)),
    "at signs": lambda n: "a@" * (n // 2),
    "domains": lambda n: "a@" + "a." * (n // 2),
    "names": lambda n: "a." * (n // 2),
    "keys": lambda n: "sk-" * (n // 3),
    "tokens": lambda n: "eyJaaaaaaaaaa." * (n // 14),
    "begins": lambda n: "-----BEGIN " * (n // 11),
    "inserts": lambda n: "insert a " * (n // 9),
    "back-ticks": lambda n: "`" * n,
    "code": lambda n: "` " * (n // 2),
    "fences": lambda n: "```\n" * (n // 4),
    "growing fences": lambda n: "".join("`" * (3 + k % 50) + "\n" for k in range(n // 30)),
    "dollars": lambda n: "$a" * (n // 2),
    "formulas": lambda n: "\\(" * (n // 2),
    "accounts": lambda n: "DE89 " * (n // 5),
    "cards": lambda n: "4111 1111 1111 1112 " * (n // 20),
    "dots": lambda n: ". " * (n // 2),
    "dashes": lambda n: "-" * n,
    "broken": lambda n: "Ã" * n,
    "broken quotes": lambda n: "â€" * (n // 2),
    "broken Russian": lambda n: "ÐŸÑ€" * (n // 4),
    "laughter": lambda n: "哈" * n,
    "as an": lambda n: "as an " * (n // 6),
    "same lines": lambda n: "a b c d e f\n" * (n // 12),
    "placeholders": lambda n: "[NAME]" * (n // 6),
}


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
def test_no_text_makes_the_checks_slow(make):
    text = make(200_000)
    assert len(text) > 150_000
    started = time.process_time()
    findings(text)
    assert time.process_time() - started < 4, "a fifth of a second on an idle core; seconds only if it were quadratic"
