"""Threads on items: who reads what, who is told, and what becomes of a flag."""

import unicodedata

import pytest
from django.core.exceptions import ValidationError
from django.http import Http404
from django.urls import reverse

from annotation import access, labelling, leasing, notices, reviewing, talk
from annotation.gold import Right, mark
from annotation.mentions import Names
from annotation.models import Comment, Event, Label, Notice, Project, Review
from tests.annotation.making import a_comparison, a_demonstration, asked, first_is_better, lease


@pytest.fixture
def item(project):
    return a_comparison(project, wanted=3)


@pytest.fixture
def gold(project):
    item = a_comparison(project)
    first, second = item.answers.values_list("response_id", flat=True)
    return mark(item=item, right=Right(ranks={first: 1, second: 2})).item


def read_by(member, item):
    return [comment.text for comment in access.thread(member, item)]


def told(member):
    return list(Notice.objects.filter(person=member.person).order_by("id").values_list("text", flat=True))


# Mentions


NAMES = Names(["bea", "bob", "j.doe+x@y", "x-y", "Zoë", "田中", "ann@firm.example", "Kim", "kim"])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("@bea, look", ["bea"]),
        ("ask @bea.", ["bea"]),
        ("(@bea) and @j.doe+x@y: “@bob”…", ["bea", "j.doe+x@y", "bob"]),
        ("@bea,@bob;and\n@x-y-", ["bea", "bob", "x-y"]),
        ("@BEA @zoë! @ZOE\u0308? @田中、\uff20bob", ["bea", "Zoë", "Zoë", "田中", "bob"]),
        ("@ann@firm.example.", ["ann@firm.example"]),
        ("@Kim or @kim, and not @KIM", ["Kim", "kim"]),
        ("it`s for @bob, isn`t it", ["bob"]),
        ("write to me@bea.example or hi@bob", []),
        ("nobody @ all, @nobody, @bobby, @beatrice", []),
        ("https://x.example/@bob?to=@bea mailto:@bob www.x.example/@bea x.example/@bob", []),
        ("`@bob` and ``a ` @bea``", []),
        ("```\n@bob\n``` @bea ```\n@bob", ["bea"]),
    ],
)
def test_a_name_after_an_at_sign_is_a_mention(text, found):
    assert [mention.name for mention in NAMES.mentions(text)] == found


def test_a_long_run_of_signs_after_a_name_is_read_once(monkeypatch):
    read = []
    monkeypatch.setattr(unicodedata, "normalize", lambda form, text: read.append(len(text)) or text)
    assert NAMES.mentions("@a" + "\u0301\u0323" * 1000 + "." * 2000) == []
    assert read == [2001]
    assert Names(["bea", "bob_", "a.-"]).meant("bob_" + "." * 3000) == ("bob_", "." * 3000)
    assert Names(["bea", "bob_", "a.-"]).meant("A.-.") == ("a.-", ".")


def test_whoever_is_mentioned_is_told_once_and_led_to_the_comment(project, item, bob, bea, alice):
    made = talk.comment(item=item, author=bob, text="@bea and @Bea: is this tea? @bob @nobody")
    notice = Notice.objects.get()
    assert (notice.person, notice.project, notice.read_at) == (bea.person, project, None)
    assert notice.text == "bob mentions you: @bea and @Bea: is this tea? @bob @nobody"
    assert notice.address == reverse("comment", args=[made.pk])


def test_a_mention_reaches_nobody_outside_the_project(project, item, bob, charlie):
    made = talk.comment(item=item, author=bob, text="@charlie, look")
    assert not Notice.objects.exists()
    assert not project.member_names().mentions(made.text)


def test_a_long_comment_makes_a_short_notice(item, bob, bea):
    talk.comment(item=item, author=bob, text="@bea " + "words " * 300)
    assert len(Notice.objects.get().text) <= 300


@pytest.mark.parametrize("text", ["", "  \n ", "x" * 4001])
def test_an_empty_or_endless_comment_is_refused(item, bob, text):
    with pytest.raises(ValidationError):
        talk.comment(item=item, author=bob, text=text, flag=True)
    assert not Comment.objects.exists()
    assert not Notice.objects.exists()
    assert not Review.objects.exists()


# Who reads what


def test_opinions_do_not_travel_ahead_of_labels(item, bob, bea, rita):
    talk.comment(item=item, author=bob, text="The left one invents a date.")
    talk.comment(item=item, author=rita, text="It does.")
    assignment = lease(bea)
    assert read_by(bea, item) == []
    talk.comment(item=item, author=bea, text="Mine.")
    talk.comment(item=item, author=rita, text="Well, @Bea: judge it without the date.")
    assert read_by(bea, item) == ["Mine.", "Well, @Bea: judge it without the date."]
    assert len(read_by(rita, item)) == 4
    labelling.submit(assignment=assignment, said=first_is_better())
    assert len(read_by(bea, item)) == 4


def test_on_gold_a_thread_is_between_its_author_and_the_leads_for_ever(gold, bob, bea, alice):
    talk.comment(item=gold, author=bob, text="@bea @alice the answer here is the left one")
    talk.comment(item=gold, author=alice, text="@bob yes")
    labelling.submit(assignment=asked(gold.gold, bea), said=first_is_better())
    assert read_by(bea, gold) == []
    assert read_by(bob, gold) == ["@bea @alice the answer here is the left one", "@bob yes"]
    assert len(read_by(alice, gold)) == 2
    assert told(bea) == []
    assert len(told(alice)) == 1


def test_a_comment_is_found_by_those_who_may_read_it(item, bob, bea, rita, charlie):
    made = talk.comment(item=item, author=bob, text="Hm.")
    for member in (bob, rita):
        assert access.comment(member.person, made.pk)[0] == made
    for person in (bea.person, charlie):
        with pytest.raises(Http404):
            access.comment(person, made.pk)


def test_a_comment_of_another_project_is_not_found(item, bob, rita):
    made = talk.comment(item=item, author=bob, text="Hm.")
    other = Project.objects.create(slug="other", name="Other")
    made.item.project = other
    made.item.save()
    with pytest.raises(Http404):
        access.comment(rita.person, made.pk)


# Flags


def test_a_flag_tells_the_leads_and_opens_a_case(item, bob, bea, alice, rita, member):
    ada = member("ada", "lead")
    made = talk.comment(item=item, author=bob, text="@alice: personal data!", flag=True)
    assert told(alice) == ["bob mentions you: @alice: personal data!"]
    assert told(ada) == ["bob flags an item: @alice: personal data!"]
    assert told(rita) == told(bea) == []
    case = Review.objects.open().get()
    assert (case.item, case.reason) == (item, "flag")
    assert list(access.flags(alice.person, "desk")) == [made]
    assert Event.objects.filter(verb="item flagged", actor=bob.person).exists()


def test_a_flag_on_gold_is_for_the_leads_alone(gold, bob, alice):
    talk.comment(item=gold, author=bob, text="This is wrong.", flag=True)
    assert len(told(alice)) == 1
    assert not Review.objects.exists()


def test_a_settled_flag_tells_its_author_the_answer(item, bob, bea, alice):
    flag = talk.comment(item=item, author=bob, text="Which product?", flag=True)
    talk.settle(flag=flag, actor=alice, answer="The green tea.")
    flag.refresh_from_db()
    assert (flag.settled_by, flag.settled_at is not None) == (alice.person, True)
    assert told(bob) == ["alice on your flag: The green tea."]
    assert read_by(bob, item)[-1] == "@bob The green tea."
    assert not Review.objects.open().exists()
    assert not access.flags(alice.person, "desk").exists()
    with pytest.raises(ValidationError, match="already"):
        talk.settle(flag=flag, actor=alice, answer="Again.")
    assert len(told(bob)) == 1


def test_a_flag_may_be_settled_without_a_word(item, bob, alice):
    talk.settle(flag=talk.comment(item=item, author=bob, text="Hm.", flag=True), actor=alice)
    assert told(bob) == ["Your flag was settled."]
    assert Comment.objects.count() == 1


def test_another_flag_or_a_reviewer_at_work_keeps_the_case_open(item, bob, bea, alice, rita):
    flags = [talk.comment(item=item, author=one, text="Hm.", flag=True) for one in (bob, bea)]
    talk.settle(flag=flags[0], actor=alice)
    assert Review.objects.open().exists()
    case = reviewing.next_case(membership=rita)
    talk.settle(flag=flags[1], actor=alice)
    assert Review.objects.open().get() == case


def test_a_lead_drops_a_flagged_item(item, bob, bea, alice):
    flag = talk.comment(item=item, author=bob, text="Personal data.", flag=True)
    talk.settle(flag=flag, actor=alice, then="drop")
    item.refresh_from_db()
    assert item.dropped
    assert not Review.objects.open().exists()
    assert leasing.next_assignment(membership=bea, kind="comparison") is None
    assert Event.objects.filter(verb="item dropped", actor=alice.person).exists()


def test_a_lead_sends_a_flagged_item_to_the_reviewers(item, bob, alice):
    flag = talk.comment(item=item, author=bob, text="Hard to say.", flag=True)
    talk.settle(flag=flag, actor=alice, then="review")
    assert Review.objects.open().get().item == item
    assert not Comment.objects.open_flags().exists()


def test_a_decision_settles_the_flags_of_its_item(item, bob, alice, rita):
    flag = talk.comment(item=item, author=bob, text="Hard to say.", flag=True)
    case = reviewing.next_case(membership=rita)
    assert case is not None
    labelling.submit(assignment=case.assignment, said=first_is_better())
    flag.refresh_from_db()
    assert flag.settled_by == rita.person
    assert told(bob) == ["A reviewer has decided the item that you flagged."]


def test_what_cannot_be_done_with_a_flag_is_refused(gold, bob, alice):
    flag = talk.comment(item=gold, author=bob, text="Hm.", flag=True)
    for then in ("review", "burn"):
        with pytest.raises(ValidationError):
            talk.settle(flag=flag, actor=alice, then=then)
    assert Comment.objects.open_flags().get() == flag


# The pages


@pytest.fixture
def as_(client):
    def sign_in(member):
        client.force_login(member.person)
        return client

    return sign_in


def test_a_word_is_said_on_the_labelling_page_and_comes_back_with_the_thread(as_, item, bob, alice):
    page, assignment = as_(bob), lease(bob)
    address = reverse("thread", args=[assignment.pk])
    answer = page.post(address, {"say": "Which <b>product</b>?", "flag": "on"}, headers={"HX-Request": "true"})
    html = answer.content.decode()
    assert answer.status_code == 200
    assert "<html" not in html
    assert "Which &lt;b&gt;product&lt;/b&gt;?" in html
    assert Comment.objects.get().flag
    assert "Which &lt;b&gt;" in page.get(reverse("work", args=["desk", "comparison"])).content.decode()
    assert page.post(address, {"say": " "}, headers={"HX-Request": "true"}).status_code == 422
    assert page.post(address, {"say": "Without scripts"}).url == address
    assert Comment.objects.count() == 2


def test_a_mention_is_shown_as_one_and_others_are_offered(as_, item, bob, alice):
    talk.comment(item=item, author=alice, text="See <b>, @BOB and @alice@firm.example: `@bob`; @nobody")
    page, address = as_(bob), reverse("thread", args=[lease(bob).pk])
    html = page.get(address).content.decode()
    assert '>See &lt;b&gt;, <span class="mention mention--you">@BOB</span> and @alice@firm.example: `@bob`; @' in html
    assert ">alice</li>" in html
    assert ">bob</li>" not in html
    talk.comment(item=item, author=bob, text="Look, @alice!", flag=True)
    html = as_(alice).get(reverse("flags", args=["desk"])).content.decode()
    assert 'Look, <span class="mention mention--you">@alice</span>!' in html


def test_a_notice_leads_to_the_thread_and_is_read_by_it(as_, item, bob, bea):
    talk.comment(item=item, author=bob, text="@bea, look")
    page = as_(bea)
    assert '<span class="bell-count">1<' in page.get("/").content.decode()
    notice = Notice.objects.get()
    answer = page.get(reverse("notice", args=[notice.pk]), follow=True)
    assert answer.redirect_chain[-1][0] == notice.address
    assert "@bea</span>, look" in answer.content.decode()
    assert "bell-count" not in page.get("/").content.decode()


def test_notices_are_ones_own_and_unread_ones_come_first(as_, project, bob, bea):
    for text in ("number 1", "number 2", "number 3"):
        notices.tell(people=[bob.person, bob.person], project=project, text=text)
    notices.tell(people=[bea.person], project=project, text="hers")
    notices.mark_read(Notice.objects.filter(text="number 3"))
    page = as_(bob)
    html = page.get(reverse("notices")).content.decode()
    assert html.index("number 2") < html.index("number 1") < html.index("number 3")
    assert "hers" not in html
    page.post(reverse("read_notices"))
    assert not Notice.objects.filter(person=bob.person, read_at=None).exists()
    assert Notice.objects.filter(person=bea.person, read_at=None).exists()


def test_a_notice_leads_to_no_other_site(as_, project, bob):
    notices.tell(people=[bob.person], project=project, text="look", address="https://evil.example/")
    assert as_(bob).get(reverse("notice", args=[Notice.objects.get().pk])).url == reverse("notices")


def test_a_lead_settles_a_flag_from_the_list(as_, project, bob, alice):
    a_demonstration(project)
    flag = talk.comment(item=lease(bob, "demonstration").item, author=bob, text="Which one?", flag=True)
    page = as_(alice)
    assert "Which one?" in page.get(reverse("flags", args=["desk"])).content.decode()
    answer = page.post(reverse("settle", args=[flag.pk]), {"answer": "The green one.", "then": "drop"}, follow=True)
    html = answer.content.decode()
    assert "settled" in html
    assert "No open flags" in html
    again = page.post(reverse("settle", args=[flag.pk]), follow=True).content.decode()
    assert "This flag was settled already." in again
    assert not Label.objects.exists()
