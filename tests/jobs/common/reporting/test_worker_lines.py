"""What matters of what workers say is said by the driver, in its order, before the driver goes on."""

import logging

import ray

from jobs.common.reporting.worker_lines import send_lines, worker_lines


@ray.remote(num_cpus=0.1)
def work(lines: str, level: int) -> None:
    send_lines(lines, level=level)
    ours, theirs = logging.getLogger("jobs.somewhere"), logging.getLogger("library")
    ours.info("step %d", 1)
    ours.warning("skipped a step")
    theirs.info("all is well")
    theirs.warning("a pipe burst")
    logging.getLogger("root").warning("printed")
    print("printed")


def said_by(level: int, caplog) -> list[str]:
    with caplog.at_level(logging.INFO), worker_lines() as lines:
        ray.get(work.remote(lines, level))
    return [f"{record.name} {record.levelname} {record.message}" for record in caplog.records]


WARNINGS = ["jobs.somewhere WARNING skipped a step", "library WARNING a pipe burst"]


def test_a_worker_s_lines_are_heard_when_it_is_done(ray_session, caplog):
    assert said_by(logging.INFO, caplog) == ["jobs.somewhere INFO step 1", *WARNINGS]


def test_a_worker_whose_progress_another_tells_says_what_is_wrong(ray_session, caplog):
    assert said_by(logging.WARNING, caplog) == WARNINGS


def test_a_queue_that_died_costs_the_lines_and_nothing_else(ray_session, caplog):
    with worker_lines() as lines:
        ray.kill(ray.get_actor(lines))
