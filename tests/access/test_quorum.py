"""Is it approved? Every rule of the count, and that no order of votes gets around one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from access.quorum import Ballot, Outcome, Step, Verdict, can_be_met, decide

HASH, OTHER = "a" * 64, "b" * 64
ALICE, BOB, CAROL, DAVE = 1, 2, 3, 4
ONE_DBA = (Step("dba", 1),)


def yes(voter: int, team: str = "dba", content_hash: str = HASH) -> Ballot:
    return Ballot(voter, Verdict.APPROVE, content_hash, team)


def no(voter: int, team: str = "dba", content_hash: str = HASH) -> Ballot:
    return Ballot(voter, Verdict.DENY, content_hash, team)


def outcome(steps: tuple[Step, ...], *ballots: Ballot) -> Outcome:
    return decide(steps=steps, requester=ALICE, content_hash=HASH, ballots=ballots).outcome


def test_without_votes_it_waits() -> None:
    assert outcome(ONE_DBA) is Outcome.PENDING


def test_a_policy_without_steps_approves_nothing() -> None:
    assert outcome(()) is Outcome.PENDING
    assert outcome((), yes(BOB)) is Outcome.PENDING


def test_one_vote_of_the_team_approves() -> None:
    assert outcome(ONE_DBA, yes(BOB)) is Outcome.APPROVED


def test_nobody_approves_their_own_access() -> None:
    assert outcome(ONE_DBA, yes(ALICE)) is Outcome.PENDING


def test_two_approvals_are_two_people() -> None:
    two = (Step("dba", 2),)
    assert outcome(two, yes(BOB), yes(BOB)) is Outcome.PENDING
    assert outcome(two, yes(BOB), yes(CAROL)) is Outcome.APPROVED


def test_one_person_counts_once_in_all_steps_together() -> None:
    steps = (Step("dba", 1), Step("security", 1))
    assert outcome(steps, yes(BOB, "dba"), yes(BOB, "security")) is Outcome.PENDING
    assert outcome(steps, yes(BOB, "dba"), yes(CAROL, "security")) is Outcome.APPROVED


def test_steps_are_taken_in_order() -> None:
    steps = (Step("dba", 1), Step("security", 1))
    assert outcome(steps, yes(CAROL, "security"), yes(BOB, "dba")) is Outcome.PENDING
    decision = decide(steps=steps, requester=ALICE, content_hash=HASH, ballots=[yes(BOB)])
    assert decision.current == Step("security", 1)


def test_a_vote_on_other_content_does_not_count() -> None:
    assert outcome(ONE_DBA, yes(BOB, content_hash=OTHER)) is Outcome.PENDING
    assert outcome(ONE_DBA, no(BOB, content_hash=OTHER), yes(BOB)) is Outcome.APPROVED


def test_a_vote_for_another_team_does_not_count() -> None:
    assert outcome(ONE_DBA, yes(BOB, "sales"), no(CAROL, "sales")) is Outcome.PENDING


def test_one_denial_ends_it() -> None:
    two = (Step("dba", 2),)
    assert outcome(two, yes(BOB), no(CAROL)) is Outcome.DENIED
    assert outcome(two, no(CAROL), yes(BOB), yes(DAVE)) is Outcome.DENIED


def test_the_requester_cannot_deny_by_vote_either() -> None:
    assert outcome(ONE_DBA, no(ALICE)) is Outcome.PENDING


ballots = st.builds(
    Ballot,
    st.integers(1, 5),
    st.sampled_from(list(Verdict)),
    st.sampled_from([HASH, OTHER]),
    st.sampled_from(["dba", "security", "sales"]),
)
steps_of_a_policy = st.lists(
    st.builds(Step, st.sampled_from(["dba", "security"]), st.integers(1, 3)), min_size=1, max_size=3
)


@given(steps_of_a_policy, st.lists(ballots, max_size=20))
def test_approved_always_means_enough_distinct_others_said_yes_to_this(steps: list[Step], cast: list[Ballot]) -> None:
    decision = decide(steps=steps, requester=ALICE, content_hash=HASH, ballots=cast)
    if decision.outcome is Outcome.APPROVED:
        agreed = {b.voter for b in cast if b.verdict is Verdict.APPROVE and b.content_hash == HASH}
        assert len(agreed - {ALICE}) >= sum(step.count for step in steps)


@given(steps_of_a_policy, st.lists(ballots, max_size=20))
def test_one_person_alone_never_fills_two_places(steps: list[Step], cast: list[Ballot]) -> None:
    decision = decide(steps=steps, requester=ALICE, content_hash=HASH, ballots=cast)
    seated = [voter for progress in decision.steps for voter in progress.voters]
    assert len(seated) == len(set(seated))
    assert ALICE not in seated


def test_enough_people_can_meet_a_policy() -> None:
    assert can_be_met(steps=ONE_DBA, members={"dba": [BOB]}, requester=ALICE)


def test_the_requester_does_not_help_to_meet_it() -> None:
    assert not can_be_met(steps=ONE_DBA, members={"dba": [ALICE]}, requester=ALICE)


def test_somebody_in_two_teams_fills_one_place() -> None:
    steps = (Step("dba", 1), Step("security", 1))
    assert not can_be_met(steps=steps, members={"dba": [BOB], "security": [BOB]}, requester=ALICE)
    assert can_be_met(steps=steps, members={"dba": [BOB, CAROL], "security": [BOB]}, requester=ALICE)


def test_an_empty_team_or_policy_cannot_be_met() -> None:
    assert not can_be_met(steps=ONE_DBA, members={}, requester=ALICE)
    assert not can_be_met(steps=(), members={"dba": [BOB]}, requester=ALICE)
