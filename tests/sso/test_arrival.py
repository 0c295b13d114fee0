"""Who arrives through a provider becomes who here, and the teams that their groups give them."""

from __future__ import annotations

import time
from collections.abc import Callable
from io import StringIO
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from allauth.socialaccount.models import SocialAccount
from django.core.management import CommandError, call_command
from django.test import Client
from pytest_django import Settings

from access.services.door import actor_of
from audit.models import Entry
from people.group_sync import MappingExists, map_group, unmap_group
from people.models import GroupMapping, Team, User
from people.services import add_person, add_team, join
from people.sso.arrival import directory_account
from tests.access.world import SETUP
from tests.sso.conftest import SignIn, refusal
from tests.sso.peer import Peer

pytestmark = pytest.mark.django_db

ALICE = {"email": "alice@example.com", "email_verified": True, "name": "Alice"}


@pytest.fixture
def dba() -> Team:
    return add_team(slug="dba", name="DBA", actor=SETUP)


def teams(person: User) -> set[str]:
    return set(person.teams.values_list("slug", flat=True))


def events() -> list[str]:
    return list(Entry.objects.order_by("seq").values_list("event", flat=True))


def test_somebody_new_gets_an_account_and_no_rights(sign_in: SignIn, provider: Peer, dba: Team) -> None:
    provider.knows("alice-1", **ALICE, groups=["database-people"])
    sign_in()
    alice = User.objects.get()
    assert (alice.email, alice.display_name, alice.has_usable_password()) == ("alice@example.com", "Alice", False)
    assert teams(alice) == set()
    assert events()[-3:] == ["person.added", "person.identified", "person.signed_in"]


def test_the_name_in_the_directory_is_kept_where_databases_know_it_too(
    sign_in: SignIn, provider: Peer, configure: Callable[..., object]
) -> None:
    configure(account_claim="preferred_username")
    provider.knows("alice-1", **ALICE, preferred_username="alice@corp.example")
    sign_in()
    assert directory_account(User.objects.get()) == "alice@corp.example"
    configure(account_claim="")
    sign_in()
    assert directory_account(User.objects.get()) == ""


def test_the_same_subject_is_the_same_person_whatever_their_address(sign_in: SignIn, provider: Peer) -> None:
    provider.knows("alice-1", **ALICE)
    sign_in()
    provider.knows("alice-1", **{**ALICE, "email": "Alice.Married@example.com", "name": "Alice Married"})
    sign_in()
    alice = User.objects.get()
    assert (alice.email, alice.display_name) == ("alice.married@example.com", "Alice Married")
    changed = Entry.objects.get(event="person.changed")
    assert changed.before == {"email": "alice@example.com", "display_name": "Alice"}


def test_an_account_without_an_identity_is_taken_over_by_its_verified_address(sign_in: SignIn, provider: Peer) -> None:
    alice = add_person(email="alice@example.com", display_name="Alice", actor=SETUP)
    provider.knows("alice-1", **{**ALICE, "email": "ALICE@example.com"})
    sign_in()
    assert SocialAccount.objects.get().user == alice
    assert User.objects.count() == 1


def test_two_first_sign_ins_at_once_make_one_person(sign_in: SignIn, provider: Peer) -> None:
    provider.knows("alice-1", **ALICE)
    sign_in()
    sign_in()
    assert User.objects.count() == SocialAccount.objects.count() == 1


def test_the_link_that_somebody_came_with_survives_the_trip(sign_in: SignIn, provider: Peer) -> None:
    provider.knows("alice-1", **ALICE)
    assert sign_in(next="/request/?role=orders-read&for=1h")["Location"] == "/request/?role=orders-read&for=1h"


def test_groups_give_teams_and_take_them_away(sign_in: SignIn, provider: Peer, dba: Team) -> None:
    security = add_team(slug="security", name="Security", actor=SETUP)
    map_group(provider="corp", group="database-people", team=dba, actor=SETUP)
    map_group(provider="corp", group="security", team=security, actor=SETUP)
    provider.knows("alice-1", **ALICE, groups=["database-people", "others"])
    sign_in()
    alice = User.objects.get()
    assert teams(alice) == {"dba"}
    provider.knows("alice-1", **ALICE, groups=["security"])
    sign_in()
    assert teams(alice) == {"security"}
    joined, left = (Entry.objects.filter(event=f"person.{what}").latest("seq") for what in ("joined", "left"))
    assert joined.after == {"team": "security", "source": "corp"}
    assert left.before == {"team": "dba"}
    assert left.actor_kind == "provider"


def test_without_the_claim_nobody_keeps_a_mapped_team(sign_in: SignIn, provider: Peer, dba: Team) -> None:
    map_group(provider="corp", group="database-people", team=dba, actor=SETUP)
    alice = add_person(email="alice@example.com", display_name="Alice", actor=SETUP)
    join(person=alice, team=dba, actor=SETUP)
    provider.knows("alice-1", **ALICE)
    sign_in()
    assert teams(alice) == set()


def test_a_mapping_puts_nobody_into_a_team_who_made_it_themselves(sign_in: SignIn, provider: Peer, dba: Team) -> None:
    alice = add_person(email="alice@example.com", display_name="Alice", actor=SETUP)
    mapping = map_group(provider="corp", group="database-people", team=dba, actor=actor_of(alice))
    provider.knows("alice-1", **ALICE, groups=["database-people"])  # Which she was not in when she mapped it.
    sign_in()
    assert teams(alice) == set()
    provider.knows("bob-1", email="bob@example.com", email_verified=True, groups=["database-people"])
    sign_in("bob-1")
    assert teams(User.objects.get(email="bob@example.com")) == {"dba"}
    unmap_group(mapping=mapping, actor=SETUP)
    map_group(provider="corp", group="database-people", team=dba, actor=SETUP)
    sign_in()
    assert teams(alice) == {"dba"}


def test_who_is_in_a_team_already_stays_by_a_mapping_of_their_own(sign_in: SignIn, provider: Peer, dba: Team) -> None:
    alice = add_person(email="alice@example.com", display_name="Alice", actor=SETUP)
    join(person=alice, team=dba, actor=SETUP)
    map_group(provider="corp", group="database-people", team=dba, actor=actor_of(alice))
    provider.knows("alice-1", **ALICE, groups=["database-people"])
    sign_in()
    assert teams(alice) == {"dba"}


def test_teams_that_no_group_is_mapped_to_are_left_alone(sign_in: SignIn, provider: Peer, dba: Team) -> None:
    alice = add_person(email="alice@example.com", display_name="Alice", actor=SETUP)
    join(person=alice, team=dba, actor=SETUP)
    provider.knows("alice-1", **ALICE, groups=["others"])
    sign_in()
    assert teams(alice) == {"dba"}


def test_case_counts_in_the_name_of_a_group(sign_in: SignIn, provider: Peer, dba: Team) -> None:
    map_group(provider="corp", group="DBA", team=dba, actor=SETUP)
    provider.knows("alice-1", **ALICE, groups=["dba"])
    sign_in()
    assert teams(User.objects.get()) == set()


@pytest.mark.parametrize(
    ("path", "claims"),
    [
        ("realm_access.roles", {"realm_access": {"roles": ["database-people"]}}),
        ("https://lockgate.example.com/groups", {"https://lockgate.example.com/groups": ["database-people"]}),
        ("team", {"team": "database-people"}),
    ],
)
def test_the_claim_may_be_nested_named_like_an_address_or_a_single_group(
    sign_in: SignIn, provider: Peer, configure: Callable[..., Any], dba: Team, path: str, claims: dict[str, Any]
) -> None:
    configure(groups_claim=path)
    map_group(provider="corp", group="database-people", team=dba, actor=SETUP)
    provider.knows("alice-1", **ALICE, **claims)
    sign_in()
    assert teams(User.objects.get()) == {"dba"}


def test_without_a_groups_claim_teams_are_kept_by_hand(
    sign_in: SignIn, provider: Peer, configure: Callable[..., Any], dba: Team
) -> None:
    configure(groups_claim="")
    map_group(provider="corp", group="database-people", team=dba, actor=SETUP)
    alice = add_person(email="alice@example.com", display_name="Alice", actor=SETUP)
    join(person=alice, team=dba, actor=SETUP)
    provider.knows("alice-1", **ALICE, groups=["others"])
    sign_in()
    assert teams(alice) == {"dba"}


POINTER = {
    "_claim_names": {"groups": "src1"},
    "_claim_sources": {"src1": {"endpoint": "http://127.0.0.1:1/somewhere/else"}},
}
GROUPS = "/graph/me/groups?$select=id"


@pytest.mark.parametrize("pointer", [POINTER, {"hasgroups": True}])
def test_a_pointer_in_place_of_too_many_groups_is_followed(
    sign_in: SignIn, provider: Peer, configure: Callable[..., Any], dba: Team, pointer: dict[str, Any]
) -> None:
    configure(group_source=f"{provider.issuer}{GROUPS}", vouches_for_email=False)
    map_group(provider="corp", group="id-201", team=dba, actor=SETUP)
    provider.knows("alice-1", **ALICE, **pointer)
    provider.pages[GROUPS] = (
        200,
        {"value": [{"id": f"id-{n}"} for n in range(200)], "@odata.nextLink": f"{provider.issuer}/graph/next"},
    )
    provider.pages["/graph/next"] = (200, {"value": [{"id": "id-200"}, {"id": "id-201"}]})
    sign_in()
    alice = User.objects.get()
    assert teams(alice) == {"dba"}
    assert len(SocialAccount.objects.get().extra_data["groups"]) == 202


@pytest.mark.parametrize(
    "page",
    [
        (403, {"error": {"code": "Authorization_RequestDenied"}}),
        (503, {}),
        (200, {"value": [], "@odata.nextLink": "http://127.0.0.1:1/elsewhere"}),
    ],
)
def test_a_pointer_that_cannot_be_followed_is_refused(
    sign_in: SignIn, provider: Peer, configure: Callable[..., Any], page: tuple[int, dict[str, Any]]
) -> None:
    configure(group_source=f"{provider.issuer}{GROUPS}")
    provider.pages[GROUPS] = page
    provider.knows("alice-1", **ALICE, **POINTER)
    assert refusal(sign_in()) == "GroupsNotReadable"
    assert not User.objects.exists()


def test_a_pointer_without_a_source_is_refused(sign_in: SignIn, provider: Peer) -> None:
    provider.knows("alice-1", **ALICE, **POINTER)
    assert refusal(sign_in()) == "GroupsNotReadable"


def test_a_provider_that_says_nothing_of_addresses_is_believed_for_its_domains(
    sign_in: SignIn, provider: Peer, configure: Callable[..., Any]
) -> None:
    configure(vouches_for_email=False)
    provider.knows("alice-1", email="alice@example.com", name="Alice")
    sign_in()
    assert User.objects.get().email == "alice@example.com"
    provider.knows("mallory", email="mallory@example.com", email_verified=False)
    assert refusal(sign_in("mallory")) == "EmailNotVerified"
    provider.knows("trudy", email="trudy@evil.test")
    assert refusal(sign_in("trudy")) == "DomainNotAllowed"


def test_a_guest_of_the_directory_is_not_believed_for_an_address(
    sign_in: SignIn, provider: Peer, configure: Callable[..., Any]
) -> None:
    """A guest's address was written by whoever runs their own directory, and they may write one of ours."""
    configure(vouches_for_email=False)
    add_person(email="alice@example.com", display_name="Alice", actor=SETUP)
    provider.knows(
        "guest", email="alice@example.com", idp="https://sts.windows.net/11111111-2222-3333-4444-555555555555/"
    )
    assert refusal(sign_in("guest")) == "GuestAddress"
    assert not SocialAccount.objects.exists()
    provider.knows("alice-1", email="alice@example.com", idp=provider.issuer)
    assert sign_in().status_code == 302


@pytest.mark.parametrize("name", ["Al\x00ice", "Al\r\nice", "\u202eAlice", "Al\tice"])
def test_a_name_is_one_line_of_readable_characters(sign_in: SignIn, provider: Peer, name: str) -> None:
    provider.knows("alice-1", **{**ALICE, "name": name})
    assert sign_in().status_code == 302
    assert User.objects.get().display_name in ("Alice", "Al ice")


def test_a_hosted_domain_has_to_be_ours(sign_in: SignIn, provider: Peer, configure: Callable[..., Any]) -> None:
    """Anybody may open an account at Google with an address of ours; only our organisation's carry `hd`."""
    configure(has_hosted_domain=True, groups_claim="")
    provider.knows("alice-1", **ALICE)
    assert refusal(sign_in()) == "DomainNotAllowed"
    provider.knows("alice-1", **ALICE, hd="evil.test")
    assert refusal(sign_in()) == "DomainNotAllowed"
    provider.knows("alice-1", **ALICE, hd="example.com")
    assert sign_in().status_code == 302


def test_what_a_small_token_leaves_out_is_asked_for(sign_in: SignIn, provider: Peer, dba: Team) -> None:
    map_group(provider="corp", group="database-people", team=dba, actor=SETUP)
    provider.knows("alice-1", **ALICE, groups=["database-people"])
    provider.forge = lambda claims: provider.sign(
        {name: claims[name] for name in claims if name not in ("email", "email_verified", "name", "groups")}
    )
    sign_in()
    assert teams(User.objects.get()) == {"dba"}


def test_what_is_said_of_somebody_else_is_refused(sign_in: SignIn, provider: Peer) -> None:
    provider.knows("alice-1", **ALICE)
    provider.pages["/oauth2/userinfo"] = provider.pages["/userinfo"] = (200, {"sub": "bob-1", **ALICE})
    assert refusal(sign_in()) == "TokenUnreadable"


def test_a_mapping_is_made_once_and_audited(dba: Team) -> None:
    mapping = map_group(provider="corp", group="g", team=dba, actor=SETUP)
    with pytest.raises(MappingExists):
        map_group(provider="corp", group="g", team=dba, actor=SETUP)
    unmap_group(mapping=mapping, actor=SETUP)
    assert not GroupMapping.objects.exists()
    assert events()[-2:] == ["team.mapped", "team.unmapped"]


def test_the_last_mapping_of_a_team_takes_its_people_along(sign_in: SignIn, provider: Peer, dba: Team) -> None:
    one = map_group(provider="corp", group="database-people", team=dba, actor=SETUP)
    two = map_group(provider="corp", group="night-shift", team=dba, actor=SETUP)
    by_hand = add_person(email="bob@example.com", display_name="Bob", actor=SETUP)
    join(person=by_hand, team=dba, actor=SETUP)
    provider.knows("alice-1", **ALICE, groups=["database-people"])
    sign_in()
    alice = User.objects.get(email="alice@example.com")
    unmap_group(mapping=two, actor=SETUP)
    assert teams(alice) == {"dba"}
    unmap_group(mapping=one, actor=SETUP)
    assert (teams(alice), teams(by_hand)) == (set(), {"dba"})


def test_signing_in_again_has_to_be_real(sign_in: SignIn, begin: Callable[..., str], provider: Peer) -> None:
    provider.knows("alice-1", **ALICE)
    client = Client()
    asked = parse_qs(urlsplit(begin(client, again="yes")).query)
    assert (asked["prompt"], asked["max_age"]) == (["login"], ["0"])
    assert sign_in(again="yes").status_code == 302
    provider.forge = lambda claims: provider.sign({**claims, "auth_time": int(time.time()) - 3600})
    assert refusal(sign_in(again="yes")) == "NotSignedInAgain"
    assert sign_in().status_code == 302


def test_in_production_the_page_offers_one_button(configure: Callable[..., Any], settings: Settings) -> None:
    settings.LOCKGATE_LOCAL_SIGN_IN = "break-glass"
    page = Client().get("/accounts/login/?next=/approvals/").content.decode()
    assert "Continue with SSO" in page
    assert '<details class="other-ways">' in page
    assert page.index("Continue with SSO") < page.index("<details") < page.index('id="id_password"')


def test_whose_account_was_made_anew_at_the_provider_gets_theirs_back_by_a_command(
    sign_in: SignIn, provider: Peer
) -> None:
    provider.knows("alice-1", **ALICE)
    client = Client()
    sign_in(client=client)
    alice = User.objects.get(email="alice@example.com")
    provider.knows("alice-2", **ALICE)
    assert refusal(sign_in("alice-2")) == "AddressTaken"
    said = StringIO()
    call_command("detach_identity", "ALICE@example.com", stdout=said)
    assert "alice-1" in said.getvalue()
    assert client.get("/").status_code == 302  # what the old identity began has ended
    assert events()[-2:] == ["person.identity_detached", "person.session_ended"]
    assert sign_in("alice-2").status_code == 302
    assert User.objects.get() == alice
    assert SocialAccount.objects.get().uid.endswith("alice-2")
    assert refusal(sign_in("alice-1")) == "AddressTaken"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nobody@example.com"], "Nobody has this e-mail address"),
        (["alice@example.com"], "no identity at corp"),
        (["alice@example.com", "--provider=partner"], "Name the provider"),
    ],
)
def test_detaching_what_is_not_there_is_told(configure: object, arguments: list[str], words: str) -> None:
    add_person(email="alice@example.com", display_name="Alice", actor=SETUP)
    with pytest.raises(CommandError, match=words):
        call_command("detach_identity", *arguments)
