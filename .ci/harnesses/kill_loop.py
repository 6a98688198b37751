"""Killed at any moment."""

import random
import tempfile

from .ledger import COLLECTED, Ledger, act_until, named_by
from .registry import Client, Loss, nothing_is_left_but, scrub_finds_nothing, started


def kill_loop(rounds, seed, clients=4):
    with tempfile.TemporaryDirectory(prefix="swr-kill-") as data:
        ledgers = [Ledger(number, seed) for number in range(clients)]
        moments = random.Random(seed)
        for number in range(rounds):
            # In every other round everything that nothing names goes at once.
            collects = number % 2 == 1
            environment = {"SWR_COLLECTION__INTERVAL": "1s", "SWR_SCRUB__INTERVAL": "1s"}
            if collects:
                environment |= COLLECTED
            server = started(data, environment)
            act_until(server, ledgers, moments.uniform(0.05, 1.0), server.kill)

            server = started(data)
            try:
                client = Client(server)
                for ledger in ledgers:
                    ledger.verify(client, blobs_are_held=not collects)
                client.close()
            finally:
                server.kill()
        scrub_finds_nothing(data)
        nothing_is_left_but(named_by(ledgers), data)
        acknowledged = sum(ledger.acknowledged for ledger in ledgers)
        if acknowledged < rounds:
            raise Loss(f"only {acknowledged} operations were acknowledged")
        print(f"{rounds} kills (seed {seed}), {acknowledged} operations acknowledged, none lost")
