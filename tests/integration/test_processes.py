"""The supervisor with real programs."""

import asyncio
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from waypost.platform.processes import Child, Lines, ProcessFailed, Supervisor, next_delay

DEADLINE_S = 10.0
SERVER = Path(__file__).resolve().parents[2] / "server"
OBEDIENT = "import signal, sys, time; print('up', flush=True); signal.pause()"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); signal.pause()"


def python(code: str) -> list[str]:
    return [sys.executable, "-u", "-c", code]


async def until(holds: Callable[[], object]) -> None:
    """Poll: what happens in another process wakes nothing here."""
    async with asyncio.timeout(DEADLINE_S):
        while not holds():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.01)


def runs(pid: int) -> bool:
    """Whether a process runs: one that only waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except FileNotFoundError:
        return False


class World:
    """A supervisor and what it wrote."""

    def __init__(self, output: Path) -> None:
        self.output = output
        self.file = output.open("w")
        self.supervisor = Supervisor(self.file, grace_s=2.0)

    @property
    def text(self) -> str:
        return self.output.read_text()


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path / "output")
    yield made
    await made.supervisor.stop()
    made.file.close()


async def test_lines_of_both_streams_are_prefixed_with_the_padded_name(world: World) -> None:
    code = "import sys, signal; print('one'); print('two', file=sys.stderr); signal.pause()"
    await world.supervisor.start("server-1", python(OBEDIENT))
    await world.supervisor.start("relay", python(code))
    await until(lambda: world.text.count("\n") == 3)
    assert set(world.text.splitlines()) == {"server-1 | up", "relay    | one", "relay    | two"}


async def test_prefixes_are_coloured_on_a_terminal_unless_no_color_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = []
    for no_color in ("", "1"):
        monkeypatch.setenv("NO_COLOR", no_color)
        master, slave = pty.openpty()
        with os.fdopen(slave, "w") as terminal:
            supervisor = Supervisor(terminal)
            await supervisor.start("x", python(OBEDIENT))
            outputs.append(await asyncio.to_thread(os.read, master, 100))
            await supervisor.stop()
        os.close(master)
    assert [b"\x1b[" in output for output in outputs] == [True, False]


async def test_an_unexpected_end_is_reported_with_its_status_and_last_lines(world: World) -> None:
    await world.supervisor.start("worker", python("print('first'); print('no licence'); raise SystemExit(3)"))
    failure = await asyncio.wait_for(world.supervisor.failed(), DEADLINE_S)
    assert (failure.name, failure.exit_code, failure.last_lines) == ("worker", 3, ("first", "no licence"))
    assert str(failure) == "worker ended with status 3: no licence"


async def test_a_name_can_be_used_again_when_its_child_has_ended_and_not_before(world: World) -> None:
    await world.supervisor.start("worker", python("pass"))
    await asyncio.wait_for(world.supervisor.failed(), DEADLINE_S)
    await until(lambda: "tend worker" not in {task.get_name() for task in asyncio.all_tasks()})
    await world.supervisor.start("worker", python(OBEDIENT))
    with pytest.raises(ValueError, match="already a child named worker"):
        await world.supervisor.start("worker", python(OBEDIENT))


async def test_each_unexpected_end_is_reported_once(world: World) -> None:
    for name in ("a", "b"):
        await world.supervisor.start(name, python("pass"))
    async with asyncio.timeout(DEADLINE_S):
        assert {(await world.supervisor.failed()).name, (await world.supervisor.failed()).name} == {"a", "b"}
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(world.supervisor.failed(), 0.05)


async def test_a_child_with_restart_is_started_again_and_is_no_failure(world: World, tmp_path: Path) -> None:
    lives = tmp_path / "lives"
    code = (
        f"open({str(lives)!r}, 'a').write('x'); import signal; len(open({str(lives)!r}).read()) > 1 and signal.pause()"
    )
    child = await world.supervisor.start("worker", python(code), restart=True)
    first = child.pid
    await until(lambda: lives.exists() and lives.read_text() == "xx" and child.pid not in (None, first))
    assert "worker | worker ended with status 0" in world.text
    assert "again in 0.5 s" in world.text
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(world.supervisor.failed(), 0.05)


async def test_stop_ends_a_child_that_waits_for_its_restart(world: World) -> None:
    await world.supervisor.start("worker", python("pass"), restart=True)
    await until(lambda: "again in" in world.text)
    await world.supervisor.stop()
    assert world.text.count("again in") == 1


def test_restart_delays_double_to_half_a_minute_and_begin_again_after_a_minute_of_life() -> None:
    delays = [next_delay(None, 0)]
    for _ in range(7):
        delays.append(next_delay(delays[-1], 1))
    assert delays == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert next_delay(30, 60) == 0.5


async def test_stop_ends_groups_in_reverse_order(world: World) -> None:
    code = (
        "import signal, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('bye'), sys.exit(0)))\n"
        "print('up')\nwhile True: signal.pause()"
    )
    for name, group in (("base", "base"), ("web-1", "web"), ("web-2", "web"), ("last", "last")):
        await world.supervisor.start(name, python(code), group=group)
    await until(lambda: world.text.count("| up") == 4)
    await world.supervisor.stop()
    order = [line.split()[0] for line in world.text.splitlines() if line.endswith("| bye")]
    assert (order[0], set(order[1:3]), order[3]) == ("last", {"web-1", "web-2"}, "base")


async def test_one_group_can_be_stopped_alone(world: World) -> None:
    kept = await world.supervisor.start("kept", python(OBEDIENT))
    gone = await world.supervisor.start("gone", python(OBEDIENT), group="extra")
    await world.supervisor.stop("extra")
    assert (kept.pid is None, gone.pid) == (False, None)


async def test_a_child_that_ignores_sigterm_is_killed_after_the_grace(world: World) -> None:
    world.supervisor.grace_s = 0.3
    child = await world.supervisor.start("stubborn", python(STUBBORN))
    await until(lambda: "up" in world.text)
    begun = time.monotonic()
    await world.supervisor.stop()
    assert 0.3 <= time.monotonic() - begun < 3
    assert child.failure().exit_code == -signal.SIGKILL


async def test_a_child_that_may_take_longer_to_end_gets_its_own_grace(world: World) -> None:
    world.supervisor.grace_s = 0.2
    slowly = (
        "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.8), sys.exit(7)));"
        " print('up', flush=True); signal.pause()"
    )
    child = await world.supervisor.start("sender", python(slowly), grace_s=5)
    await until(lambda: "up" in world.text)
    await world.supervisor.stop()
    assert child.failure().exit_code == 7


async def test_stop_may_be_repeated_and_finds_children_already_gone(world: World) -> None:
    child = await world.supervisor.start("worker", python(OBEDIENT))
    os.kill(child.pid or 0, signal.SIGKILL)
    await until(lambda: child.pid is None)
    await world.supervisor.stop()
    await world.supervisor.stop()
    await world.supervisor.start("worker", python(OBEDIENT))  # and it can be used again


async def test_stop_leaves_no_task_behind(world: World) -> None:
    before = asyncio.all_tasks()
    await world.supervisor.start("a", python(OBEDIENT))
    await world.supervisor.start("b", python("pass"), restart=True)
    await world.supervisor.stop()
    assert asyncio.all_tasks() == before


async def test_ten_megabytes_without_a_newline_are_cut_and_do_not_block_the_child(world: World) -> None:
    code = "import sys, signal; sys.stdout.write('x' * 10_000_000 + '\\nafter\\n'); sys.stdout.flush(); signal.pause()"
    child = await world.supervisor.start("chatty", python(code))
    await until(lambda: "| after" in world.text)
    assert "(9991808 bytes more)" in world.text
    assert sum(map(len, child.lines)) < 20_000


async def test_an_output_that_nobody_reads_blocks_neither_us_nor_the_child(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    done = tmp_path / "done"
    with os.fdopen(writing, "w") as full:
        supervisor = Supervisor(full)
        code = f"import signal\nfor n in range(50_000): print('line', n)\nopen({str(done)!r}, 'w'); signal.pause()"
        await supervisor.start("flood", python(code))
        await until(done.exists)
        drain = asyncio.create_task(asyncio.to_thread(Path(f"/dev/fd/{reading}").read_bytes))
        await supervisor.stop()
    text = await drain
    os.close(reading)
    assert b"flood | line 0\n" in text
    assert b"lines dropped)" in text
    assert len(text.splitlines()) < 50_000


async def test_start_returns_when_the_child_is_ready(world: World, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    code = f"import signal; open({str(mark)!r}, 'w'); signal.pause()"
    await world.supervisor.start("worker", python(code), ready=lambda: until(mark.exists))
    assert mark.exists()


async def test_a_child_that_ends_before_it_is_ready_fails_its_start_and_only_that(world: World) -> None:
    with pytest.raises(ProcessFailed, match="worker ended with status 4: no port"):
        await world.supervisor.start(
            "worker", python("print('no port'); raise SystemExit(4)"), ready=asyncio.Event().wait, restart=True
        )
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(world.supervisor.failed(), 0.05)


async def test_a_child_that_is_not_ready_in_time_is_ended(world: World) -> None:
    with pytest.raises(ProcessFailed, match=r"worker was not ready within 0\.2 s") as caught:
        await world.supervisor.start("worker", python(OBEDIENT), ready=asyncio.Event().wait, ready_within_s=0.2)
    assert caught.value.failure.name == "worker"


async def test_a_program_that_is_not_there_fails_its_start_with_its_path(world: World) -> None:
    with pytest.raises(ProcessFailed, match="/no/such/program: No such file or directory"):
        await world.supervisor.start("worker", ["/no/such/program"])


async def test_a_child_is_not_in_our_session_so_ctrl_c_reaches_only_us(world: World) -> None:
    child = await world.supervisor.start("worker", python(OBEDIENT))
    assert os.getsid(child.pid or 0) == child.pid


async def test_a_grandchild_that_keeps_the_pipe_does_not_hide_the_childs_end(world: World) -> None:
    code = "import subprocess, sys; subprocess.Popen(['sleep', '5']); print('parent gone')"
    await world.supervisor.start("worker", python(code))
    failure = await asyncio.wait_for(world.supervisor.failed(), 4.0)
    assert failure.last_lines == ("parent gone",)


PARENT = f"""
import asyncio, sys
from signal import Signals
from waypost.platform.processes import Supervisor

async def main():
    supervisor = Supervisor(sys.stderr)
    soft = await supervisor.start("soft", [sys.executable, "-c", {OBEDIENT!r}])
    hard = await supervisor.start("hard", [sys.executable, "-c", {STUBBORN!r}], death_signal=Signals.SIGKILL)
    print(soft.pid, hard.pid, flush=True)
    await asyncio.Event().wait()

if "uvloop" in sys.argv:
    import uvloop
    uvloop.run(main())
asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
async def test_children_end_with_a_parent_that_was_killed(loop: str) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(SERVER), *sys.path])}
    parent = await asyncio.create_subprocess_exec(
        *python(PARENT), loop, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert parent.stdout is not None
    pids = [int(pid) for pid in (await parent.stdout.readline()).split()]
    assert len(pids) == 2
    parent.kill()
    await parent.wait()
    await until(lambda: not any(map(runs, pids)))


async def test_a_child_that_closes_its_output_is_still_watched(world: World) -> None:
    code = "import os, signal; os.close(1); os.close(2); signal.pause()"
    child: Child = await world.supervisor.start("quiet", python(code))
    assert child.pid
    os.kill(child.pid, signal.SIGKILL)
    failure = await asyncio.wait_for(world.supervisor.failed(), DEADLINE_S)
    assert failure.exit_code == -signal.SIGKILL


def test_lines_are_cut_from_any_pieces() -> None:
    said: list[str] = []
    lines = Lines(said.append)
    for piece in (b"on", b"e\r\ntwo\nth", b"ree"):
        lines.data_received(piece)
    lines.connection_lost(None)
    assert said == ["one", "two", "three"]
