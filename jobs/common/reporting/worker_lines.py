"""What workers log, brought to the driver and logged there, in the order in which it was said.

    with worker_lines() as lines:       # in the driver, where Ray runs; `lines` is a word to be sent to the workers
        ...
    send_lines(lines)                   # in a worker: from here on what it logs goes there too

What they print, and what Ray says about them, stays in Ray's log files. Knows nothing of what they do.
"""

import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from logging.handlers import QueueHandler, QueueListener
from typing import Any

from fromage_model.logs import hear_ours, is_ours


@contextmanager
def worker_lines() -> Iterator[str]:
    """Needs a Ray that runs. Whatever workers logged before the block's end has been said at its end."""
    import ray
    from ray.util.queue import Queue
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    name = f"lines-{uuid.uuid4().hex}"
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    queue = Queue(actor_options={"name": name, "num_cpus": 0, "scheduling_strategy": here})
    listener = _Listener(queue)
    listener.start()
    try:
        yield name
    finally:
        # Where Ray has gone meanwhile, there is nothing more to be heard.
        with suppress(ray.exceptions.RayError):
            listener.stop()
            queue.shutdown(force=True)


def send_lines(name: str, *, level: int = logging.INFO) -> None:
    """Send what of ours is logged from `level` on, and the warnings of others. Call it once in each worker."""
    import ray

    hear_ours()
    sender = _Sender(ray.get_actor(name))
    # Ray Train logs what is printed in a worker, by the root logger.
    sender.addFilter(lambda record: record.levelno >= (level if is_ours(record) else logging.WARNING))
    sender.addFilter(lambda record: record.name != "root")
    logging.getLogger().addHandler(sender)


class _Sender(QueueHandler):
    """Into the actor of Ray's queue; a line is there before the worker goes on."""

    def __init__(self, actor: Any):
        super().__init__(actor)
        self.actor = actor

    def enqueue(self, record: logging.LogRecord) -> None:
        import ray

        ray.get(self.actor.put_nowait.remote(record))


class _Listener(QueueListener):
    """Out of it, to whoever in this process hears the logger of that name."""

    def dequeue(self, block: bool) -> Any:
        import ray

        try:
            return super().dequeue(block)
        except ray.exceptions.RayError:
            return None  # QueueListener's word for the end

    def handle(self, record: logging.LogRecord) -> None:
        logging.getLogger(record.name).handle(record)
