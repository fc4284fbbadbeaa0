"""An ORM client that writes until its input ends, and then says what it wrote, what failed and what is lost.

Run in the project's folder, with its settings. It prints a line when it has written, for those who wait.
"""

import json
import os
import sys
import threading

import django

sys.path[0] = os.getcwd()
django.setup()

from django.db import Error, transaction  # noqa: E402
from people.models import Member  # noqa: E402
from work.models import Asset, Comment, Project, Tag  # noqa: E402

ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()


def write(number: int) -> str:
    """One transaction over all models; the project's id as text."""
    owner, other = Member.objects.order_by("?").first(), Tag.objects.order_by("?").first()
    with transaction.atomic():
        project = Project.objects.create(owner=owner, name=f"live {number}")
        project.tags.add(Tag.objects.create(name=f"live-{number}"), other)
        Asset.objects.create(project=project)
        Comment.objects.create(subject=project, author=owner, text="live")
        Member.objects.create(email=f"live {number}", invited_by=owner)
    Project.objects.filter(pk=project.pk).update(trace=project.pk)
    gone = Project.objects.create(owner=owner, name="gone")
    gone.delete()
    again = Project.objects.prefetch_related("tags").get(pk=str(project.pk))
    assert len(again.tags.all()) == 2
    return str(project.pk)


first = Tag.objects.count()
written: list[str] = []
errors: list[str] = []
while not ended.is_set():
    try:
        written.append(write(first + len(written) + len(errors)))
    except Error as error:
        errors.append(str(error))
    print(len(written), flush=True)
there = {str(pk) for pk in Project.objects.filter(name__startswith="live").values_list("pk", flat=True)}
lost = sorted(set(written) - there)
traces = Project.objects.filter(name__startswith="live", trace__isnull=False).count()
print(json.dumps({"written": len(written), "traced": traces, "errors": errors, "lost": lost}), flush=True)
