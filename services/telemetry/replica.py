"""What each replica calls first, so that what it measures and logs is heard."""

from services.telemetry.logs import log_as_serve
from services.telemetry.ray_metrics import export_to_ray


def begin_telemetry() -> None:
    """Metrics go to Ray, our lines to the replica's file."""
    export_to_ray()
    log_as_serve()
