"""The people who use the shop: they sign up, order, give addresses that are taken and cards that are declined."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from random import Random
from typing import NamedTuple

from sqlalchemy.exc import IntegrityError

from examples.shop.shop import PRICES, CardDeclined, Shop

PLANS = ("free", "pro", "team")


class Visit(NamedTuple):
    """How many people sign up at one till, how many orders they place, and the seconds between two steps."""

    sign_ups: int
    orders: int
    pause: float


class Bank:
    """Declines some of the cards: `declines` is the share of them."""

    def __init__(self, declines: float) -> None:
        self._random = Random(1)
        self._declines = declines

    def charge(self, _customer_id: str, cents: int) -> None:
        """Take the money, or raise CardDeclined."""
        if self._random.random() < self._declines:
            raise CardDeclined(f"{cents} cents refused")


@contextmanager
def crowd(shop: Shop, tills: list[Random], plan: Visit) -> Iterator[list[Future[int]]]:
    """One thread for each till. A future gives how many transactions were rolled back; leaving early ends them all."""
    stop = threading.Event()
    with ThreadPoolExecutor(len(tills), "till") as pool:
        try:
            yield [pool.submit(visit, shop, till, random, plan, stop) for till, random in enumerate(tills)]
        finally:
            stop.set()


def visit(shop: Shop, till: int, random: Random, plan: Visit, stop: threading.Event) -> int:
    """Use the shop as so many people would; returns how many transactions were rolled back."""
    customers = [shop.sign_up(_address(till, 0), random.choice(PLANS))]
    steps = ["sign up"] * (plan.sign_ups - 1) + ["order"] * plan.orders
    random.shuffle(steps)
    rolled_back = 0
    for step in steps:
        if stop.wait(plan.pause):
            break
        try:
            _take(step, shop, till, random, customers)
        except (CardDeclined, IntegrityError):
            rolled_back += 1
    return rolled_back


def _take(step: str, shop: Shop, till: int, random: Random, customers: list[str]) -> None:
    if step == "order":
        shop.place_order(random.choice(customers), random.choice(list(PRICES)), random.randint(1, 3))
        return
    # One in five gives an address that is somebody's already.
    mistyped = random.random() < 0.2
    number = random.randrange(len(customers)) if mistyped else len(customers)
    customers.append(shop.sign_up(_address(till, number), random.choice(PLANS)))


def _address(till: int, number: int) -> str:
    return f"person{number}@till{till}.example.com"
