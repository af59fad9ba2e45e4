"""An address with a password in it is never quoted, however wrong it is."""

import pytest

from waypost.platform.database import DatabaseUnusable, open_database
from waypost.platform.redis import RedisUnusable, open_redis


@pytest.mark.parametrize("url", ["postgresql://way:se/cret@db/waypost", "postgres://way:se#cret@db:x/waypost"])
async def test_a_database_address_that_is_none(url: str):
    with pytest.raises(DatabaseUnusable) as refused:
        await open_database(url)
    assert "se" not in refused.value.detail.replace("use", "").replace("password", "").replace("base", "")
    assert "%2F" in refused.value.detail


@pytest.mark.parametrize("url", ["redis://:se/cret@cache:6379", "redis://:se#cret@cache:port"])
def test_a_redis_address_that_is_none(url: str):
    with pytest.raises(RedisUnusable) as refused:
        open_redis(url)
    assert "cret" not in refused.value.detail
    assert "'se'" not in refused.value.detail
