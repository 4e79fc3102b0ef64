#!/usr/bin/env python3
"""Print the scalars of a folder's TensorBoard event files as JSON: {tag: [[step, wall time, value], ...]}.

usage: read_tensorboard.py FOLDER
Reads with tensorboard's own EventAccumulator, so that it says whether TensorBoard would show them.
Needs what tools/tensorboard_requirements.txt pins.
"""
import json
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    events = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0})  # 0: keep them all
    events.Reload()
    print(json.dumps({tag: [[event.step, event.wall_time, event.value] for event in events.Scalars(tag)]
                      for tag in sorted(events.Tags()["scalars"])}))


if __name__ == "__main__":
    main()
