"""What a ROS 2 workspace needs beyond pyproject.toml: the marker of the package, and launch files with their config."""

from glob import glob

from setuptools import setup

setup(
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/remend"]),
        ("share/remend", ["package.xml"]),
        ("share/remend/launch", glob("launch/*.launch.py")),
        ("share/remend/launch/config", glob("launch/config/*.yaml")),
        ("share/remend/launch/security", glob("launch/security/*.xml")),
    ]
)
