"""A last look at the slot that an archive goes to, while that is being made: it must not be another owner's by now."""

from __future__ import annotations

from concurrent.futures import Future
from functools import partial

from s3napback.archives import Owner
from s3napback.backup.context import RunContext
from s3napback.crews import begin, result_of
from s3napback.deciding.facts import Held
from s3napback.deciding.plans import Plan, why_not_replaced
from s3napback.errors import SourceRefused
from s3napback.stores import StoredObject


class SlotWatch:
    """Asks a distant store for everything that the archive will replace, or that will be deleted then.

    The plan may rest on a listing, which is minutes old; of a store that is near, each look was a look at the object.
    """

    def __init__(self, context: RunContext, plan: Plan) -> None:
        """Begin to ask."""
        self._context = context
        self._plan = plan
        keys = (plan.key, *plan.superseded) if context.store.is_distant else ()
        self._asked: dict[str, Future[StoredObject | None]] = {
            key: begin(partial(context.store.head, key), "slot") for key in keys
        }

    def judge(self, *, at_the_end: bool) -> None:
        """Judge the answers that have come; at the end of the archive wait for all of them.

        Raises:
            SourceRefused: something there belongs to another owner.
            StoreError: the store did not tell.
        """
        for key, future in list(self._asked.items()):
            if at_the_end or future.done():
                del self._asked[key]
                self._judge(key, result_of(future))

    def _judge(self, key: str, found: StoredObject | None) -> None:
        run, plan = self._context.facts, self._plan
        held = None if found is None else Held.of(found.metadata)
        reason = why_not_replaced(run, Owner(run.host, plan.job.source), plan.taken_over, key, held)
        if reason:
            raise SourceRefused(reason, "owner")
