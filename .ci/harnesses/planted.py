"""Mistakes on purpose: whoever is there to find one has to, as what it is; and finds nothing where none is made."""

import os
import pathlib
import re
import shutil
import subprocess

from .registry import REPOSITORY, TARGET, Loss

CI = pathlib.Path(__file__).resolve().parents[1]
# Whoever finds a mistake is a harness, or one of these.
OTHERS = {
    "full-disk": [CI / "full-disk"],
    "test": ["cargo", "test", "--quiet", "--locked", "--package", "swr-storage"],
    "test-program": ["cargo", "test", "--quiet", "--locked", "--package", "swr-standalone", "--bin", "swr"],
}

WRAPPER = TARGET / "with-faults"
WITH_FAULTS = os.environ | {"RUSTC_WORKSPACE_WRAPPER": str(WRAPPER)}

SWEEP_OF_SYNCS = "sweep --every 20 --fault EIO-of-a-sync"
SWEEP_OF_APPENDS = "sweep --fault EIO-of-an-append"

# What is planted, who is to find it, and as what.
PLANTED = [
    ("unsynced content", "ack-order", r"got its name before its bytes were synced"),
    ("unsynced name", "ack-order", r"sent before these were synced: .*/blobs/sha256/..'"),
    ("unsynced commits", "ack-order", r"sent before these were synced: .*/registry\.db-wal'"),
    ("early answers", "ack-order", r"answered before its log was synced|got 404"),
    ("early answers", "kill-loop --rounds 10", r"and was acknowledged as|got 404"),
    ("unsynced content", "power-cut --rounds 10", r"has other bytes|got 500"),
    ("unsynced name", "power-cut --rounds 10", r"got 500"),
    ("unsynced commits", "power-cut --rounds 10", r"and was acknowledged as|got 404"),
    ("commits after a failed sync", SWEEP_OF_SYNCS, r"was acknowledged after .*/registry\.db(-wal)? could not be synced"),
    ("unheard failure", SWEEP_OF_SYNCS, r"was acknowledged while .*/blobs/uploads/.* could not be synced"),
    ("a trail with holes", SWEEP_OF_APPENDS, r"of the trail .* are not in its file|the trail's file knows of"),
    ("garbage in use", "racing --events 3000", r"got 500"),
    ("a look away", "schedules --number 2500", r"has lost sha256:"),
    ("facts before bytes", "backup-cut --rounds 10", r"it cannot be restored: .* is not there"),
    ("a failure told as success", "test --test over_files interrupted", r"interrupted::\w+"),
    ("a tag that stays", "test --test registry_model files_and_sqlite", r"files_and_sqlite_agree_with_the_model"),
    ("a read that outlives a write", "test --test registry_model files_and_sqlite", r"files_and_sqlite_agree_with_the_model"),
    ("a renewal that trusts", "test --test registry_model whatever_the_order", r"whatever_the_order_of_its_steps\w+"),
    ("a scrub that trusts", "test --test over_files scrubbing", r"scrubbing::\w+"),
    ("a scrub that trusts", "test --test bucket scrubbing", r"scrubbing::a_flipped_byte\w+"),
    ("parts taken for strays", "test --test bucket scrubbing", r"scrubbing::a_list_that_ends_early\w+"),
    ("strays overlooked", "test --test over_files scrubbing", r"scrubbing::a_stray_file\w+"),
    ("strays overlooked", "test --test bucket scrubbing", r"scrubbing::what_only_the_bucket\w+"),
    ("a scrub that hurries", "test-program scrub::", r"no_more_is_read_than_the_rate_says"),
    ("no reserve", "full-disk", r"expected 20\d, got 507"),
    ("no limits", "limits", r"nothing of a flood was refused"),
    ("a refusal at once", "limits", r"requests: a flood was refused \d+ times"),
    ("a farewell that hurries", "limits", r"bodies at once: \d+ MiB that nobody wanted were read"),
    ("patience without end", "hostile", r"a client that .* body.* is still there after"),
    ("a handshake without end", "hostile", r"a client that .* hello.* is still there after"),
    ("a window without end", "hostile", r"a client that (has no window|takes a byte .*) is still there after"),
]

# Most are found by chance: a disk may have synced by itself what was not synced. Each try has another seed.
TRIES = 5


def planted(harnesses):
    """For these harnesses, or for all of them."""
    found = [one for one in PLANTED if not harnesses or one[1].split()[0] in harnesses]
    if not found:
        raise Loss(f"nothing is planted for {' '.join(harnesses)}")
    program = program_with_faults()
    for harness in dict.fromkeys(harness for _, harness, _ in found):
        ended = run(program, harness, "")
        if ended.returncode != 0:
            raise Loss(f"{harness} fails though nothing is planted: {ended.stdout}{ended.stderr}")
        print(f"nothing planted: {harness} passes", flush=True)
    for fault, harness, expected in found:
        for _ in range(TRIES):
            ended = run(program, harness, fault)
            if ended.returncode != 0:
                break
        said = re.search(f".*({expected}).*", ended.stdout + ended.stderr)
        if ended.returncode == 0 or not said or "Traceback" in ended.stderr:
            raise Loss(f"{fault} is not found by {harness} as what it is: {ended.stdout}{ended.stderr}")
        print(f"{fault} planted: {harness} says {said[0].strip()[:160]}", flush=True)


def run(program, harness, fault):
    name, *arguments = harness.split()
    command = OTHERS.get(name, [CI / "harness", name])
    environment = (WITH_FAULTS if command[0] == "cargo" else os.environ) | {"CI_PROGRAM": str(program), "PLANTED_FAULT": fault}
    return subprocess.run([*command, *arguments], cwd=REPOSITORY, env=environment, capture_output=True, text=True)


def program_with_faults():
    """Whoever builds the workspace so that it makes mistakes has the libraries of others from the tests' build."""
    WRAPPER.parent.mkdir(exist_ok=True)
    WRAPPER.write_text('#!/bin/sh\nexec "$@" --cfg swr_faults\n')
    WRAPPER.chmod(0o755)
    build = ["cargo", "build", "--quiet", "--locked", "--package", "swr-standalone", "--bin", "swr"]
    subprocess.run(build, check=True, cwd=REPOSITORY, env=WITH_FAULTS)
    program = TARGET / "swr-with-faults"
    shutil.copy(TARGET / "debug/swr", program)
    return program
