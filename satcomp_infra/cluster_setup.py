"""Setting a cluster up: checks before anything costs money, then the start, then the wait, and the way back."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from . import automatic_stop, images, prices, quota, template
from .aws import in_words, together
from .diagnosis import diagnose
from .errors import SatcompError
from .fleet import Cluster
from .layout import join
from .project import Project
from .signs_of_life import SignsOfLife
from .starting import Size, Start, StartError
from .stopping import SHUTDOWN, stop_all
from .units import count, dollars, duration, moment

if TYPE_CHECKING:
    from botocore.exceptions import BotoCoreError, ClientError

    from .aws import Aws
    from .fleet import Fleet
    from .progress import Console
    from .stack import Infrastructure


@dataclass
class ClusterSetup:
    """The setup of a cluster: checks before anything costs money, then the start, then the wait."""

    @dataclass(frozen=True)
    class Options:
        """What the user may choose. `timeout` and `stop_after` are in seconds; None: no automatic stop.

        `wait` until all nodes run, or return at once. `keep` what runs where the cluster can't be completed.
        """

        timeout: float
        stop_after: float | None
        wait: bool = True
        keep: bool = False

    aws: Aws
    infrastructure: Infrastructure
    console: Console
    options: Options
    changed: bool = field(default=False, init=False)
    """Whether the cluster may be another one than before the setup: not before the checks, nor once it is put back."""

    def __post_init__(self) -> None:
        self.cluster = Cluster.of(self.aws, self.infrastructure)
        self._group = self.infrastructure.auto_scaling_group

    def run(self, size: Size) -> str:
        """Bring the cluster to a size; returns what has come about, as a sentence. Raises SatcompError where it can't.

        Nothing runs then that did not before, unless it is to be kept, which the error says. Raises AWS's errors where
        AWS can't be asked to go back, either.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        wanted = ["leader", "worker"] if size.workers else ["leader"]
        (before, stop_before), there, vcpus = together(
            lambda: together(self.cluster.look, lambda: automatic_stop.when(self.aws, self._group)),
            lambda: images.tags(self.aws, self.infrastructure.repository),
            lambda: together(lambda: quota.vcpus(self.aws), lambda: quota.used(self.aws)),
        )
        _check_images(self.infrastructure, wanted, there)
        self._check_quota(size, before, *vcpus)
        price = self._node_price()
        self._announce(size, before, price)
        self.changed = True
        self._put_automatic_stop()
        zones = list(zip(self.infrastructure.zones, self.infrastructure.subnets, strict=True))
        self.console.when_interrupted = (
            f"Up to {count(size.nodes, 'machine')} may be running, for {dollars(size.nodes * price)} per hour. "
            f"Stop them:\n{SHUTDOWN}"
        )

        def seen(fleet: Fleet) -> None:
            self.console.when_interrupted = _what_runs(fleet, price)

        start = Start(
            self.cluster,
            before,
            size,
            zones,
            lambda since: diagnose(self.aws, self.infrastructure, since),
            SignsOfLife(self.aws).look,
            seen,
        )
        failure: StartError | BotoCoreError | ClientError | None = None
        try:
            start.begin()
            if not self.options.wait:
                return f"AWS has been asked for {size}."
            with self.console.waiting(f"Starting {size}", total=3 * size.nodes) as wait:
                start.follow(wait, self.options.timeout, lambda hours: dollars(hours * price))
        except (StartError, BotoCoreError, ClientError) as error:
            failure = error
        if failure:
            raise self._after(failure, start, stop_before)
        self.console.when_interrupted = ""
        return (
            f"{str(size)[0].upper()}{str(size)[1:]} {'runs' if size.nodes == 1 else 'run'}, after "
            f"{duration(wait.elapsed)}, for {dollars(size.nodes * price)} per hour."
        )

    def _announce(self, size: Size, before: Fleet, price: float) -> None:
        """Say what is about to be started, and what it costs."""
        track, hour = self.infrastructure.track, size.nodes * price
        was = f", where {count(before.instances, 'machine')} run" if before.instances else ""
        self.console.say(f"Starting {size}{was}:")
        each = f"{track.vcpus} vCPU, {track.machine_memory // 1024} GiB each"
        rows = [("machines", f"{size.nodes} of type {track.instance_type}: {each}")]
        seconds = self.options.stop_after
        if seconds is None:
            rows.append(("cost", f"{dollars(hour)} per hour, {dollars(24 * hour)} a day"))
            rows.append(("automatic stop", f"NONE (--stop-after never). Stop them yourself:\n{SHUTDOWN}"))
        else:
            at = datetime.now(UTC) + timedelta(seconds=seconds)
            rows.append(
                ("cost", f"{dollars(hour)} per hour, {dollars(hour * seconds / 3600)} until the automatic stop")
            )
            rows.append(("automatic stop", f"{moment(at)}, in {duration(seconds)} (set by --stop-after)"))
        for name, text in rows:
            self.console.say(f"  {name:<15} {text}")
        if self.options.wait:
            self.console.say(
                f"This takes 2 to 5 min in AWS; the command waits for at most {duration(self.options.timeout)}."
            )

    def _node_price(self) -> float:
        infra = self.infrastructure
        body = template.render(Project(infra.project), infra.track, infra.zones)
        return prices.node_per_hour(template.read(body)).total

    def _check_quota(self, size: Size, before: Fleet, limit: int | None, used: int) -> None:
        """Raise SatcompError where the account may not run so many machines; others of it count, too."""
        if limit is None:
            return
        track = self.infrastructure.track
        for_us = limit - used + before.instances * track.vcpus
        if size.nodes * track.vcpus > for_us:
            fit = max(quota.nodes(track, for_us), 0)
            others = max(used - before.instances * track.vcpus, 0)
            elsewhere = f", {others} of which other machines use" if others else ""
            raise SatcompError(
                f"{count(size.nodes, 'machine')} of {track.vcpus} vCPU {'is' if size.nodes == 1 else 'are'} more than "
                f"the account may run at once: {limit} vCPU{elsewhere}. There is room for {count(fit, 'machine')}.",
                f"Start fewer, or request {size.nodes * track.vcpus + others} vCPU or more (this takes hours to days): "
                f"{quota.console_path(self.aws.region)}",
            )

    def _put_automatic_stop(self) -> None:
        seconds = self.options.stop_after
        if seconds is None:
            automatic_stop.remove(self.aws, self._group)
        else:
            automatic_stop.put(self.aws, self._group, seconds)

    def _after(
        self, error: StartError | BotoCoreError | ClientError, start: Start, stop_before: datetime | None
    ) -> Exception:
        """The error to end with, after going back to what was there before unless the user wants to look into it."""
        from botocore.exceptions import BotoCoreError, ClientError

        failure, runs = error if isinstance(error, StartError) else in_words(error), self.console.when_interrupted
        try:
            return self._back(failure, start, stop_before)
        except (BotoCoreError, ClientError) as second:
            self.console.when_interrupted = runs
            if not isinstance(error, StartError):
                return error
            words = in_words(second)
            return SatcompError(join(failure.message, words.message), join(words.advice, self.console.when_interrupted))

    def _back(self, failure: SatcompError, start: Start, stop_before: datetime | None) -> SatcompError:
        if self.options.keep:
            return SatcompError(
                failure.message,
                join(failure.advice, "All is left as it is (--keep-on-failure).", self.console.when_interrupted),
            )
        old = start.old
        if old.nodes == 0:
            self.console.say("This can't be completed: stopping what was started.")
            try:
                stop_all(self.cluster, self.console, self.options.timeout)
            except SatcompError as error:
                return SatcompError(join(failure.message, error.message), error.advice)
            self.changed = False
            automatic_stop.remove(self.aws, self._group)
            return SatcompError(join(failure.message, "No machine is running."), failure.advice)
        automatic_stop.put_back(self.aws, self._group, stop_before)
        with self.console.waiting(f"This can't be completed: going back to {old}") as wait:
            done = start.back(wait, self.options.timeout)
        self.changed = False
        done_or_not = f"The cluster is back at {old}" if done else f"AWS takes the cluster back to {old}"
        return SatcompError(
            join(failure.message, f"{done_or_not}, as before."), join(failure.advice, f"To stop all:\n{SHUTDOWN}")
        )


def _what_runs(fleet: Fleet, price: float) -> str:
    """What to know if the setup ends now. `price` is a machine's, in dollars per hour."""
    wanted = max(fleet.desired_instances, fleet.instances)
    missing = wanted - fleet.instances
    more = f", and {missing} more {'is' if missing == 1 else 'are'} on the way" if missing else ""
    return (
        f"{count(fleet.instances, 'machine')} {'runs' if fleet.instances == 1 else 'run'} or "
        f"{'boots' if fleet.instances == 1 else 'boot'}{more}: {dollars(wanted * price)} per hour. "
        f"Stop them:\n{SHUTDOWN}"
    )


def _check_images(infrastructure: Infrastructure, wanted: list[str], there: set[str]) -> None:
    missing = [tag for tag in wanted if tag not in there]
    if missing:
        options = " ".join(f"--{tag} {tag.upper()}_IMAGE" for tag in missing)
        names = " and ".join(f"'{tag}'" for tag in missing)
        raise SatcompError(
            f"Repository {infrastructure.repository} has no image {names}, so no node could start.",
            f"Push what is missing:\n./push-ecr --project {infrastructure.project} {options}",
        )
