"""Queue tasks of the gpu cluster: each only wakes a worker, which finds its work in the rows."""

from training import runner, runs


def work() -> int:
    """Execute queued runs until none is left; returns how many. Delivered twice, the second finds nothing."""
    done = 0
    while (run := runs.claim(worker=runner.worker_name())) is not None:
        runner.execute(run)
        done += 1
    return done
