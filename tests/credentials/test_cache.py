"""What is kept: renewed shortly before its end, fetched once however many ask, never given out past its end."""

from __future__ import annotations

import pickle
import threading
from datetime import UTC, datetime, timedelta

import pytest

from access.credentials.base import Credential
from access.credentials.cache import DROPPED_ONCE_IN, FORGOTTEN_AFTER, PAUSE, READ_AGAIN_AFTER, CredentialCache
from access.credentials.errors import SecretNotThere, StoreUnreachable
from access.errors import SecretUnavailable
from connectors.base import Authentication, Secret


class Clocks:
    """Both clocks, turned by hand."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.offset = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

    def running(self) -> float:
        return self.seconds

    def wall(self) -> datetime:
        return self.offset + timedelta(seconds=self.seconds)

    def pass_by(self, seconds: float) -> None:
        self.seconds += seconds


class Provider:
    """Numbers what it gives out."""

    def __init__(self, clocks: Clocks, lasts: float | None = 3600.0) -> None:
        self._clocks = clocks
        self.lasts = lasts
        self.asked = 0
        self.fails: SecretUnavailable | None = None

    def __call__(self) -> Credential:
        self.asked += 1
        if self.fails is not None:
            raise self.fails
        if self.lasts is None:
            return Credential(Secret(f"number {self.asked}"))
        ends = self._clocks.wall() + timedelta(seconds=self.lasts)
        return Credential(Secret(f"number {self.asked}"), Authentication.ACCESS_TOKEN, ends)


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def cache(clocks: Clocks) -> CredentialCache:
    return CredentialCache(clocks.running, clocks.wall)


@pytest.fixture
def provider(clocks: Clocks) -> Provider:
    return Provider(clocks)


def number(credential: Credential) -> int:
    return int(credential.secret.reveal().split()[1])


def test_a_token_is_kept_until_shortly_before_its_end(
    cache: CredentialCache, clocks: Clocks, provider: Provider
) -> None:
    assert number(cache.get("key", provider)) == 1
    clocks.pass_by(3600 - 301)
    assert number(cache.get("key", provider)) == 1
    clocks.pass_by(2)
    assert number(cache.get("key", provider)) == 2
    assert number(cache.get("another key", provider)) == 3


def test_a_short_token_is_renewed_in_the_last_fifth_of_its_life(
    cache: CredentialCache, clocks: Clocks, provider: Provider
) -> None:
    provider.lasts = 100
    cache.get("key", provider)
    clocks.pass_by(79)
    assert number(cache.get("key", provider)) == 1
    clocks.pass_by(2)
    assert number(cache.get("key", provider)) == 2


def test_a_token_that_cannot_be_renewed_is_used_to_its_end_and_no_further(
    cache: CredentialCache, clocks: Clocks, provider: Provider
) -> None:
    cache.get("key", provider)
    provider.fails = StoreUnreachable("It sleeps.")
    clocks.pass_by(3400)
    assert number(cache.get("key", provider)) == 1
    assert number(cache.get("key", provider)) == 1
    assert provider.asked == 2, "a provider that fails is not asked at each login"
    clocks.pass_by(PAUSE)
    assert number(cache.get("key", provider)) == 1
    assert provider.asked == 3
    clocks.pass_by(3590 - 3400 - PAUSE)
    with pytest.raises(StoreUnreachable, match="It sleeps"):
        cache.get("key", provider)


@pytest.mark.parametrize("jump", [timedelta(hours=2), timedelta(hours=-2)])
def test_a_clock_that_is_set_makes_no_token_last_longer(
    cache: CredentialCache, clocks: Clocks, provider: Provider, jump: timedelta
) -> None:
    cache.get("key", provider)
    clocks.offset += jump
    if jump > timedelta(0):
        assert number(cache.get("key", provider)) == 2
    else:
        clocks.pass_by(3591)
        assert number(cache.get("key", provider)) == 2


def test_a_new_token_that_has_run_out_by_our_clock_is_used_and_not_kept(
    cache: CredentialCache, provider: Provider
) -> None:
    """A clock is wrong then, ours or the provider's, and access has to be taken away all the same."""
    provider.lasts = -1
    assert number(cache.get("key", provider)) == 1
    assert number(cache.get("key", provider)) == 2


def test_a_password_is_read_again_and_survives_a_silent_store_for_a_while(
    cache: CredentialCache, clocks: Clocks, provider: Provider
) -> None:
    provider.lasts = None
    assert number(cache.get("key", provider)) == 1
    clocks.pass_by(READ_AGAIN_AFTER + 1)
    assert number(cache.get("key", provider)) == 2
    provider.fails = StoreUnreachable()
    clocks.pass_by(FORGOTTEN_AFTER - 1)
    assert number(cache.get("key", provider)) == 2
    clocks.pass_by(2)
    with pytest.raises(StoreUnreachable):
        cache.get("key", provider)


def test_a_password_that_is_not_there_any_more_is_not_used(
    cache: CredentialCache, clocks: Clocks, provider: Provider
) -> None:
    provider.lasts = None
    cache.get("key", provider)
    provider.fails = SecretNotThere()
    clocks.pass_by(READ_AGAIN_AFTER + 1)
    with pytest.raises(SecretNotThere):
        cache.get("key", provider)


def test_what_was_refused_is_dropped_once(cache: CredentialCache, clocks: Clocks, provider: Provider) -> None:
    first = cache.get("key", provider).secret
    assert cache.drop("key", first)
    second = cache.get("key", provider).secret
    assert second != first
    assert cache.drop("key", first), "another thread, refused with the one before, gets the new one"
    assert cache.get("key", provider).secret == second
    assert not cache.drop("key", second)
    assert cache.get("key", provider).secret == second
    clocks.pass_by(DROPPED_ONCE_IN + 1)
    assert cache.drop("key", second)


# --- Many at once


class SlowProvider(Provider):
    """Answers when it is told to."""

    def __init__(self, clocks: Clocks, lasts: float | None = 3600.0) -> None:
        super().__init__(clocks, lasts)
        self.is_asked, self.may_answer = threading.Event(), threading.Event()
        self.at_once = 0
        self._lock = threading.Lock()

    def __call__(self) -> Credential:
        with self._lock:
            self.at_once += 1
        self.is_asked.set()
        assert self.may_answer.wait(10)
        return super().__call__()


def crowd(cache: CredentialCache, provider: Provider, size: int = 50) -> tuple[list[threading.Thread], list[object]]:
    got: list[object] = []

    def ask() -> None:
        try:
            got.append(cache.get("key", provider))
        except SecretUnavailable as error:
            got.append(error)

    threads = [threading.Thread(target=ask) for _ in range(size)]
    for thread in threads:
        thread.start()
    return threads, got


def test_many_who_ask_at_once_are_one_request(cache: CredentialCache, clocks: Clocks) -> None:
    provider = SlowProvider(clocks)
    threads, got = crowd(cache, provider)
    assert provider.is_asked.wait(10)
    provider.may_answer.set()
    for thread in threads:
        thread.join(10)
    assert provider.asked == provider.at_once == 1
    assert len(got) == 50
    assert len({id(credential) for credential in got}) == 1


def test_many_share_one_failure_each_as_an_exception_of_its_own(cache: CredentialCache, clocks: Clocks) -> None:
    provider = SlowProvider(clocks)
    provider.fails = StoreUnreachable("It sleeps.")
    threads, got = crowd(cache, provider)
    assert provider.is_asked.wait(10)
    while sum(thread.is_alive() for thread in threads) < 50:
        pass
    provider.may_answer.set()
    for thread in threads:
        thread.join(10)
    assert len(got) == 50
    assert {str(error) for error in got} == {str(StoreUnreachable("It sleeps."))}
    assert len({id(error) for error in got}) > 1
    assert provider.asked < 50


def test_while_one_renews_the_others_go_on_with_the_old_one(cache: CredentialCache, clocks: Clocks) -> None:
    provider = SlowProvider(clocks)
    provider.may_answer.set()
    cache.get("key", provider)
    provider.may_answer.clear()
    provider.is_asked.clear()
    clocks.pass_by(3400)
    renewing = threading.Thread(target=lambda: cache.get("key", provider))
    renewing.start()
    assert provider.is_asked.wait(10)
    assert number(cache.get("key", provider)) == 1, "nobody waits while there is a good one"
    provider.may_answer.set()
    renewing.join(10)
    assert number(cache.get("key", provider)) == 2
    assert provider.asked == 2


def test_one_who_is_stopped_while_fetching_leaves_nobody_waiting(cache: CredentialCache, clocks: Clocks) -> None:
    def stopped() -> Credential:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.get("key", stopped)
    assert number(cache.get("key", Provider(clocks))) == 1


def test_nothing_of_it_is_printed_or_pickled(cache: CredentialCache, provider: Provider) -> None:
    credential = cache.get("key", provider)
    assert "number 1" not in repr(credential) + str(credential) + repr(cache._kept)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(credential)
