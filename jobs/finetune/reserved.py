"""What the workers of a sweep's trial reserved of the cluster, given back when the trial has ended.

Ray Train frees it where a training ends by itself. A trial that the sweep stops is killed, and its CPUs and GPUs would
stay reserved for as long as the job lasts: whoever needs them would wait.
"""

from pathlib import Path

import ray
from ray.util import get_current_placement_group, remove_placement_group
from ray.util.placement_group import PlacementGroup

NOTES = "reserved.txt"
"""In a trial's folder: ids of placement groups, one a line."""


def note_reserved(folder: Path) -> None:
    """In a worker: what it runs in."""
    group = get_current_placement_group()
    if group is not None:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / NOTES).open("a") as notes:
            print(group.id.hex(), file=notes)


def give_back(folder: Path) -> None:
    """Whatever trials noted here; what has been freed already stays so."""
    notes = folder / NOTES
    for line in notes.read_text().split() if notes.is_file() else ():
        remove_placement_group(PlacementGroup(ray.PlacementGroupID(bytes.fromhex(line))))
