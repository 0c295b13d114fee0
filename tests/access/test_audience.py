"""Who could get what: the same answer as asking would give, person by person, and quick with thousands."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from access.audience import Guarded, Members, Rules, Way, audience, ways_of
from access.quorum import Step, can_be_met
from connectors.base import Level

TEAMS = ("backend", "dba", "security", "on-call")
READ = Guarded("orders-read", "Orders: read", Level.READ, "production")
WRITE = Guarded("orders-write", "Orders: write", Level.WRITE, "production")

teams = st.sampled_from(TEAMS)
members = st.fixed_dictionaries({team: st.frozensets(st.integers(1, 7), max_size=5) for team in TEAMS})
rules = st.builds(
    Rules,
    requesters=st.frozensets(teams, min_size=1),
    steps=st.lists(st.builds(Step, teams, st.integers(1, 3)), max_size=3).map(tuple),
    self_approved_environments=st.frozensets(st.sampled_from(["production", "staging"])),
    break_glass_team=st.sampled_from(["", *TEAMS]),
)


@given(rules=rules, members=members)
def test_whoever_could_ask_is_where_asking_would_put_them(rules: Rules, members: Members) -> None:
    found = audience(rules=rules, role=WRITE, members=members)
    requesters = {person for team in rules.requesters for person in members[team]}
    met = {person for person in requesters if can_be_met(steps=rules.steps, members=members, requester=person)}
    assert (found.asking, found.in_vain, found.at_once) == (met, requesters - met, frozenset())


@given(rules=rules, members=members)
def test_reads_approve_themselves_where_the_policy_says_so(rules: Rules, members: Members) -> None:
    found = audience(rules=rules, role=READ, members=members)
    if "production" in rules.self_approved_environments:
        assert found.at_once == {person for team in rules.requesters for person in members[team]}
        assert not found.asking | found.in_vain
    else:
        assert found == audience(rules=rules, role=WRITE, members=members)


@given(rules=rules, members=members)
def test_what_one_person_gets_is_what_everybody_in_their_teams_gets(rules: Rules, members: Members) -> None:
    found = audience(rules=rules, role=READ, members=members).by_way()
    for person in range(1, 8):
        theirs = frozenset(team for team, people in members.items() if person in people)
        ways = ways_of(teams=theirs, rules=rules, role=READ)
        for way in (Way.AT_ONCE, Way.GLASS, Way.APPROVE):
            assert (person in found[way]) == (way in ways)


def test_nobody_is_counted_for_their_own_request() -> None:
    rules = Rules(frozenset({"dba"}), (Step("dba", 2),), frozenset())
    assert audience(rules=rules, role=WRITE, members={"dba": frozenset({1, 2})}).in_vain == {1, 2}
    assert audience(rules=rules, role=WRITE, members={"dba": frozenset({1, 2, 3})}).asking == {1, 2, 3}


def test_no_rules_and_no_team_give_nothing() -> None:
    rules = Rules(frozenset({"backend"}), (Step("dba", 1),), frozenset({"production"}))
    assert ways_of(teams=frozenset(TEAMS), rules=None, role=READ) == frozenset()
    assert ways_of(teams=frozenset(), rules=rules, role=READ) == frozenset()


def test_ten_thousand_people_are_worked_out_at_once() -> None:
    everybody = frozenset(range(10_000))
    rules = Rules(frozenset({"backend"}), (Step("dba", 5), Step("security", 5)), frozenset())
    began = time.perf_counter()
    found = audience(rules=rules, role=WRITE, members=dict.fromkeys(TEAMS, everybody))
    assert found.asking == everybody
    assert time.perf_counter() - began < 1
