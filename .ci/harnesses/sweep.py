"""A fault at every kind of moment."""

import json
import os
import pathlib
import random
import re
import shutil
import tempfile
import time

from .ledger import Ledger, named_by
from .registry import (
    CUT,
    Client,
    Fault,
    Loss,
    Server,
    administrator_of,
    expect,
    nothing_is_left_but,
    scrub_finds_nothing,
    started,
)

WRITES = "pwrite64,pwritev,ftruncate"
NAMES = "openat,mkdirat,renameat,unlinkat"
SYNCS = "fsync,fdatasync"
# Content and facts are written at their places. One after the other are the trail in its file, the reserve, and how far
# a scrub has come.
APPENDS = "write,rename"
# What is done to which call, and how many calls there are between two that are tried, in proportion.
FAULTS = {
    "kill": (f"{WRITES},{SYNCS},renameat,unlinkat,mkdirat", "signal=SIGKILL:when={}", 1),
    "EIO-of-a-write": (WRITES, "error=EIO:when={}", 1),
    # As a file system answers that takes nothing past the page cache: of content, no failure at all.
    "EINVAL-of-a-write": (WRITES, "error=EINVAL:when={}", 1),
    "EIO-of-a-sync": (SYNCS, "error=EIO:when={}", 1 / 10),
    "EIO-of-a-name": (NAMES, "error=EIO:when={}", 1 / 8),
    "ENOSPC-of-a-write": (WRITES, "error=ENOSPC:when={}", 1),
    "ENOSPC-of-a-name": (NAMES, "error=ENOSPC:when={}", 1 / 8),
    "ENOSPC-from-then-on": (WRITES, "error=ENOSPC:when={}+", 1),
    "kill-at-an-append": (APPENDS, "signal=SIGKILL:when={}", 1 / 40),
    "EIO-of-an-append": (APPENDS, "error=EIO:when={}", 1 / 40),
    "ENOSPC-of-an-append": (APPENDS, "error=ENOSPC:when={}", 1 / 40),
}
# Of these only those in these places: files are opened, and sockets and events are written to, everywhere.
PLACES = {
    NAMES: ["blobs/uploads", "blobs/blobs/sha256"],
    APPENDS: ["audit", "registry.db-reserve", "scrub.json.new"],
}
# How much of the reserve has been given away before, so that it is put back.
GIVEN = 256 << 10
CALL = re.compile(r"^(\d+) +([\d.]+) (?:<\.\.\. )?(\w+)(?: resumed>|\()(.*)$")
SYNCED = re.compile(r"^\d+<([^>]*)>")


def with_trail(data):
    """Has the trail in a file as well."""
    return {"SWR_AUDIT__FILE": f"{data}/audit"}


def reserve_of(data):
    return pathlib.Path(f"{data}/registry.db-reserve")


class Noting(Client):
    """One that notes down when it asked for what, and what it was told."""

    def __init__(self, server, user):
        super().__init__(server, user)
        self.notes = []

    def ask(self, method, path, body=None, **headers):
        began = time.time()
        answer = super().ask(method, path, body, **headers)
        self.notes.append((began, time.time(), f"{method} {path}", answer[0]))
        return answer


class Script:
    """One flow through everything that writes; it goes on after faults."""

    ACTS = [
        "push", "organise", "append", "mount", "push", "append", "cancel", "remove_tag", "push", "append", "remove",
        "remove_blob", "remove_blob", "organise", "append", "push", "mount", "organise", "pull", "append",
    ]  # fmt: skip

    def __init__(self, seed, user):
        self.ledger, self.user = Ledger(0, seed), user
        # Organisation → whether it may be there, and whether not.
        self.organisations = {"first": {False}}
        self.answered = 0

    def run(self, client):
        """Each act; the faults that were told of it end no more than it."""
        for name in self.ACTS:
            act = self.organise if name == "organise" else getattr(self.ledger, name)
            try:
                act(client)
                self.answered += 1
            except Fault:
                pass  # It may be told, as what it is: nothing is absent because of it.
        return self

    def organise(self, client):
        """Makes an organisation, or removes it again."""
        (name, known), *_ = self.organisations.items()
        if len(known) > 1:
            # Another one, since nobody knows of this one.
            name, known = f"after-{name}", {False}
            self.organisations = {name: known} | self.organisations
        self.organisations[name] = {True, False}
        if known == {True}:
            status, _, said = self.user.manage(client, "DELETE", f"namespaces/{name}")
            expect((204,), f"DELETE of the organisation {name}", status, said)
        else:
            status, _, said = self.user.manage(client, "POST", "namespaces", {"namespace": name})
            expect((201,), f"making the organisation {name}", status, said)
        self.organisations[name] = {not known.pop()}

    def verify(self, client):
        self.ledger.verify(client)
        for name, known in self.organisations.items():
            status, _, said = self.user.manage(client, "GET", f"namespaces/{name}")
            expect((200, 404), f"GET of the organisation {name}", status, said)
            if (status == 200) not in known:
                raise Loss(f"the organisation {name} is told as {status}, and was acknowledged otherwise")
            self.organisations[name] = {status == 200}


class Swept:
    """What is swept: a registry as it was before, and what is done to it."""

    def __init__(self, before, user, seed):
        self.before, self.user, self.seed = before, user, seed

    def once(self, fault, moment):
        """Whether the fault came to be at all, and how much was acknowledged; raises where something was lost."""
        calls, injected, _ = FAULTS[fault]
        with tempfile.TemporaryDirectory(prefix="swr-sweep-") as folder:
            data, trace = f"{folder}/data", pathlib.Path(f"{folder}/trace")
            shutil.copytree(self.before, data)
            reserve = reserve_of(data).stat().st_size
            os.truncate(reserve_of(data), reserve - GIVEN)
            paths = [f"--trace-path={data}/{place}" for place in PLACES.get(calls, [])]
            under = ["strace", "-f", "-qq", "-y", "-ttt", "-o", trace, "-e", f"trace={calls}", *paths]
            inject = f"inject={calls}:{injected.format(moment)}"
            environment = with_trail(data) | {"SWR_COLLECTION__INTERVAL": "1s"}
            server = Server(data, environment, [*under, "-e", inject], mode=())
            script = Script(self.seed, self.user)
            cut, notes = server.address is None, []
            if not cut:
                client = Noting(server, self.user)
                try:
                    script.run(client)
                except CUT:
                    cut = True
                finally:
                    client.close()
                notes = client.notes
            # What ends by itself has told nothing false before.
            server.kill()
            traced = trace.read_text(errors="replace")
            nothing_rests_on_a_failed_sync(traced, notes)
            self.has_all(script, data)
            if reserve_of(data).stat().st_size != reserve:
                raise Loss("the reserve is not what it was")
            # What is killed under strace takes strace along.
            return cut or "(INJECTED)" in traced, script.answered

    def has_all(self, script, data):
        """After a start; and it goes on, and keeps nothing for ever."""
        server = started(data, with_trail(data), mode=())
        try:
            client = Client(server, self.user)
            script.verify(client)
            answered = script.answered
            script.run(client).verify(client)
            if script.answered - answered < len(script.ACTS):
                raise Loss("a fault was told where there was none")
            client.close()
        finally:
            server.end()
        has_the_trail(script, data)
        scrub_finds_nothing(data)
        nothing_is_left_but(named_by([script.ledger]), data)


def has_the_trail(script, data):
    """Every change is in the file, though it may be there twice, and half of it beside that."""
    traced, last = set(), {}
    for line in pathlib.Path(f"{data}/audit").read_text(errors="replace").splitlines():
        try:
            trace = json.loads(line)
        except json.JSONDecodeError:
            continue  # It was torn off.
        traced.add(trace["seq"])
        if trace["resource_type"] == "usernamespace":
            last[trace["resource_name"]] = trace["operation"] == "createUserNamespace"
    if missing := set(range(1, max(traced) + 1)) - traced:
        raise Loss(f"of the trail {sorted(missing)} are not in its file")
    for name, known in script.organisations.items():
        if last.get(name, False) not in known:
            raise Loss(f"the trail's file knows of the organisation {name} otherwise")


def nothing_rests_on_a_failed_sync(trace, notes):
    """Of content and its names nothing was acknowledged while it could not be synced; of facts nothing after that, until
    the next start."""
    for at, path in failed_syncs(trace):
        for began, ended, what, status in notes:
            if path.endswith(("/registry.db", "/registry.db-wal")):
                # The answers of what is nothing but a change of facts.
                removes = what.startswith("DELETE") and "/uploads/" not in what
                if began > at and (status == 201 or removes and status < 300):
                    raise Loss(f"{what} was acknowledged after {path} could not be synced")
            elif "/blobs/" in path and began < at < ended and status < 300:
                raise Loss(f"{what} was acknowledged while {path} could not be synced")


def failed_syncs(trace):
    """When each began, and of what."""
    begun = {}
    for line in trace.splitlines():
        call = CALL.match(line)
        if call and call[3] in SYNCS:
            thread, at, _, rest = call.groups()
            if path := SYNCED.match(rest):
                begun[thread] = (float(at), path[1])
            if "(INJECTED)" in rest:
                yield begun[thread]


def sweep(every, seed, at=None, only=None):
    if only and only not in FAULTS:
        raise Loss(f"no such fault: {only} (there are {', '.join(FAULTS)})")
    with tempfile.TemporaryDirectory(prefix="swr-before-") as before:
        # What a registry writes once in its life is not what is looked at.
        user = administrator_of(before)
        server = started(before, mode=())
        client = Client(server)
        status, _, said = user.manage(client, "POST", "namespaces", {"namespace": "org"})
        expect((201,), "making the organisation", status, said)
        client.close()
        server.end()
        swept = Swept(before, user, seed)
        for fault in [only] if only else FAULTS:
            sweep_of(swept, fault, every, at)


def sweep_of(swept, fault, every, at):
    began, step = time.monotonic(), max(1, round(every * FAULTS[fault][2]))
    moment = at or random.Random(swept.seed).randint(1, step)
    runs, answered = 0, 0
    while True:
        try:
            reached, more = swept.once(fault, moment)
        except Loss as error:
            again = f"sweep --seed {swept.seed} --fault {fault} --at {moment}"
            raise Loss(f"{fault}, call {moment} of a thread: {error} ({again})") from error
        if not reached:
            break
        runs, answered = runs + 1, answered + more
        if at:
            break
        moment += step
    if runs < (1 if at else 3):
        raise Loss(f"{fault} came to be {runs} times")
    took = time.monotonic() - began
    print(f"{fault}: {runs} runs up to call {moment} of a thread,", end=" ")
    print(f"{answered} answers, none of them lost; {took:.0f} s", flush=True)
