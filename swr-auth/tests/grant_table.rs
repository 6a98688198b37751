//! What everybody may do: every combination of what a decision weighs stands in exactly one line of a table.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use chrono::{DateTime, TimeDelta, Utc};
use swr_auth::Strangers;
use swr_auth::grants::{
    Owner, weigh, weigh_administration, weigh_keys, weigh_new_organisation, weigh_operation,
    weigh_organisation, weigh_repository, weigh_view,
};
use swr_core::commit::{Grounds, RepositoryId, RightsVersion};
use swr_core::control::grant::GrantLevel;
use swr_core::control::identity::{AccountId, Role};
use swr_core::control::organisation::OrganisationId;
use swr_core::control::repository::Visibility;
use swr_core::control::share::Deadline;
use swr_core::control::standing::{OrganisationStanding, RepositoryStanding, Standing, UserStanding};
use swr_core::ports::{Action, Verdict};

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_secs(1_800_000_000).unwrap()
}

fn account(name: &str) -> AccountId {
    AccountId::parse(&name.repeat(32)).unwrap()
}

/// The account that owns the organisation, and another one.
fn ours() -> AccountId {
    account("a")
}

fn theirs() -> AccountId {
    account("b")
}

fn user(account: AccountId, role: Role) -> Option<UserStanding> {
    Some(UserStanding { account, role })
}

fn level(text: &str) -> Option<GrantLevel> {
    text.parse().ok().and_then(GrantLevel::from_value)
}

/// A way a thing can be, under the word that the tables have for it.
type Named<T> = (&'static str, T);

/// `stranger`, `member` and `administrator` of the owning account, `foreign` of another one; all but the first are
/// `signed-in`. An operator is an administrator of its account.
fn users() -> Vec<Named<Option<UserStanding>>> {
    vec![
        ("stranger", None),
        ("member", user(ours(), Role::Member)),
        ("administrator", user(ours(), Role::Administrator)),
        ("administrator", user(ours(), Role::Operator)),
        ("foreign", user(theirs(), Role::Member)),
        ("foreign", user(theirs(), Role::Administrator)),
        ("foreign", user(theirs(), Role::Operator)),
    ]
}

const LEVELS: [&str; 4] = ["-", "1", "3", "7"];

/// `no`, or the level of the user's grant on it.
fn organisations() -> Vec<Named<Option<OrganisationStanding>>> {
    let there = LEVELS.map(|grant| {
        let organisation =
            OrganisationStanding { id: OrganisationId(1), account: ours(), grant: level(grant) };
        (grant, Some(organisation))
    });
    [("no", None)].into_iter().chain(there).collect()
}

/// `no`, `private` or `public`, the level of the user's grant on it, and whether the share with the user's account
/// has `ended`, still `lasts`, or there is none.
fn repositories() -> Vec<(&'static str, &'static str, &'static str, Option<RepositoryStanding>)> {
    let shares = [
        ("-", None),
        ("ended", Some(Deadline::At(now()))),
        ("ended", Some(Deadline::At(now() - TimeDelta::days(1)))),
        ("lasts", Some(Deadline::At(now() + TimeDelta::microseconds(1)))),
        ("lasts", Some(Deadline::Never)),
    ];
    let mut all = vec![("no", "-", "-", None)];
    for (is, visibility) in [("private", Visibility::Private), ("public", Visibility::Public)] {
        for grant in LEVELS {
            for (shared, share) in shares {
                let repository =
                    RepositoryStanding { id: RepositoryId(7), visibility, grant: level(grant), share };
                all.push((is, grant, shared, Some(repository)));
            }
        }
    }
    all
}

/// The columns after the `|` of the one line that fits; a cell is `*`, or words with `/` between them.
fn look_up<'t>(table: &'t str, keys: &[&str]) -> Vec<&'t str> {
    let fits = |line: &&str| {
        let cells = line.split('|').next().unwrap().split_whitespace();
        assert_eq!(cells.clone().count(), keys.len(), "{line}");
        cells.zip(keys).all(|(cell, key)| match cell {
            "*" => true,
            "signed-in" => *key != "stranger",
            cell => cell.split('/').any(|word| word == *key),
        })
    };
    let lines: Vec<&str> = table.lines().filter(|line| line.contains('|')).skip(1).filter(fits).collect();
    assert_eq!(lines.len(), 1, "{keys:?} stands in these lines: {lines:#?}");
    lines[0].split('|').nth(1).unwrap().split_whitespace().collect()
}

/// How a verdict is written, after a look at what it rests on.
fn written(verdict: &Verdict, standing: &Standing) -> &'static str {
    match verdict {
        Verdict::Allow(grounds) => {
            let repository = standing.repository.as_ref().map(|repository| repository.id);
            assert_eq!(*grounds, Grounds { repository, rights: Some(standing.rights) });
            "yes"
        }
        Verdict::Hide => "hide",
        Verdict::Deny(refusal) => match refusal.sentence() {
            "you do not have the permission" => "no",
            "Image organization does not exist, you should create it first" => "create",
            other => panic!("{other}"),
        },
    }
}

const REPOSITORIES: &str = "
    user           organisation  repository      grant  share    strangers | pull push   delete  view r1   r3   r7
    *              no            no              *      *        *         | no   create no      hide hide hide hide
    stranger       no            private         *      *        *         | no   create no      hide hide hide hide
    stranger       no            public          *      *        pull      | yes  create no      hide hide hide hide
    stranger       no            public          *      *        nothing   | no   create no      hide hide hide hide
    signed-in      no            private         *      -/ended  *         | no   create no      hide hide hide hide
    signed-in      no            private         *      lasts    *         | yes  create no      yes  no   no   no
    signed-in      no            public          *      *        *         | yes  create no      yes  no   no   no
    stranger       -/1/3/7       no/private      *      *        *         | no   no     no      hide hide hide hide
    stranger       -/1/3/7       public          *      *        pull      | yes  no     no      hide hide hide hide
    stranger       -/1/3/7       public          *      *        nothing   | no   no     no      hide hide hide hide
    foreign        -/1/3/7       no              *      *        *         | no   no     no      hide hide hide hide
    foreign        -/1/3/7       private         *      -/ended  *         | no   no     no      hide hide hide hide
    foreign        -/1/3/7       private         *      lasts    *         | yes  no     no      yes  no   no   no
    foreign        -/1/3/7       public          *      *        *         | yes  no     no      yes  no   no   no
    member         -             no              *      *        *         | no   no     no      hide hide hide hide
    member         -             private         -      -/ended  *         | no   no     no      hide hide hide hide
    member         -             private         -      lasts    *         | yes  no     no      yes  no   no   no
    member         -             public          -      *        *         | yes  no     no      yes  no   no   no
    member         -             private/public  1      *        *         | yes  no     no      yes  yes  no   no
    member         -             private/public  3      *        *         | yes  yes    no      yes  yes  yes  no
    member         -             private/public  7      *        *         | yes  yes    yes     yes  yes  yes  yes
    member         1             no              *      *        *         | yes  no     no      yes  yes  no   no
    member         1             private/public  -/1    *        *         | yes  no     no      yes  yes  no   no
    member         1             private/public  3      *        *         | yes  yes    no      yes  yes  yes  no
    member         1             private/public  7      *        *         | yes  yes    yes     yes  yes  yes  yes
    member         3             no              *      *        *         | yes  yes    no      yes  yes  yes  no
    member         3             private/public  -/1/3  *        *         | yes  yes    no      yes  yes  yes  no
    member         3             private/public  7      *        *         | yes  yes    yes     yes  yes  yes  yes
    member         7             *               *      *        *         | yes  yes    yes     yes  yes  yes  yes
    administrator  -/1/3/7       *               *      *        *         | yes  yes    yes     yes  yes  yes  yes
";

#[test]
fn every_right_in_a_repository_stands_in_the_table() {
    let mut looked_at = 0;
    for (who, user) in users() {
        for (organised, organisation) in organisations() {
            for (is, grant, shared, repository) in repositories() {
                for (asks, strangers) in [("pull", Strangers::PullPublic), ("nothing", Strangers::Nothing)] {
                    let standing = Standing {
                        rights: RightsVersion(3),
                        user: user.clone(),
                        organisation: organisation.clone(),
                        repository: repository.clone(),
                    };
                    let verdicts = [
                        weigh(&standing, Action::Pull, strangers, now()),
                        weigh(&standing, Action::Push, strangers, now()),
                        weigh(&standing, Action::Delete, strangers, now()),
                        weigh_view(&standing, now()),
                        weigh_repository(&standing, GrantLevel::Read, now()),
                        weigh_repository(&standing, GrantLevel::Edit, now()),
                        weigh_repository(&standing, GrantLevel::Manage, now()),
                    ];
                    let written: Vec<_> =
                        verdicts.iter().map(|verdict| written(verdict, &standing)).collect();
                    let expected = look_up(REPOSITORIES, &[who, organised, is, grant, shared, asks]);
                    assert_eq!(written, expected, "{standing:#?} {strangers:?}");
                    looked_at += 1;
                }
            }
        }
    }
    assert_eq!(looked_at, 7 * 5 * 41 * 2);
}

const ORGANISATIONS: &str = "
    user              organisation | o1   o3   o7
    *                 no           | hide hide hide
    stranger/foreign  -/1/3/7      | hide hide hide
    member            -            | hide hide hide
    member            1            | yes  no   no
    member            3            | yes  yes  no
    member            7            | yes  yes  yes
    administrator     -/1/3/7      | yes  yes  yes
";

#[test]
fn every_right_in_an_organisation_stands_in_the_table() {
    for (who, user) in users() {
        for (organised, organisation) in organisations() {
            let standing =
                Standing { rights: RightsVersion(3), user: user.clone(), organisation, repository: None };
            let verdicts = [GrantLevel::Read, GrantLevel::Edit, GrantLevel::Manage]
                .map(|level| weigh_organisation(&standing, level));
            let written: Vec<_> = verdicts.iter().map(|verdict| written(verdict, &standing)).collect();
            assert_eq!(written, look_up(ORGANISATIONS, &[who, organised]), "{standing:#?}");
        }
    }
}

/// For whoever looks after accounts it is the own one, or another.
const ACCOUNTS: &str = "
    user      role           | operate create own  other
    nobody    -              | no      no     hide hide
    somebody  member         | no      no     no   hide
    somebody  administrator  | no      yes    yes  hide
    somebody  operator       | yes     yes    yes  yes
";

/// Whose keys: the own, or those of another of this role in the own account or another one.
const KEYS: &str = "
    user      role           | own  nobody member administrator operator member administrator operator
    nobody    -              | hide hide   hide   hide          hide     hide   hide          hide
    somebody  member         | yes  hide   hide   hide          hide     hide   hide          hide
    somebody  administrator  | yes  hide   yes    yes           no       hide   hide          hide
    somebody  operator       | yes  hide   yes    yes           yes      yes    yes           yes
";

#[test]
fn every_right_over_accounts_and_keys_stands_in_the_tables() {
    let roles = [Role::Member, Role::Administrator, Role::Operator];
    let somebodies = roles.map(|role| ("somebody", role.as_str(), user(ours(), role)));
    for (who, role, user) in [("nobody", "-", None)].into_iter().chain(somebodies) {
        let standing = Standing { rights: RightsVersion(3), user, organisation: None, repository: None };
        let write = |verdicts: &[Verdict]| -> Vec<_> {
            verdicts.iter().map(|verdict| written(verdict, &standing)).collect()
        };

        let accounts = write(&[
            weigh_operation(&standing),
            weigh_new_organisation(&standing),
            weigh_administration(&standing, &ours()),
            weigh_administration(&standing, &theirs()),
        ]);
        assert_eq!(accounts, look_up(ACCOUNTS, &[who, role]), "{standing:#?}");

        let mut keys = vec![weigh_keys(&standing, Owner::Oneself), weigh_keys(&standing, Owner::Nobody)];
        for account in [ours(), theirs()] {
            for role in roles {
                let owner = UserStanding { account: account.clone(), role };
                keys.push(weigh_keys(&standing, Owner::Other(&owner)));
            }
        }
        let expected = look_up(KEYS, &[who, role]);
        assert_eq!(write(&keys), expected, "{standing:#?}");
    }
}
