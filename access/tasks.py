"""The Celery tasks: an explicit name, ids as arguments, one call."""

from __future__ import annotations

from typing import Any

from celery import Task, shared_task

from access import change_notices, clock, jobs, notices, presence, provisioning, queueing, sweeping, ticking
from access.services import servers, statements
from audit import checkpoints, verification
from audit.origin import Origin, coming_from


class FromWorker(Task[Any, Any]):
    """Whatever a task records says that a worker did it, and under which message."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task with its origin set."""
        presence.hold_while_working()
        with coming_from(Origin(channel="worker", request_id=str(self.request.id or ""))):
            return super().__call__(*args, **kwargs)


def _claimant(task: Task[Any, Any]) -> str:
    """The message's own id: it stays the same when the message is delivered again after its worker died."""
    return str(task.request.id)[:64]


@shared_task(name="access.tick", bind=True, base=FromWorker)
def tick(self: Task[Any, Any]) -> None:
    """Queue what is due."""
    ticking.tick(worker=str(self.request.hostname or "worker"), now=clock.now())


@shared_task(name=queueing.PROVISION, bind=True, base=FromWorker)
def provision(self: Task[Any, Any], grant_id: int) -> None:
    """Make the account of a grant."""
    provisioning.provision(grant_id=grant_id, claimant=_claimant(self))


@shared_task(name=queueing.EXTEND, bind=True, base=FromWorker)
def extend(self: Task[Any, Any], grant_id: int) -> None:
    """Move the end of a grant's account."""
    provisioning.extend(grant_id=grant_id, claimant=_claimant(self))


@shared_task(name=queueing.REVOKE, bind=True, base=FromWorker)
def revoke(self: Task[Any, Any], grant_id: int) -> None:
    """Take the account of a grant away."""
    provisioning.revoke(grant_id=grant_id, claimant=_claimant(self))


@shared_task(name=queueing.NOTIFY, base=FromWorker)
def notify(notice: str, request_id: int) -> None:
    """Tell the people concerned."""
    notices.send(notice=notice, request_id=request_id)


@shared_task(name=queueing.TELL_ADMINISTRATORS, base=FromWorker)
def tell_administrators(entry: int) -> None:
    """Tell the other administrators of a change to the catalogue."""
    change_notices.send(entry=entry)


@shared_task(name="access.sweep", base=FromWorker)
def sweep() -> None:
    """Compare every server with the grants."""
    if jobs.is_wanted("sweep", now=clock.now()):
        sweeping.sweep_all(now=clock.now())


@shared_task(name="access.check_servers", base=FromWorker)
def check_servers() -> None:
    """Look whether every server answers."""
    if jobs.is_wanted("check_servers", now=clock.now()):
        servers.check_all(now=clock.now())


@shared_task(name="access.checkpoint", base=FromWorker)
def checkpoint() -> None:
    """Sign where the audit log and the record of statements end."""
    if jobs.is_wanted("checkpoint", now=clock.now()):
        checkpoints.make(now=clock.now())


@shared_task(name="access.seal_keys_anew", base=FromWorker)
def seal_keys_anew() -> None:
    """After a new encryption key: so that the old one can go."""
    if jobs.is_wanted("seal_keys_anew", now=clock.now()):
        statements.seal_keys_anew()


@shared_task(name="access.verify_audit", base=FromWorker)
def verify_audit() -> None:
    """Check the chain of the audit trail from its beginning, for the console's badge and banner."""
    if jobs.is_wanted("verify_audit", now=clock.now()):
        verification.verify(now=clock.now())
