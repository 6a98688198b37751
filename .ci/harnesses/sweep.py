"""A fault at every kind of moment."""

import pathlib
import random
import shutil
import signal
import tempfile

from .registry import (
    CUT,
    Client,
    Fault,
    Loss,
    Server,
    digest_of,
    expect,
    manifest_of,
    pull_whole,
    push_blob,
    put_manifest,
    scrub_finds_nothing,
    started,
)

SWEPT = "pwrite64,pwritev,fsync,fdatasync,renameat,ftruncate,unlinkat,mkdirat"
FAULTS = {"kill": "signal=SIGKILL", "EIO": "error=EIO", "ENOSPC": "error=ENOSPC"}


class Script:
    """One flow through everything that writes, and what of it was acknowledged."""

    def __init__(self):
        self.tags = {}  # tag → what it may be
        self.answered = 0

    def run(self, client):
        for number, chunks in [(0, 1), (1, 2)]:
            content = random.Random(number).randbytes(200_000)
            digest = push_blob(client, "org/app", content, chunks)
            manifest = manifest_of([(digest, len(content))], str(number))
            for tag in [f"v{number}", "latest"]:
                self.put(client, tag, manifest)
        self.tags["v0"] = self.tags["v0"] | {None}
        status, _, said = client.ask("DELETE", "/v2/org/app/manifests/v0")
        expect((202,), "DELETE", status, said)
        self.tags["v0"] = {None}

    def put(self, client, tag, manifest):
        digest = digest_of(manifest)
        self.tags[tag] = self.tags.get(tag, {None}) | {digest}
        put_manifest(client, "org/app", tag, manifest)
        self.tags[tag] = {digest}
        self.answered += 1

    def verify(self, client):
        for tag, known in self.tags.items():
            found = pull_whole(client, "org/app", tag)
            if found not in known:
                raise Loss(f"org/app:{tag} is {found}, and was acknowledged as {known}")


def swept_once(fault, moment, before):
    """Whether the fault came to be at all, on a copy of what was before; raises where something was lost."""
    with tempfile.TemporaryDirectory(prefix="swr-sweep-") as data:
        inject = f"inject={SWEPT}:{FAULTS[fault]}:when={moment}"
        under = ["strace", "-f", "-qq", "-o", f"{data}/trace", "-e", f"trace={SWEPT}", "-e", inject]
        shutil.copytree(before, f"{data}/data")
        server = Server(f"{data}/data", {"SWR_COLLECTION__INTERVAL": "1s"}, under)
        script = Script()
        cut = server.address is None
        if not cut:
            client = Client(server)
            try:
                script.run(client)
            except CUT:
                cut = True
            except Fault:
                pass  # It may be told, as what it is: nothing is absent because of it.
            finally:
                client.close()
        server.end()
        # What is killed under strace takes strace along.
        killed = server.process.returncode == -signal.SIGKILL
        reached = cut or killed or "(INJECTED)" in pathlib.Path(f"{data}/trace").read_text(errors="replace")

        server = started(f"{data}/data")
        try:
            client = Client(server)
            script.verify(client)
            # And it goes on.
            again = Script()
            again.run(client)
            again.verify(client)
            client.close()
        finally:
            server.end()
        scrub_finds_nothing(f"{data}/data")
        return reached, script.answered


def sweep(every):
    with tempfile.TemporaryDirectory(prefix="swr-before-") as before:
        # What a registry writes once in its life is not what is looked at.
        Server(before).end()
        for fault in FAULTS:
            runs, answered, moment = 0, 0, random.randint(1, every)
            while True:
                try:
                    reached, more = swept_once(fault, moment, before)
                except Loss as error:
                    raise Loss(f"{fault} at call {moment} of a thread: {error}") from error
                if not reached:
                    break
                runs, answered, moment = runs + 1, answered + more, moment + every
            if runs < 3:
                raise Loss(f"{fault} came to be {runs} times")
            print(f"{fault}: {runs} runs up to call {moment} of a thread, {answered} answers, none of them lost", flush=True)
