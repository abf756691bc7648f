"""`hogbox flags`: what it prints, and how it exits."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hogbox._store.connections.database import Database
from hogbox._store.definition import DefinitionStore
from hogbox._store.history import HistoryStore
from tests.cli.conftest import TOKEN, Ended, Hogbox
from tests.fixtures.database import TestDatabase
from tests.flags.samples import condition, document, flag, person_filter

PRO = condition(person_filter("plan", "exact", "pro"), rollout_percentage=100)
PAID = flag("paid", PRO, payloads={"true": '{"limit": 5}'})
SPLIT = flag(
    "split",
    multivariate={"variants": [{"key": "a", "rollout_percentage": 100}, {"key": "b", "rollout_percentage": 0}]},
)
FIRST = document(PAID, flag("[red]old[/red]"))
SECOND = document(flag("paid", {**PRO, "rollout_percentage": 30}), SPLIT)


def store(database: TestDatabase, *documents: dict[str, Any], project: str = TOKEN, history: bool = True) -> None:
    own = Database(database.engine, "posthog_")
    definitions = DefinitionStore(own, project)
    for one in documents:
        definitions.store(json.dumps(one), None, definitions.read())
        if history:
            HistoryStore(own, project).record()


@pytest.fixture
def flags(hogbox: Hogbox, sqlite_database: TestDatabase) -> Hogbox:
    """Runs `hogbox flags` on a database that holds two revisions."""
    store(sqlite_database, FIRST, SECOND)
    url = sqlite_database.url
    return lambda *arguments, **settings: hogbox("flags", *arguments, HOGBOX_DATABASE_URL=url, **settings)


def words(ended: Ended) -> str:
    return " ".join(ended.stdout.split())


def test_each_database_can_be_looked_at(hogbox: Hogbox, database: TestDatabase) -> None:
    store(database, FIRST, SECOND)
    assert "2 flags, revision 2" in hogbox("flags", "list", "-d", database.url).stdout
    assert "+ split" in hogbox("flags", "diff", "1", "-d", database.url).stdout


def test_list_has_a_line_for_each_flag(flags: Hogbox) -> None:
    ended = flags("list", COLUMNS="200")
    assert ended.returncode == 0
    heading, paid, split, count = ended.stdout.splitlines()
    assert heading.split() == ["flag", "active", "kind", "rollout", "conditions", "changed"]
    assert paid.split() == ["paid", "yes", "boolean", "30", "%", "of", "those", "who", "match", "1", "2"]
    assert split.split()[:7] == ["split", "yes", "variants:", "a", "100", "%,", "b"]
    assert count == "2 flags, revision 2"


def test_list_shows_what_some_flag_has(hogbox: Hogbox, sqlite_database: TestDatabase) -> None:
    other = {
        "type": "flag",
        "key": "paid",
        "operator": "flag_evaluates_to",
        "value": True,
        "dependency_chain": ["paid"],
    }
    store(sqlite_database, document(PAID, {**flag("after", condition(other)), "has_experiment": True}))
    heading, paid, after, _ = hogbox("flags", "list", "-d", sqlite_database.url, COLUMNS="200").stdout.splitlines()
    assert heading.split()[5:] == ["depends", "on", "payloads", "experiment", "changed"]
    assert paid.split()[-3:] == ["1", "true", "1"]
    assert after.split()[-4:] == ["1", "paid", "yes", "1"]


def test_list_as_json(flags: Hogbox) -> None:
    paid, split = json.loads(flags("list", "--json").stdout)
    assert (paid["key"], paid["last_changed"], paid["conditions"]) == (
        "paid",
        2,
        ["plan is exactly 'pro', 30 % of people"],
    )
    assert split["variants"] == [["a", 100.0], ["b", 0.0]]


def test_list_without_a_history_says_what_it_knows(hogbox: Hogbox, sqlite_database: TestDatabase) -> None:
    store(sqlite_database, FIRST, SECOND, history=False)
    ended = hogbox("flags", "list", "-d", sqlite_database.url, COLUMNS="200")
    assert "2 or earlier" in ended.stdout


def test_show_puts_a_flag_in_words(flags: Hogbox) -> None:
    ended = flags("show", "paid")
    assert ended.returncode == 0
    assert "1. plan is exactly 'pro', 30 % of people" in ended.stdout
    assert "person property 'plan'" in ended.stdout
    assert json.loads(flags("show", "paid", "--json").stdout)["needs"] == ["person property 'plan'"]


def test_show_of_an_unknown_flag_names_what_is_near(flags: Hogbox) -> None:
    ended = flags("show", "payd")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "there is no flag 'payd' in the definitions: did you mean 'paid'?" in ended.stderr
    assert "run `hogbox flags list` to see all" in flags("show", "zzz").stderr


@pytest.mark.parametrize(
    ("arguments", "code", "shown"),
    [
        (["split", "--distinct-id", "u2"], 0, "value: a variant: a reason: condition_match condition: 1"),
        (["paid", "--distinct-id", "u2", "--property", "plan=free"], 1, "value: false reason: no_condition_match"),
        (["paid", "--distinct-id", "u2"], 3, "value: inconclusive reason: missing_context"),
        (["paid", "--distinct-id", "u2", "--complete"], 1, "value: false reason: no_condition_match"),
        (["none", "--distinct-id", "u2"], 3, "value: inconclusive reason: unknown_flag"),
    ],
)
def test_eval_prints_the_answer_and_exits_by_it(flags: Hogbox, arguments: list[str], code: int, shown: str) -> None:
    ended = flags("eval", *arguments)
    assert (ended.returncode, words(ended)) == (code, shown)


def test_eval_as_json_with_the_payload(hogbox: Hogbox, sqlite_database: TestDatabase) -> None:
    store(sqlite_database, FIRST)
    ended = hogbox(
        "flags", "eval", "paid", "--distinct-id", "u1", "--property", "plan=pro", "--json", "-d", sqlite_database.url
    )
    assert ended.returncode == 0
    assert json.loads(ended.stdout) == {
        "key": "paid",
        "value": True,
        "conclusive": True,
        "enabled": True,
        "variant": None,
        "payload": {"limit": 5},
        "reason": "condition_match",
        "condition_index": 0,
        "config_version": 1,
        "rule_type": None,
        "rule_id": None,
    }


def test_groups_and_devices_and_dates_are_taken(hogbox: Hogbox, sqlite_database: TestDatabase) -> None:
    seats = {"key": "seats", "type": "group", "operator": "gt", "value": 9, "group_type_index": 0}
    device = {**flag("device", condition(rollout_percentage=99.9)), "bucketing_identifier": "device_id"}
    dated = flag("dated", condition(person_filter("since", "is_date_before", "2026-01-01T00:30:00Z")))
    team = flag("team", condition(seats), aggregation_group_type_index=0)
    store(sqlite_database, {**document(team, device, dated), "group_type_mapping": {"0": "company"}})

    def code(key: str, *options: str) -> int:
        ended = hogbox("flags", "eval", key, "--distinct-id", "u1", *options, "-d", sqlite_database.url)
        return ended.returncode

    company = ("--group", "company=c-19", "--group-property")
    assert code("team", *company, "company.seats=12") == 0
    assert code("team", *company, "company.seats=2") == 1
    assert code("device") == 3
    assert code("device", "--device-id", "d1") == 0
    assert code("dated", "--property", "since=2026-01-01T00:00:00") == 0
    assert code("dated", "--property", "since=2026-01-01T00:00:00", "--timezone", "America/New_York") == 1


@pytest.mark.parametrize(
    ("option", "value", "complaint"),
    [
        ("--property", "plan", "write --property plan=pro"),
        ("--group", "=c", "write --group company=c-19"),
        ("--group-property", "seats=12", "write --group-property company.seats=12"),
    ],
)
def test_an_option_that_is_not_of_its_form_is_refused(
    hogbox: Hogbox, sqlite_database: TestDatabase, option: str, value: str, complaint: str
) -> None:
    ended = hogbox("flags", "eval", "f", "--distinct-id", "u", option, value, "-d", sqlite_database.url)
    assert ended.returncode == 2
    assert complaint in " ".join(ended.stderr.replace("│", " ").split())


def test_explain_is_a_tree(flags: Hogbox) -> None:
    ended = flags("explain", "paid", "--distinct-id", "u2")
    assert ended.returncode == 3
    assert "Flag 'paid' is inconclusive" in ended.stdout
    assert "person 'plan' exact 'pro', not passed: unknown (missing_context)" in ended.stdout
    assert "person property 'plan'" in ended.stdout


def test_explain_as_json(flags: Hogbox) -> None:
    explained = json.loads(flags("explain", "paid", "--distinct-id", "u2", "--json").stdout)
    assert (explained["value"], explained["missing"]) == (None, ["person property 'plan'"])
    (one,) = explained["conditions"][0]["filters"]
    assert (one["key"], one["outcome"], "seen" in one) == ("plan", "unknown", False)
    free = json.loads(flags("explain", "paid", "--distinct-id", "u2", "--property", "plan=free", "--json").stdout)
    assert free["conditions"][0]["filters"][0]["seen"] == "free"


def test_diff_of_the_last_two(flags: Hogbox) -> None:
    ended = flags("diff")
    assert ended.returncode == 0
    assert "from revision 1 to 2" in ended.stdout
    assert "+ split" in ended.stdout
    assert "- [red]old[/red]" in ended.stdout
    assert "condition 1, rollout percentage: 100 -> 30" in ended.stdout
    assert "payload" in ended.stdout


def test_diff_of_two_that_are_named_either_way_round(flags: Hogbox) -> None:
    forth = json.loads(flags("diff", "1", "--json").stdout)
    back = json.loads(flags("diff", "2", "1", "--json").stdout)
    assert (forth["before"], forth["after"], back["before"], back["after"]) == (1, 2, 2, 1)
    assert (forth["added"], back["added"]) == (["split"], ["[red]old[/red]"])
    place = ["filters", "groups", 0, "rollout_percentage"]
    assert {"path": place, "before": 100, "after": 30} == {
        name: value for name, value in forth["changed"]["paid"][0].items() if name != "sentence"
    }
    assert "no differences between revisions 2 and 2" in flags("diff", "2", "2").stdout


def test_diff_of_a_revision_that_is_not_kept_says_which_are(flags: Hogbox) -> None:
    ended = flags("diff", "7", "2")
    assert (ended.returncode, "revision 7 is not kept: there are 2, 1" in ended.stderr) == (1, True)
    assert flags("diff", "1", "2", "3").returncode == 2


def test_diff_needs_two(hogbox: Hogbox, sqlite_database: TestDatabase) -> None:
    store(sqlite_database, FIRST)
    ended = hogbox("flags", "diff", "-d", sqlite_database.url)
    assert (ended.returncode, "only 1 is kept" in ended.stderr) == (1, True)


def test_which_project_must_be_said_where_there_are_several(hogbox: Hogbox, sqlite_database: TestDatabase) -> None:
    def run(*more: str, **settings: str) -> Ended:
        return hogbox("flags", "list", "-d", sqlite_database.url, *more, **settings)

    assert "no flag definitions are stored" in run().stderr
    store(sqlite_database, FIRST)
    store(sqlite_database, SECOND, project="phc_b_secret_enough")
    ended = run()
    assert (ended.returncode, TOKEN in ended.stderr) == (1, False)
    assert "(phc_a_to…, phc_b_se…): pass --project with a token" in ended.stderr
    assert run("--project", "phc_b").returncode == 0
    assert run(POSTHOG_PROJECT_TOKEN=TOKEN).returncode == 0
    assert "only of phc_a_to…, phc_b_se…" in run("--project", "phc_c").stderr
