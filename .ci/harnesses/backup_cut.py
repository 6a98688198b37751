"""A backup that is killed at any moment, beside pushes and collection."""

import os
import random
import shutil
import subprocess
import tempfile
import threading
import time

from .ledger import COLLECTED, Ledger
from .registry import PROGRAM, Client, Loss, files, pull_whole, scrub_finds_nothing, started


class Images:
    """A repository that rests while it is backed up, and others that are pushed to meanwhile."""

    def __init__(self, seed):
        self.resting, self.busy = Ledger(0, seed), [Ledger(number, seed) for number in (1, 2)]

    def change(self, client):
        """What is acknowledged before the next backup begins. Says what each tag is then."""
        for ledger in [self.resting, *self.busy]:
            # What nothing names is collected from here on.
            ledger.forget()
        for _ in range(8):
            self.resting.act(client)
        self.resting.push(client)
        return {tag: known for tag, (known,) in self.resting.tags.items()}

    def found_in(self, client):
        """What each tag is in what was restored; of the others, that they are whole."""
        for ledger in self.busy:
            for tag in ledger.TAGS:
                pull_whole(client, ledger.repository, tag)
        return {tag: pull_whole(client, self.resting.repository, tag) for tag in self.resting.TAGS}


def backup_cut(rounds, seed):
    moments = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="swr-backup-") as folder:
        data, copy = f"{folder}/data", f"{folder}/copy"
        images = Images(seed)
        # A blob is not collected sooner than a round may take.
        server = started(data, COLLECTED | {"SWR_COLLECTION__LINK_HOLD": "20s"})
        try:
            client = Client(server)
            last = images.change(client)
            lasts = backed_up(data, copy, images, server)
            expect_restored(copy, images, [last])
            outcomes = {"old": 0, "new": 0, "ended before": 0}

            def tells_nothing():
                """Whether too many were killed too late, or all too early: now and then it happens so."""
                return outcomes["old"] < rounds // 4 or outcomes["old"] == sum(outcomes.values())

            while (done := sum(outcomes.values())) < rounds or tells_nothing() and done < 3 * rounds:
                new = images.change(client)
                took = backed_up(data, copy, images, server, moments.uniform(0, 1.5 * lasts))
                killed, lasts = took is None, took or lasts * 1.25
                found = expect_restored(copy, images, [last, new] if killed else [new])
                outcomes["ended before" if not killed else "new" if found == new else "old"] += 1
                last = found
            new = images.change(client)
            backed_up(data, copy, images, server)
            expect_restored(copy, images, [new])
            client.close()
        finally:
            server.end()
        # What is interrupted leaves nothing behind once another one is not.
        ended, whole = backup(data, copy).wait(), backup(data, f"{folder}/whole").wait()
        if ended or whole or sorted(files(copy)) != sorted(files(f"{folder}/whole")):
            raise Loss(f"after {done} backups that were killed another one has other files than a new one")
    if tells_nothing():
        raise Loss(f"the backups were killed too late or too early to tell anything: {outcomes}")
    print(f"{done} backups killed (seed {seed}); which one was there: {outcomes}, whole each time")


def backup(data, copy):
    environment = os.environ | {"SWR_STORAGE__RESERVE": "0B"}
    command = [PROGRAM, "backup", copy, "--data", data]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def backed_up(data, copy, images, server, kill_after=None):
    """How long it took beside pushes; None where it was killed before it was done."""
    ended, failures = threading.Event(), []

    def push(ledger):
        client = Client(server)
        try:
            while not ended.is_set():
                ledger.act(client)
        except Exception as error:  # told below, in the main thread
            failures.append(error)
        finally:
            client.close()

    threads = [threading.Thread(target=push, args=(ledger,)) for ledger in images.busy]
    for thread in threads:
        thread.start()
    began = time.monotonic()
    process = backup(data, copy)
    try:
        process.wait(kill_after)
    except subprocess.TimeoutExpired:
        process.kill()
    status, took = process.wait(), time.monotonic() - began
    ended.set()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    if status > 0:
        raise Loss(f"a backup ended with {status}")
    return took if status == 0 else None


def expect_restored(copy, images, expected):
    """What is in the backup, which is one of these, and whole."""
    data = f"{copy}-restored"
    command = [PROGRAM, "restore", copy, "--data", data]
    environment = os.environ | {"SWR_STORAGE__RESERVE": "0B"}
    restored = subprocess.run(command, env=environment, capture_output=True, text=True)
    if restored.returncode != 0:
        raise Loss(f"it cannot be restored: {restored.stdout}{restored.stderr}")
    server = started(data)
    try:
        client = Client(server)
        found = images.found_in(client)
        client.close()
    finally:
        server.end()
    scrub_finds_nothing(data)
    shutil.rmtree(data)
    if found not in expected:
        raise Loss(f"what was restored has {found}, and not one of {expected}")
    return found
