"""The power goes: a file system keeps what was synced, or that and the names of what was not."""

import contextlib
import fcntl
import os
import random
import shutil
import struct
import subprocess
import tempfile

from .ledger import COLLECTED, Ledger, act_until, named_by
from .registry import CUT, Client, Fault, Loss, nothing_is_left_but, scrub_finds_nothing, started

# FS_IOC_SHUTDOWN, and its flags: the journal is lost, or is written, though not the bytes that it tells of.
SHUT_DOWN = 0x8004587D
FLAGS = {"journal lost": 2, "journal written": 1}
FILE_SYSTEMS = ("ext4", "xfs")
SBIN = f"{os.environ['PATH']}:/usr/sbin:/sbin"


class Disk:
    """A file system in an image of its own, whose power can be cut."""

    def __init__(self, folder, kind):
        self.image, self.path = f"{folder}/image", f"{folder}/disk"
        os.mkdir(self.path)
        with open(self.image, "wb") as image:
            image.truncate(4 << 30)
        subprocess.run([shutil.which(f"mkfs.{kind}", path=SBIN), "-q", self.image], check=True)

    def __enter__(self):
        subprocess.run(["mount", "-o", "loop", self.image, self.path], check=True)
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", self.path], check=True)

    def cut(self, flag):
        folder = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(folder, SHUT_DOWN, struct.pack("I", flag))
        finally:
            os.close(folder)


def power_cut(rounds, seed):
    kinds = [kind for kind in FILE_SYSTEMS if shutil.which(f"mkfs.{kind}", path=SBIN)]
    if not kinds:
        raise Loss(f"none of these file systems can be made: {FILE_SYSTEMS}")
    for kind in kinds:
        cut_on(kind, rounds, seed)


def cut_on(kind, rounds, seed, clients=4):
    """Every start finds everything that was acknowledged before any of the cuts."""
    with tempfile.TemporaryDirectory(prefix="swr-cut-") as folder:
        disk = Disk(folder, kind)
        data = f"{disk.path}/data"
        ledgers = [Ledger(number, seed) for number in range(clients)]
        moments = random.Random(seed)
        last, collected = "no power cut", False
        for number in range(rounds):
            # In half of the rounds, each kind of cut among them, everything that nothing names goes at once.
            before, collected = collected, number // 4 % 2 == 1
            environment = COLLECTED if collected else {}
            with disk, found_after(f"{kind}, {last}", data, ledgers, before or collected, environment) as server:
                last, flag = list(FLAGS.items())[number % len(FLAGS)]
                # What is not synced any more is told to nobody, or as a fault.
                seconds = moments.uniform(0.05, 1.0)
                act_until(server, ledgers, seconds, lambda: disk.cut(flag), excused=(*CUT, Fault))
        with disk:
            with found_after(f"{kind}, {last}", data, ledgers, collected):
                pass
            scrub_finds_nothing(data)
            nothing_is_left_but(named_by(ledgers), data)
    acknowledged = sum(ledger.acknowledged for ledger in ledgers)
    if acknowledged < rounds:
        raise Loss(f"only {acknowledged} operations were acknowledged")
    print(f"{kind}: {rounds} power cuts (seed {seed}), {acknowledged} operations acknowledged, none lost", flush=True)


@contextlib.contextmanager
def found_after(what, data, ledgers, collected, environment=None):
    """A server that has everything acknowledged, but what may have been collected, and is killed in the end."""
    server = started(data, environment)
    try:
        client = Client(server)
        for ledger in ledgers:
            ledger.verify(client, blobs_are_held=not collected, sessions_are_synced=False)
        client.close()
        yield server
    except Loss as loss:
        raise Loss(f"{what}: {loss}") from loss
    finally:
        server.kill()
