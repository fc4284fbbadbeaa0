"""A Django project's database, rebuilt by the commands of docs/django.md while its ORM writes: told once."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.oracles.journal_oracle import snapshot_catalogue
from support.schemas.django_page import blocks, commands
from support.schemas.django_studio import copy_application

HERE = Path(__file__).parent
LONGEST_S = 120

ROWS = """
from people.models import Member
from work.models import Asset, Comment, Project, Tag, new_id
for n in range(30):
    member = Member.objects.create(email=f"m{n}", invited_by=Member.objects.first())
    project = Project.objects.create(owner=member, name=f"p{n}", trace=new_id())
    project.tags.add(Tag.objects.create(name=f"t{n}"))
    asset = Asset.objects.create(project=project)
    Comment.objects.create(subject=[member, project, asset][n % 3], author=member, text="x")
"""
OLD_ID = "models.CharField(max_length=36, primary_key=True, default=new_id)"
NEW_ID = "models.UUIDField(primary_key=True, default=uuid.uuid4)"
TO_UUID = {
    OLD_ID: NEW_ID,
    "models.CharField(max_length=36, unique=True, default=new_id)": "models.UUIDField(unique=True, default=uuid.uuid4)",
    "models.CharField(max_length=36, db_index=True, null=True)": "models.UUIDField(db_index=True, null=True)",
    "models.CharField(max_length=36, db_index=True)": "models.UUIDField(db_index=True)",
    "from django.db import models\n": "import uuid\n\nfrom django.db import models\n",
}
TO_STR = {
    "models.CharField(max_length=36": "TextUuidField(max_length=36",
    "from django.db import models\n": "from django.db import models\nfrom people.ids import TextUuidField\n",
}


@dataclass(kw_only=True)
class Project:
    """A Django project in its folder, and the database that its commands are about."""

    folder: Path
    url: str
    broker: str

    def __call__(self, command: str, *, url: str | None = None, given: str = "") -> "subprocess.CompletedProcess[str]":
        """A command as the page has it, in the project's folder."""
        return subprocess.run(
            command,
            shell=True,
            cwd=self.folder,
            env=self.environment | ({} if url is None else {"STUDIO_DATABASE_URL": url}),
            input=given,
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
            check=False,
        )

    def done(self, command: str, *, url: str | None = None, given: str = "") -> str:
        said = self(command, url=url, given=given)
        assert said.returncode == 0, f"{command}\n{said.stdout}{said.stderr}"
        return said.stdout + said.stderr

    @property
    def environment(self) -> dict[str, str]:
        own = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "DJANGO_SETTINGS_MODULE": "studio.settings",
            "STUDIO_DATABASE_URL": self.url,
            "REPLANK_DATABASE_URL": self.url,
            "REPLANK_BROKER_URL": self.broker,
        }
        return {**os.environ, **own}

    def rewrite(self, changes: Mapping[str, str]) -> None:
        """The models with other words."""
        for app in ("people", "work"):
            file = self.folder / app / "models.py"
            text = file.read_text()
            for old, new in changes.items():
                text = text.replace(old, new)
            file.write_text(text)

    def variant(self, name: str, changes: Mapping[str, str]) -> "Project":
        """The same database with the first project's models changed, in a folder of its own."""
        other = Project(folder=copy_application(self.folder.parent / name), url=self.url, broker=self.broker)
        (field_of_page,) = blocks("python")
        with (other.folder / "people" / "ids.py").open("a") as file:
            file.write(f"\n\nfrom django.db import models\n\n\n{field_of_page}")
        other.rewrite(changes)
        return other

    def seen(self) -> dict[str, str]:
        found: dict[str, str] = json.loads(self.done(f"python {HERE / 'seen.py'}"))
        return found

    @contextmanager
    def client(self) -> Iterator["Client"]:
        """An ORM client that writes with the code of now."""
        process = subprocess.Popen(
            ["python", str(HERE / "client.py")],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with process:
            client = Client(process=process)
            try:
                yield client
            finally:
                process.kill()


@dataclass(kw_only=True)
class Client:
    process: "subprocess.Popen[str]"

    def wait_for_writes(self, count: int) -> None:
        """Until so many transactions more have been written."""
        assert self.process.stdout is not None
        first = int(self.process.stdout.readline())
        while int(self.process.stdout.readline()) < first + count:
            pass

    def end(self) -> Any:
        said, _ = self.process.communicate(timeout=LONGEST_S)
        return json.loads(said.splitlines()[-1])


@dataclass(kw_only=True)
class Story:
    """What was found along the page's way."""

    project: Project
    said: dict[str, str] = field(default_factory=dict)
    """What each of the page's commands said."""
    seen: list[dict[str, str]] = field(default_factory=list)
    catalogues: dict[str, dict[str, str]] = field(default_factory=dict)
    clients: list[Any] = field(default_factory=list)
    """What the clients have met, through the run and through the rollback."""


def tell(url: str, empty: str, broker: str, folder: Path) -> Story:
    """Every command of the page, once, in its order; what belongs between them is done as the page says."""
    project = Project(folder=copy_application(folder / "project"), url=url, broker=broker)
    project.done("python manage.py migrate")
    project.done("python manage.py shell", given=ROWS)
    story = Story(project=project)
    old = project.variant("old", {})
    text = project.variant("text", TO_STR)
    text.done("python manage.py makemigrations --check")
    story.seen += [old.seen(), text.seen()]
    story.catalogues["text"] = _catalogue(url)
    refused = "replank django plan.toml --settings studio.settings --apply"
    for command in commands():
        match command.split()[:4]:
            case ["replank", "check", *_]:
                _edit_plan(project.folder / "plan.toml")
            case ["python", "manage.py", "migrate", "--check"]:
                project.done("python manage.py migrate", url=empty)
                story.catalogues["history"] = _catalogue(empty)
            case ["replank", "rollback", *_]:
                shutil.rmtree(project.folder)
                copy_application(project.folder)
        if command.startswith("replank run"):
            story.said["refused"] = project(refused).stderr
            with text.client() as client:
                client.wait_for_writes(3)
                story.said[command] = project.done(command)
                client.wait_for_writes(10)
                story.clients.append(client.end())
            story.catalogues["run"] = _catalogue(url)
            # The order of the page's table: codes as they are, then the code of a field of one's own.
            story.seen[1:] = [old.seen(), *story.seen[1:], text.seen()]
            project.rewrite(TO_UUID)
            continue
        if command.startswith("replank rollback"):
            with text.client() as client:
                client.wait_for_writes(3)
                story.said[command] = project.done(command)
                client.wait_for_writes(5)
                story.clients.append(client.end())
            continue
        story.said[command] = project.done(command)
        if "--apply" in command:
            story.seen.append(project.seen())
            story.said["again"] = project.done(command)
    story.catalogues["rollback"] = _catalogue(url)
    story.said["after rollback"] = project.done("python manage.py migrate --check")
    return story


def _edit_plan(plan: Path) -> None:
    """What the page says of the plan."""
    options, column = blocks("toml")
    text = plan.read_text()
    assert text.count("[options]\n") == text.count('name = "author_id"\nto = "uuid"\n') == 1
    text = text.replace("[options]\n", options)
    plan.write_text(text.replace('name = "author_id"\nto = "uuid"\n', f'name = "author_id"\nto = "uuid"\n\n{column}'))


def _catalogue(url: str) -> dict[str, str]:
    """The catalogue but for the values of sequences."""
    found = snapshot_catalogue(url, ["public"])
    return {subject: said for subject, said in sorted(found.items()) if not subject.startswith("sequence value ")}
