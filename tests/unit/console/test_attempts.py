"""How often a password may be tried."""

from trebuchet.console.attempts import LoginAttempts

WINDOW = 60_000


def tried(attempts: LoginAttempts, count: int, name: str, address: str, now_ms: int = 0) -> None:
    for _ in range(count):
        attempts.begin(name, address, now_ms)


def test_a_name_is_tried_so_often_from_everywhere() -> None:
    attempts = LoginAttempts(by_name=3, by_address=100, window_ms=WINDOW)
    tried(attempts, 2, "ann", "a")
    assert attempts.wait_s("ann", "a", 0) == 0
    tried(attempts, 1, "ann", "b")
    assert attempts.wait_s("ann", "c", 0) == 60
    assert attempts.wait_s("ann", "c", 58_500) == 2
    assert attempts.wait_s("ann", "c", WINDOW) == 0
    assert attempts.wait_s("bob", "a", 0) == 0


def test_an_address_tries_so_many_names() -> None:
    attempts = LoginAttempts(by_name=100, by_address=3, window_ms=WINDOW)
    for name in ("ann", "bob", "eve"):
        attempts.begin(name, "a", 0)
    assert attempts.wait_s("zoe", "a", 0) == 60
    assert attempts.wait_s("zoe", "b", 0) == 0


def test_the_count_begins_anew_after_its_window() -> None:
    attempts = LoginAttempts(by_name=2, window_ms=WINDOW)
    tried(attempts, 2, "ann", "a")
    tried(attempts, 1, "ann", "a", WINDOW)
    assert attempts.wait_s("ann", "a", WINDOW) == 0
    tried(attempts, 1, "ann", "a", WINDOW)
    assert attempts.wait_s("ann", "a", WINDOW) == 60


def test_success_forgives_the_name_but_not_what_the_address_did_to_others() -> None:
    attempts = LoginAttempts(by_name=2, by_address=4, window_ms=WINDOW)
    tried(attempts, 3, "bob", "a")
    tried(attempts, 1, "ann", "a")
    attempts.succeeded("ann", "a")
    assert attempts.wait_s("ann", "a", 0) == 0
    tried(attempts, 1, "ann", "a")
    assert attempts.wait_s("ann", "a", 0) == 60


def test_memory_is_bounded() -> None:
    """The longest unused are forgotten; a long name does not cost more, nor is it another one."""
    attempts = LoginAttempts(by_name=1, by_address=1_000_000, window_ms=WINDOW, keys_max=10)
    for n in range(100):
        attempts.begin(f"n{n}", "a", 0)
    assert attempts.wait_s("n0", "a", 0) == 0
    assert attempts.wait_s("n99", "a", 0) == 60
    attempts.begin("x" * 70, "a", 0)
    assert attempts.wait_s("x" * 80, "a", 0) == 60
