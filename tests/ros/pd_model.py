"""The law that stands for the controller of `pid_robot.py`."""

from __future__ import annotations

from pathlib import Path

from controllers.artefact import Artefact, artefact_from_files

LAW = """
def control(q, qd, q_ref, qd_ref, kp, kd, tau):
    for i in range(2):
        tau[i] = kp[i] * (q_ref[i] - q[i]) + kd[i] * (qd_ref[i] - qd[i])
"""
MANIFEST = """
name = "pd"
version = "1"
summary = "PD control of two joints"
signals = ["q", "qd", "q_ref", "qd_ref"]
[params.kp]
unit = "N*m/rad"
size = 2
low = [100.0, 10.0]
high = [2000.0, 400.0]
max_step = 0.5
effect = "Higher is stiffer."
role = "gain"
ros_parameter = "gains.{joint}.p"
[params.kd]
unit = "N*m*s/rad"
size = 2
low = [1.0, 1.0]
high = [200.0, 40.0]
max_step = 0.5
effect = "Higher damps more."
role = "gain"
ros_parameter = "gains.{joint}.d"
[outputs.tau]
unit = "N*m"
size = 2
"""
PARAMS = "kp = [900.0, 120.0] # as found\nkd = [60.0, 8.0]\n"
BEFORE = {"gains.shoulder.p": 900.0, "gains.elbow.p": 120.0, "gains.shoulder.d": 60.0, "gains.elbow.d": 8.0}
FILES = {"law.py": LAW.encode(), "manifest.toml": MANIFEST.encode(), "params.toml": PARAMS.encode()}


def model(law: str = LAW) -> Artefact:
    return artefact_from_files("pd", {**FILES, "law.py": law.encode()})


def write_model(folder: Path) -> Path:
    """The folder that a user would write."""
    folder.mkdir()
    for name, data in FILES.items():
        (folder / name).write_bytes(data)
    return folder
