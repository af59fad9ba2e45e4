import asyncio, io, sys
import pytest
import tests.e2e.test_storm as st
from tests.e2e.test_storm import *  # noqa
from tests.e2e import crowds
del test_no_client_misses_repeats_or_reorders_anything_unknowingly

@pytest.mark.timeout(600)
async def test_debug(world, tmp_path):
    st.CONVERGED_WITHIN_S = 15
    nodes = Nodes(world.env)
    async with AsyncExitStack() as exits:
        await asyncio.gather(nodes.start(0), nodes.start(1))
        exits.push_async_callback(close, nodes)
        load = await exits.enter_async_context(loaded(world, nodes, TRIPS))
        crowd = await exits.enter_async_context(python(load, tmp_path))
        await befall(Trouble(world, nodes), load, crowd, 1)
        await load.ends()
        with suppress(AssertionError):
            await until(lambda: converged(crowd, load), 15)
        for name, c in crowd.clients.items():
            print("=====", name, "online", c.online.is_set(), "link", c.link, c.link and c.link.lost.is_set(), len(c._staying), {k[:4]: (m.room.state, m.room.mark) for k, m in c._members.items()})
            coro = c._running.get_coro()
            while coro is not None:
                f = getattr(coro, "cr_frame", None)
                if f is None: print("   ", coro); break
                print("   ", f.f_code.co_filename.split("/")[-1], f.f_lineno, f.f_code.co_name)
                coro = getattr(coro, "cr_await", None)
        for j in await crowd.journals(): print(j.name, len(j.wire), j.connections, j.faults()[:3])
        sys.stdout.flush()
