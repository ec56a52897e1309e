"""A service that brings a patch into its canary and goes on watching it, until somebody kills it. Run as a process.

`python patch_holder.py HOME` prints `canary` once the patch has a share, and then what the robot says.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

from core.errors import RobotFault
from remend.links.ros_link import RosLink
from sim.catalogue import find_robot
from tests.ros.graph import PATIENCE_S
from tests.ros.test_link import ROBOT, WIDE, changed, to_canary

robot = find_robot(ROBOT)
with RosLink(robot, robot_id="cart-7", simulated=True, connect_s=PATIENCE_S) as link:
    to_canary(link, Path(sys.argv[1]), changed(robot, 1.1), WIDE)
    print("canary", flush=True)
    while True:
        with suppress(RobotFault):
            list(link.read(0.1))
        print(link.status().rollback_reason, flush=True)
