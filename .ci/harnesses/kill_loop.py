"""Killed at any moment."""

import random
import tempfile

from .ledger import Ledger, act_until
from .registry import Client, Loss, scrub_finds_nothing, started


def kill_loop(rounds, seed, clients=4):
    with tempfile.TemporaryDirectory(prefix="swr-kill-") as data:
        ledgers = [Ledger(number, seed) for number in range(clients)]
        moments = random.Random(seed)
        for number in range(rounds):
            # In every other round everything that nothing names goes at once.
            collects = number % 2 == 1
            environment = {"SWR_COLLECTION__INTERVAL": "1s", "SWR_SCRUB__INTERVAL": "1s"}
            if collects:
                environment |= {
                    "SWR_COLLECTION__UNTAGGED_KEEP": "0s",
                    "SWR_COLLECTION__LINK_HOLD": "30s",
                    "SWR_COLLECTION__UNSAFE_SHORT_HOLD": "true",
                }
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
        acknowledged = sum(ledger.acknowledged for ledger in ledgers)
        if acknowledged < rounds:
            raise Loss(f"only {acknowledged} operations were acknowledged")
        print(f"{rounds} kills (seed {seed}), {acknowledged} operations acknowledged, none lost")
