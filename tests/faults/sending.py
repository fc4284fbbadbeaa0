"""Sending messages as a coordinator does, without one."""

from collections.abc import Iterator
from contextlib import contextmanager

from celery import Celery
from celery.app.control import Control
from support.runs.processes import Site

from producer.dispatch.dispatcher import Dispatcher
from replank.settings import Settings
from replank.values.messages import celery_settings
from sql.session.connection import connect
from sql.session.database_identity import database_identity


def settings_of(site: Site, **others: object) -> Settings:
    """The settings that the site's processes have, and `others`."""
    return Settings.model_validate({"database_url": site.database_url, "broker_url": site.broker_url, **others})


@contextmanager
def dispatching(site: Site) -> Iterator[Dispatcher]:
    """A dispatcher to the site's queues."""
    with connect(site.database_url, name="test") as connection:
        identity = database_identity(connection)
    dispatcher = Dispatcher(settings_of(site), database=identity)
    try:
        yield dispatcher
    finally:
        dispatcher.close()


@contextmanager
def controlling(site: Site) -> Iterator[Control]:
    """Celery's remote control of the site's workers."""
    with connect(site.database_url, name="test") as connection:
        identity = database_identity(connection)
    with Celery("test", set_as_current=False) as app:
        app.conf.update(celery_settings(settings_of(site), database=identity))
        yield app.control
