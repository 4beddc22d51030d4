"""A desk with its people, and its pages alone: for journeys that need no model."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.benchmarks.product import Product, running

PEOPLE = """
from annotation.guidelines import publish
from annotation.models import Membership, Project, User
project = Project.objects.create(slug="desk", name="Desk", heldout_share=0.3)
publish(project=project, text="# House style", asks_again=False)
for name, role in (("alice", "lead"), ("bob", "annotator")):
    person = User.objects.create_user(name, password=f"{name}-has-a-secret", is_staff=role == "lead")
    Membership.objects.create(person=person, project=project, role=role)
User.objects.create_user("charlie", password="charlie-has-a-secret")
"""


@contextmanager
def pages_alone() -> Iterator[Product]:
    with running() as made:
        made.manage("shell", stdin=PEOPLE)
        made.start("web")
        made.wait_for_pages()
        yield made
