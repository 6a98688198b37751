"""Schedules that are chosen: the engine over memory, where each lock is a place to turn to another thread."""

import json
import os
import re
import subprocess
import time

from .registry import REPOSITORY, Loss


def schedules(number, seed):
    test = test_on_schedules()
    environment = os.environ | {"RUST_BACKTRACE": "0", "SCHEDULES": str(number), "SHUTTLE_RANDOM_SEED": str(seed)}
    began = time.monotonic()
    ended = subprocess.run([test], env=environment, capture_output=True, text=True)
    if ended.returncode != 0:
        said = re.search(r"panicked at [^\n]*\n(.*)", ended.stdout + ended.stderr)
        raise Loss(f"{said.group(1) if said else 'no schedule ran'}\n{ended.stdout}{ended.stderr}")
    seconds = time.monotonic() - began
    print(f"nothing was lost on {number} schedules, {number / seconds:.0f} a second")


def test_on_schedules():
    """With a target of its own: whatever the build itself runs is as the other tests have it."""
    version = subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout
    target = re.search(r"^host: (.*)$", version, re.MULTILINE).group(1)
    build = ["cargo", "test", "--quiet", "--locked", "--package", "swr-core", "--test", "schedules", "--no-run"]
    build += ["--target", target, "--message-format", "json"]
    environment = os.environ | {"RUSTFLAGS": "--cfg shuttle --cfg swr_faults"}
    built = subprocess.run(build, check=True, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True).stdout
    messages = [json.loads(line) for line in built.splitlines()]
    return next(message["executable"] for message in messages if message.get("executable"))
