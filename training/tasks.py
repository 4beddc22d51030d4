"""Queue tasks: each only wakes a worker, which finds its work in the rows."""

import time

from django.conf import settings

from annotation.models import Project
from training import devices, jobs, runner, runs, toxicity
from training.snapshots import asking, comparisons


def work() -> int:
    """On the gpu cluster: execute queued runs on a free part of this machine's devices until none is left.

    Returns how many. Delivered twice, the second finds nothing. Before the queue would end this worker for having taken
    too long, another message takes over.
    """
    done, began = 0, time.monotonic()
    try:
        with devices.taken() as part:
            while (run := runs.claim(worker=runner.worker_name(), devices=max(1, len(part)))) is not None:
                runner.execute(run, part)
                done += 1
                if time.monotonic() - began > settings.GPU_TIMEOUT - 60 * settings.RUN_LIMIT_MINUTES:
                    runs.wake_gpu()
                    break
    except devices.NoneFree:  # another worker of this machine is at work, and finds what waits
        pass
    return done


def freeze(freezing_id: int) -> None:
    """On the default cluster: freeze what was asked for; delivered twice, the second finds nothing to do."""
    asking.perform(freezing_id)


def compare_snapshots(asked_id: int) -> None:
    """On the default cluster: lay two snapshots side by side; delivered twice, the second finds nothing to do."""
    comparisons.perform(asked_id)


def read_for_toxicity() -> int:
    """On the default cluster: in each project that names a classifier, begin to read what is new; scheduled every ten
    minutes, safe at any time. Returns how many runs were started."""
    named = Project.objects.active().filter(toxicity_policy__isnull=False)
    return sum(toxicity.start_if_due(project) for project in named)


def prepare_job(job_id: int) -> None:
    """On the default cluster: a job's files are checked, and it gets its run."""
    jobs.prepare(job_id=job_id)
