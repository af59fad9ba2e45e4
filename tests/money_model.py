"""What money does, in plain Python and by the reference's words alone: the real thing is held against it."""

from __future__ import annotations

from dataclasses import dataclass, field

PRICE, DEPOSIT = 100_00, 30_00


class Refused(Exception):
    """The rules do not allow it; nothing has changed."""


@dataclass(slots=True)
class Agreement:
    """A layby. ``n``: which one; ``who``: whose."""

    n: int
    who: int
    status: str = "active"
    paid: int = 0
    refund_due: int = 0
    released: bool = False

    @property
    def balance(self) -> int:
        return PRICE - self.paid

    def takes(self, amount: int) -> int:
        """How much of money it applies."""
        return min(amount, self.balance) if self.status == "active" else 0

    def receive(self, amount: int) -> None:
        self.paid += amount
        if amount and self.balance == 0:
            self.status = "completed"


@dataclass(slots=True)
class Money:
    """A payment and where its money lies: ``lies``: by layby, in the order in which it came there."""

    n: int
    amount: int
    who: int | None = None
    credit: int = 0
    suspense: int = 0
    taken_back: int = 0
    unknown: bool = False
    assigned: bool = False
    lies: dict[int, int] = field(default_factory=dict)

    def arrive(self, n: int, amount: int) -> None:
        """Money lies in layby ``n`` now; where there was none of it, it is the newest place."""
        if amount and not self.lies.get(n):
            self.lies.pop(n, None)
        self.lies[n] = self.lies.get(n, 0) + amount


@dataclass(slots=True)
class Model:
    """A shop's laybys and payments."""

    laybys: list[Agreement] = field(default_factory=list)
    money: list[Money] = field(default_factory=list)

    def open(self, who: int) -> None:
        layby = Agreement(len(self.laybys), who)
        self.laybys.append(layby)
        self.pay(layby, DEPOSIT)

    def pay(self, layby: Agreement, amount: int) -> None:
        money = Money(len(self.money), amount, layby.who)
        self.money.append(money)
        self._place(money, layby, amount)

    def pay_unknown(self, amount: int) -> None:
        self.money.append(Money(len(self.money), amount, suspense=amount, unknown=True))

    def assign(self, money: Money, layby: Agreement) -> None:
        if not money.unknown or money.assigned or money.suspense <= 0:
            raise Refused
        amount, money.suspense = money.suspense, 0
        money.who, money.assigned = layby.who, True
        self._place(money, layby, amount)

    def _place(self, money: Money, layby: Agreement, amount: int) -> None:
        applied = layby.takes(amount)
        money.arrive(layby.n, applied)
        money.credit += amount - applied
        layby.receive(applied)

    def till(self, layby: Agreement, amount: int) -> None:
        if layby.takes(amount) < amount:
            raise Refused
        self.pay(layby, amount)

    def credit_of(self, who: int) -> int:
        return sum(money.credit for money in self.money if money.who == who)

    def use_credit(self, layby: Agreement) -> None:
        if layby.status != "active" or not (left := self._usable(layby)):
            raise Refused
        for money in self.money:
            if money.who == layby.who and (part := min(left, money.credit)) > 0:
                left -= part
                money.credit -= part
                money.arrive(layby.n, part)
                layby.receive(part)

    def _usable(self, layby: Agreement) -> int:
        return max(0, min(self.credit_of(layby.who), layby.balance))

    def hold(self, layby: Agreement) -> None:
        self._only(layby, "active")
        layby.status = "on_hold"

    def reactivate(self, layby: Agreement) -> None:
        self._only(layby, "on_hold")
        layby.status = "active"
        if self._usable(layby):
            self.use_credit(layby)

    def collect(self, layby: Agreement) -> None:
        self._only(layby, "completed")
        if layby.released:
            raise Refused
        layby.released = True

    def cancel(self, layby: Agreement) -> None:
        """The customer keeps nine tenths, the fee being rounded half up."""
        self._only(layby, "active", "on_hold")
        layby.status = "cancelled"
        layby.refund_due = layby.paid - (layby.paid + 5) // 10

    def _only(self, layby: Agreement, *statuses: str) -> None:
        if layby.status not in statuses:
            raise Refused

    def _out_of(self, money: Money, n: int, wanted: int, *, reopen: bool) -> int:
        """Take money out of a layby, as far as it lets it go."""
        layby = self.laybys[n]
        free = min(wanted, money.lies[n])
        if layby.status == "cancelled":
            free = min(free, layby.refund_due)
            layby.refund_due -= free
        elif layby.status == "completed":
            if layby.released or not reopen:
                return 0
            layby.status = "active" if free else layby.status
        money.lies[n] -= free
        layby.paid -= free
        return free

    def _take(self, money: Money, amount: int, *, reopen: bool) -> int:
        """Suspense, credit, then laybys, the last one first; what is left over."""
        part = min(amount, max(0, money.suspense))
        money.suspense -= part
        left = amount - part
        part = min(left, max(0, money.credit))
        money.credit -= part
        left -= part
        for n in reversed(money.lies):
            left -= self._out_of(money, n, left, reopen=reopen)
        return left

    def reverse(self, money: Money, amount: int | None) -> None:
        most = money.amount - money.taken_back
        amount = most if amount is None else amount
        if not 0 < amount <= most:
            raise Refused
        money.taken_back += amount
        owed = self._take(money, amount, reopen=True)
        if money.who is None:
            money.suspense -= owed
        else:
            money.credit -= owed

    def free(self, money: Money) -> int:
        """How much of it can be given back."""
        most = max(0, money.suspense) + max(0, money.credit)
        for n, lies_there in money.lies.items():
            layby = self.laybys[n]
            if layby.status == "cancelled":
                most += min(lies_there, layby.refund_due)
            elif layby.status != "completed":
                most += lies_there
        return most

    def refund(self, money: Money, amount: int) -> None:
        if amount > self.free(money):
            raise Refused
        self._take(money, amount, reopen=False)

    def refund_layby(self, layby: Agreement, amount: int | None) -> None:
        """From its newest payments first."""
        amount = layby.refund_due if amount is None else amount
        if not 0 < amount <= layby.refund_due:
            raise Refused
        layby.refund_due -= amount
        layby.paid -= amount
        for money in reversed(self.money):
            part = min(amount, money.lies.get(layby.n, 0))
            if part:
                money.lies[layby.n] -= part
                amount -= part
