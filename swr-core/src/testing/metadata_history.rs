//! Random histories of a [`MetadataStore`], to be played to two stores, which have to agree.
//!
//! As in [`history`](super::history), in a small world: a few accounts, users that want the same names, two
//! organisations and some repositories, with now and then a push between the commits of metadata.

use std::fmt::Debug;
use std::num::NonZeroU32;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::select;
use swr_policy::RepositoryName;

use super::history::{Disagreement, compare, many, told};
use super::metadata_store::{
    access_key, account, add_sync_job, all_versions, create_organisation, create_repository, delivery,
    enable, in_organisation, key_id, on_repository, organisation_name, origin, put_rule, put_sync,
    remove_sync, remove_trigger, repositories_of, repository_name, share, sync_target, tag, temporary_key,
    token_key, trigger, trigger_name, user, viewer,
};
use super::minute;
use super::sample_images::{SampleBlob, SampleManifest};
use crate::caller::{Actor, Caller, Identity, Task};
use crate::commit::{Change, Commit, CommitError, Grounds, RepositoryId, Require, RightsVersion};
use crate::control::change::{Effect, MetadataChange, MetadataCommit, MetadataCommitError, MetadataRequire};
use crate::control::credential::{AccessKey, HeldKey, KeyHolder, Sealed, TemporaryKey, TokenKey};
use crate::control::grant::{Grant, GrantLevel, GrantScope};
use crate::control::identity::{Account, AccountId, AccountName, PasswordHash, Role, User, UserId, UserName};
use crate::control::organisation::{ListedOrganisation, Organisation, OrganisationId, organisation_of};
use crate::control::repository::{Attributes, Category, RepositoryDetails, Visibility};
use crate::control::rule::{Cleared, RepositoryRule, RuleId};
use crate::control::share::{Deadline, Share};
use crate::control::standing::Standing;
use crate::control::sync::{SyncJob, SyncRule};
use crate::control::trace::{Operation, Outcome, Trace, TraceQuery, TraceRating, Traced, TracedOperation};
use crate::control::trigger::{Delivery, DeliveryId, DeliveryState, Trigger, TriggerId, TriggerTarget};
use crate::event::{Event, EventSeq};
use crate::ports::{
    Candidates, ClaimedDelivery, Fence, Lease, MetadataStore, NewDelivery, Page, PullCount, RepositoryList,
    RepositoryOrder, RepositoryQuery, StoreError, Tried, UsageKind, VersionOrder, VersionQuery,
};

/// The organisations of the world: one the beginning of the other.
const ORGANISATIONS: [&str; 2] = ["math", "math-voila"];
/// The repositories of the world: in an organisation, in none that ever comes to be, or in none by their names.
const NAMES: [&str; 6] = ["elsewhere/a", "math", "math-voila/a", "math/a", "math/a-b", "math/b"];
/// The tags of the world.
const TAGS: [&str; 3] = ["Latest", "latest", "v1"];
/// The ids of keys of users, whatever their kind.
const KEYS: [&str; 4] = ["K1", "K2", "K3", "k1"];
/// The names of triggers.
const TRIGGERS: [&str; 3] = ["Hook", "deploy", "hook"];
/// The ids of keys of tokens.
const TOKEN_KEYS: [&str; 2] = ["K1", "K9"];

/// The accounts of the world. The last one wants the name of the first.
fn accounts() -> [Account; 4] {
    let [east, west, north] = ["east", "west", "north"].map(account);
    let second = Account { name: east.name.clone(), ..account("east-2") };
    [east, west, north, second]
}

/// The users of the world. The last one wants the name of the first, in the same account.
fn users() -> [User; 5] {
    let ada = user("east", "ada", Role::Administrator);
    let second = User { name: ada.name.clone(), ..user("east", "ada-2", Role::Member) };
    let (bob, eve) = (user("east", "bob", Role::Member), user("west", "eve", Role::Operator));
    [ada, bob, user("west", "ada", Role::Member), eve, second]
}

/// The images of the world, the last of which names the others.
fn images() -> [SampleManifest; 3] {
    let shared = SampleBlob::new("a shared layer");
    let [one, two] = ["one", "two"].map(|name| SampleManifest::image(name).with_layer(&shared));
    let both = SampleManifest::index(&[&one, &two]);
    [one, two, both]
}

/// One step of a history.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Step {
    /// Time passes, in minutes.
    Wait(i64),
    /// A commit of metadata.
    Commit {
        /// Who acts.
        actor: Actor,
        /// Rights must be what they were so many changes of them ago.
        rights: Option<usize>,
        /// What else must be true.
        requires: Vec<MetadataRequire>,
        /// What changes.
        changes: Vec<MetadataChange>,
    },
    /// A commit of content.
    Content {
        /// Who acts.
        actor: Actor,
        /// The repository that changes.
        repository: &'static str,
        /// Rights must be what they were so many changes of them ago.
        rights: Option<usize>,
        /// What changes.
        changes: Vec<Change>,
    },
    /// Pulls of a tag are observed.
    Pulls {
        /// Where.
        repository: &'static str,
        /// Of what.
        tag: &'static str,
        /// How many.
        count: u64,
    },
    /// An operation of the user of this number was refused, with this status.
    Refused(usize, u16),
    /// Every rule that is due has run, and is due again after so many minutes.
    RunRules(i64),
    /// The event of this place, of so many minutes ago, fires every trigger of the repository.
    FanOut {
        /// Where.
        repository: &'static str,
        /// The place.
        event: u64,
        /// How long ago it was.
        age: i64,
    },
    /// Every delivery that may be tried is claimed for so many minutes.
    Claim(i64),
    /// The claim of this number, counted from the last, comes to this.
    Settle(usize, Trial),
    /// What became of the event of this place is revived, for every trigger of the repository.
    Revive {
        /// Where.
        repository: &'static str,
        /// The place.
        event: u64,
    },
    /// What accounts keep is noted.
    NoteStored,
    /// Deliveries that were settled and clearings that were made so many minutes ago are dropped, some of them.
    TrimHistory(i64, u32),
    /// Temporary keys that expired so many minutes ago are dropped.
    TrimKeys(i64),
    /// Traces older than so many minutes are dropped.
    TrimTraces(i64),
}

/// What the try of a delivery comes to.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Trial {
    /// It is done.
    Done,
    /// It is given up.
    GivenUp,
    /// It is tried again after so many minutes.
    Again(i64),
}

/// Histories of at most so many steps. They begin with the people of the world, most of whom are soon gone.
pub fn histories(steps_max: usize) -> impl Strategy<Value = Vec<Step>> {
    vec(steps(), 1..=steps_max).prop_map(|steps| beginning().into_iter().chain(steps).collect())
}

/// Histories in which everything is done by one user who stays, so that everything leaves a trace: for
/// [`lost_in_the_trail`].
pub fn traced_histories(steps_max: usize) -> impl Strategy<Value = Vec<Step>> {
    let root = user("root", "root", Role::Operator);
    let people = [MetadataChange::PutAccount(account("root")), MetadataChange::PutUser(root.clone())];
    let (by_root, actor) = (acting(&root), acting(&root));
    let first = Step::Commit { actor: nobody(), rights: None, requires: vec![], changes: people.into() };
    let commits = vec(changes(), 1..4).prop_map(move |changes| Step::Commit {
        actor: by_root.clone(),
        rights: None,
        requires: vec![],
        changes,
    });
    let named = prop_oneof![Just(Change::CreateRepository), Just(Change::RemoveRepository)];
    let content = (some_names(), named).prop_map(move |(repository, change)| Step::Content {
        actor: actor.clone(),
        repository,
        rights: None,
        changes: vec![change],
    });
    let steps = prop_oneof![
        1 => select(vec![1i64, 7]).prop_map(Step::Wait),
        10 => commits,
        2 => content,
    ];
    vec(steps, 1..=steps_max)
        .prop_map(move |steps| [first.clone()].into_iter().chain(beginning()).chain(steps).collect())
}

/// The first people, and the first of what they have.
fn beginning() -> Vec<Step> {
    let [ada, ..] = users();
    let people = accounts().into_iter().take(3).map(MetadataChange::PutAccount);
    let people = people.chain(users().into_iter().take(4).map(MetadataChange::PutUser));
    let things = [create_organisation("math", &ada), create_repository("math/a", Visibility::Private)];
    let changes = people.chain(things).collect();
    vec![Step::Commit { actor: nobody(), rights: None, requires: vec![], changes }]
}

fn nobody() -> Actor {
    Actor::Caretaker(Task::Administration)
}

fn acting(user: &User) -> Actor {
    Actor::Caller(Caller::User(Identity::new(user.id.as_str())))
}

fn steps() -> impl Strategy<Value = Step> {
    let age = || select(vec![0i64, 1, 30]);
    let rights = || option::weighted(0.2, 0..3usize);
    prop_oneof![
        2 => select(vec![1i64, 7, 40]).prop_map(Step::Wait),
        // Enough of those that nothing stands in the way of.
        20 => (actors(), vec(changes(), 1..3)).prop_map(|(actor, changes)| Step::Commit {
            actor,
            rights: None,
            requires: vec![],
            changes,
        }),
        10 => (actors(), rights(), vec(requires(), 0..3), vec(changes(), 0..4)).prop_map(
            |(actor, rights, requires, changes)| Step::Commit { actor, rights, requires, changes }
        ),
        5 => pushes(),
        5 => (actors(), some_names(), rights(), vec(contents(), 1..3)).prop_map(
            |(actor, repository, rights, changes)| Step::Content { actor, repository, rights, changes }
        ),
        1 => (some_names(), select(&TAGS[..]), 1..9u64)
            .prop_map(|(repository, tag, count)| Step::Pulls { repository, tag, count }),
        1 => (0..users().len(), select(vec![403u16, 404, 500])).prop_map(|(user, code)| Step::Refused(user, code)),
        1 => select(vec![1i64, 30]).prop_map(Step::RunRules),
        4 => (some_names(), 1..6u64, age())
            .prop_map(|(repository, event, age)| Step::FanOut { repository, event, age }),
        3 => select(vec![1i64, 10]).prop_map(Step::Claim),
        3 => (0..3usize, trials()).prop_map(|(claim, trial)| Step::Settle(claim, trial)),
        1 => (some_names(), 1..6u64).prop_map(|(repository, event)| Step::Revive { repository, event }),
        1 => Just(Step::NoteStored),
        1 => (age(), select(vec![1u32, 99])).prop_map(|(age, limit)| Step::TrimHistory(age, limit)),
        1 => age().prop_map(Step::TrimKeys),
        1 => age().prop_map(Step::TrimTraces),
    ]
}

fn trials() -> impl Strategy<Value = Trial> {
    prop_oneof![
        2 => Just(Trial::Done),
        2 => Just(Trial::GivenUp),
        2 => select(vec![0i64, 5]).prop_map(Trial::Again),
    ]
}

fn actors() -> impl Strategy<Value = Actor> {
    let users = users().iter().map(acting).collect::<Vec<_>>();
    prop_oneof![
        6 => select(users),
        2 => Just(nobody()),
        1 => Just(Actor::Caretaker(Task::Aging)),
        1 => Just(Actor::Caller(Caller::Anonymous)),
    ]
}

fn pushes() -> impl Strategy<Value = Step> {
    (actors(), some_names(), 0..images().len(), vec(select(&TAGS[..]), 0..3)).prop_map(
        |(actor, repository, number, tags)| {
            let image = &images()[number];
            let brought = image.blobs().map(bring);
            let tags = tags.into_iter().map(|text| Change::SetTag { tag: tag(text), digest: image.digest() });
            let changes = brought
                .chain([Change::CreateRepository, Change::PutManifest(image.record())])
                .chain(tags)
                .collect();
            Step::Content { actor, repository, rights: None, changes }
        },
    )
}

fn bring(blob: &SampleBlob) -> Change {
    Change::LinkStored(blob.stored_at(&format!("place of {}", blob.digest)))
}

fn contents() -> impl Strategy<Value = Change> {
    let digests = || select(images().iter().map(SampleManifest::digest).collect::<Vec<_>>());
    prop_oneof![
        2 => Just(Change::RemoveRepository),
        1 => Just(Change::CreateRepository),
        // Makes a hidden repository.
        1 => Just(bring(&SampleBlob::new("what nothing names"))),
        2 => (select(&TAGS[..]), digests()).prop_map(|(text, digest)| Change::SetTag { tag: tag(text), digest }),
        2 => select(&TAGS[..]).prop_map(|text| Change::RemoveTag(tag(text))),
        1 => digests().prop_map(Change::RemoveManifest),
    ]
}

fn changes() -> impl Strategy<Value = MetadataChange> {
    prop_oneof![
        1 => (select(accounts().to_vec()), any::<bool>())
            .prop_map(|(account, agency)| MetadataChange::PutAccount(Account { agency, ..account })),
        5 => put_users(),
        1 => user_ids().prop_map(MetadataChange::RemoveUser),
        3 => (select(&KEYS[..]), select(users().to_vec()), 0..3i64, any::<bool>()).prop_map(
            |(id, user, created, is_sealed_anew)| {
                let key = access_key(id, &user, minute(created));
                let anew = Some(Sealed::new(*b"anew"));
                let secret = if is_sealed_anew { anew } else { key.secret.clone() };
                MetadataChange::PutAccessKey(AccessKey { secret, ..key })
            }
        ),
        2 => select(&KEYS[..]).prop_map(|id| MetadataChange::RemoveAccessKey(key_id(id))),
        3 => (select(&KEYS[..]), select(users().to_vec()), option::weighted(0.3, select(&KEYS[..])), 0..60i64).prop_map(
            |(id, user, with, expires)| {
                MetadataChange::PutTemporaryKey(temporary_key(id, &user, with, minute(expires)))
            }
        ),
        1 => (select(&TOKEN_KEYS[..]), 0..3i64)
            .prop_map(|(id, created)| MetadataChange::PutTokenKey(token_key(id, minute(created)))),
        1 => select(&TOKEN_KEYS[..]).prop_map(|id| MetadataChange::RemoveTokenKey(key_id(id))),
        4 => (select(&ORGANISATIONS[..]), select(users().to_vec()))
            .prop_map(|(name, creator)| create_organisation(name, &creator)),
        1 => select(&ORGANISATIONS[..])
            .prop_map(|name| MetadataChange::RemoveOrganisation(organisation_name(name))),
        5 => (names(), attributes())
            .prop_map(|(name, attributes)| MetadataChange::CreateRepository { name, attributes }),
        3 => (names(), attributes())
            .prop_map(|(name, attributes)| MetadataChange::SetAttributes { name, attributes }),
        6 => (scopes(), user_ids(), select(vec![GrantLevel::Read, GrantLevel::Edit, GrantLevel::Manage]))
            .prop_map(|(scope, user, level)| {
                MetadataChange::PutGrant(Grant { scope, user, level, created: minute(0) })
            }),
        2 => (scopes(), user_ids()).prop_map(|(scope, user)| MetadataChange::RemoveGrant { scope, user }),
        4 => shares().prop_map(MetadataChange::PutShare),
        1 => (names(), account_ids())
            .prop_map(|(repository, account)| MetadataChange::RemoveShare { repository, account }),
        12 => running(),
    ]
}

/// Of what runs for a repository.
fn running() -> impl Strategy<Value = MetadataChange> {
    let regions = || select(vec!["far", "near"]);
    let hooks = || select(&TRIGGERS[..]);
    let urls = select(vec!["https://one.example.net/", "https://two.example.net/"]);
    prop_oneof![
        2 => (some_names(), 1..3u32).prop_map(|(name, count)| put_rule(name, count)),
        1 => names().prop_map(MetadataChange::RemoveRule),
        4 => (some_names(), hooks(), urls, any::<bool>()).prop_map(|(repository, name, url, enabled)| {
            let mut made = trigger(repository, name, url);
            made.rule.enabled = enabled;
            MetadataChange::CreateTrigger(made)
        }),
        2 => (some_names(), hooks(), any::<bool>())
            .prop_map(|(repository, name, enabled)| enable(repository, name, enabled)),
        1 => (some_names(), hooks()).prop_map(|(repository, name)| remove_trigger(repository, name)),
        1 => (some_names(), regions(), any::<bool>())
            .prop_map(|(repository, region, auto)| put_sync(repository, region, "lib", auto)),
        1 => (some_names(), regions()).prop_map(|(repository, region)| remove_sync(repository, region, "lib")),
        1 => (some_names(), select(&TAGS[..]), regions())
            .prop_map(|(repository, text, region)| add_sync_job(repository, text, region)),
    ]
}

fn put_users() -> impl Strategy<Value = MetadataChange> {
    let roles = select(vec![Role::Member, Role::Administrator, Role::Operator]);
    let passwords = option::of(select(vec!["$argon2id$one", "$argon2id$two"]));
    let names = option::of(select(vec!["ada", "bob", "cyd"]));
    (select(users().to_vec()), option::of(roles), passwords, names).prop_map(
        |(user, role, password, name)| {
            MetadataChange::PutUser(User {
                role: role.unwrap_or(user.role),
                password: password.map(PasswordHash::new),
                name: name.map_or(user.name, |name| UserName::parse(name).unwrap()),
                ..user
            })
        },
    )
}

fn shares() -> impl Strategy<Value = Share> {
    let deadlines = select(vec![Deadline::Never, Deadline::At(minute(5)), Deadline::At(minute(50))]);
    let parties = (select(accounts().to_vec()), select(users().to_vec()));
    (some_names(), parties, deadlines, select(vec!["", "words"]), 0..3i64).prop_map(
        |(repository, (account, creator), deadline, description, created)| Share {
            description: description.into(),
            creator: creator.id,
            creator_name: creator.name,
            created: minute(created),
            updated: minute(created),
            ..share(repository, &account, deadline)
        },
    )
}

fn attributes() -> impl Strategy<Value = Attributes> {
    let visibility = select(vec![Visibility::Private, Visibility::Public]);
    let category = select(vec![Category::Other, Category::Linux]);
    (visibility, category, select(vec!["", "words"])).prop_map(|(visibility, category, description)| {
        Attributes { visibility, category, description: description.into() }
    })
}

fn requires() -> impl Strategy<Value = MetadataRequire> {
    use MetadataRequire as R;
    let organisations = || select(&ORGANISATIONS[..]).prop_map(organisation_name);
    let keys = || select(&KEYS[..]).prop_map(key_id);
    let account_names = || select(accounts().map(|account| account.name).to_vec());
    let user_names = || select(vec!["ada", "bob"]).prop_map(|name| UserName::parse(name).unwrap());
    let limit = || 0..3u32;
    let hooks = || select(&TRIGGERS[..]).prop_map(trigger_name);
    prop_oneof![
        account_names().prop_map(R::AccountNameFree),
        account_ids().prop_map(R::AccountExists),
        (account_ids(), user_names()).prop_map(|(account, name)| R::UserNameFree { account, name }),
        user_ids().prop_map(R::UserExists),
        (user_ids(), account_ids()).prop_map(|(user, account)| R::UserOf { user, account }),
        user_ids().prop_map(R::OperatorBeside),
        keys().prop_map(R::KeyFree),
        (keys(), user_ids()).prop_map(|(key, user)| R::AccessKeyOf { key, user }),
        (user_ids(), limit()).prop_map(|(user, limit)| R::AccessKeysFewerThan { user, limit }),
        organisations().prop_map(R::OrganisationFree),
        organisations().prop_map(R::OrganisationExists),
        organisations().prop_map(R::OrganisationEmpty),
        (user_ids(), limit()).prop_map(|(user, limit)| R::OrganisationsByFewerThan { user, limit }),
        (account_ids(), limit()).prop_map(|(account, limit)| R::OrganisationsOfFewerThan { account, limit }),
        names().prop_map(R::RepositoryExists),
        names().prop_map(R::RepositoryFree),
        names().prop_map(R::RepositoryPrivate),
        (scopes(), user_ids()).prop_map(|(scope, user)| R::GrantExists { scope, user }),
        (scopes(), user_ids()).prop_map(|(scope, user)| R::GrantFree { scope, user }),
        (names(), account_ids()).prop_map(|(repository, account)| R::ShareExists { repository, account }),
        (names(), account_ids()).prop_map(|(repository, account)| R::ShareFree { repository, account }),
        (names(), limit()).prop_map(|(repository, limit)| R::SharesFewerThan { repository, limit }),
        names().prop_map(|repository| R::SyncExists { repository, target: sync_target("far", "lib") }),
        names().prop_map(R::RuleFree),
        (names(), hooks()).prop_map(|(repository, name)| R::TriggerFree { repository, name }),
        (names(), hooks()).prop_map(|(repository, name)| R::TriggerExists { repository, name }),
        (names(), limit()).prop_map(|(repository, limit)| R::TriggersFewerThan { repository, limit }),
    ]
}

fn names() -> impl Strategy<Value = RepositoryName> {
    some_names().prop_map(repository_name)
}

/// One of them more often than the others, so that something comes of it.
fn some_names() -> impl Strategy<Value = &'static str> {
    prop_oneof![2 => Just("math/a"), 3 => select(&NAMES[..])]
}

fn account_ids() -> impl Strategy<Value = AccountId> {
    select(accounts().map(|account| account.id).to_vec())
}

fn user_ids() -> impl Strategy<Value = UserId> {
    select(users().map(|user| user.id).to_vec())
}

fn scopes() -> impl Strategy<Value = GrantScope> {
    prop_oneof![
        select(&ORGANISATIONS[..]).prop_map(in_organisation),
        names().prop_map(GrantScope::Repository),
    ]
}

/// Plays the history to both stores, which are new and empty. Says where they disagree: in what a step answers,
/// or in what can be asked after it.
pub async fn disagreement(
    model: &dyn MetadataStore,
    other: &dyn MetadataStore,
    history: &[Step],
) -> Result<(), Disagreement> {
    /// How many steps go by between two times that everything is asked.
    const STRIDE: usize = 6;
    let mut players = [Player::new(model), Player::new(other)];
    for (number, step) in history.iter().enumerate() {
        let told = [players[0].play(step).await, players[1].play(step).await].map(|said| vec![said.words]);
        compare(number + 1, told)?;
        if number % STRIDE == STRIDE - 1 || number + 1 == history.len() {
            compare(number + 1, [players[0].look().await, players[1].look().await])?;
            compare(number + 1, [players[0].look_at_trail().await, players[1].look_at_trail().await])?;
        }
    }
    Ok(())
}

/// Plays the history to the store, which is new and empty, and says which law of the contract it breaks on its
/// way, whatever another store would say.
pub async fn broken_law(store: &dyn MetadataStore, history: &[Step]) -> Result<(), String> {
    let mut player = Player::new(store);
    let mut before = player.look().await;
    let mut last_place = 0;
    for step in history {
        let rights = player.rights().await;
        let said = player.play(step).await;
        let (moved, after) = (player.rights().await != rights, player.look().await);
        let broken = |law: &str| Err(format!("{law}, after {step:?}"));
        let left = store.traces_after(last_place, many()).await.unwrap();
        last_place = left.last().map_or(last_place, |newest| newest.seq);
        let left = left.len();
        if said.left.is_some_and(|expected| left > expected) {
            return broken("more traces than effective changes");
        }
        if said.moves_rights.is_some_and(|moves| moves != moved) {
            return broken("rights moved, or they did not");
        }
        if said.left == Some(0) && after != before {
            return broken("nothing changed, and yet something is another");
        }
        before = after;
        player.judge().await.or_else(|law| broken(&law))?;
    }
    Ok(())
}

/// Plays the history to the store, and then what its trail tells to the copy; both are new and empty. Says what
/// the copy has otherwise, secrets apart.
pub async fn lost_in_the_trail(
    store: &dyn MetadataStore,
    copy: &dyn MetadataStore,
    history: &[Step],
) -> Result<(), Disagreement> {
    let mut player = Player { with_secrets: false, ..Player::new(store) };
    for step in history {
        player.play(step).await;
    }
    let trail = player.trail().await;
    for trace in &trail {
        retrace(copy, trace).await;
    }
    let mut replayed = Player { with_secrets: false, now: player.now, ..Player::new(copy) };
    compare(history.len(), [player.look().await, replayed.look().await])
}

/// Does again what left the trace, with other secrets.
async fn retrace(copy: &dyn MetadataStore, Trace { traced, user, origin, at, .. }: &Trace) {
    let actor =
        user.as_ref().map_or(nobody(), |(id, _)| Actor::Caller(Caller::User(Identity::new(id.as_str()))));
    let (origin, at) = (origin.clone(), *at);
    if let Ok(event) = serde_json::from_str::<Event>(&traced.change) {
        let repository = repository_name(&traced.resource_name);
        let change = match event {
            Event::RepositoryCreated => Change::CreateRepository,
            Event::RepositoryRemoved => Change::RemoveRepository,
            other => panic!("{other:?} is not retraced"),
        };
        let commit = Commit { repository, actor, origin, at, requires: vec![], changes: vec![change] };
        copy.commit(commit).await.unwrap();
        return;
    }
    let lost = Some(Sealed::new(*b"lost"));
    let change = match serde_json::from_str(&traced.change).unwrap() {
        MetadataChange::PutAccessKey(key) => MetadataChange::PutAccessKey(AccessKey { secret: lost, ..key }),
        MetadataChange::PutTokenKey(key) => MetadataChange::PutTokenKey(TokenKey { secret: lost, ..key }),
        change => change,
    };
    let commit = MetadataCommit { actor, origin, at, requires: vec![], changes: vec![change] };
    copy.commit_metadata(commit).await.unwrap();
}

/// What a store said of a step.
struct Said {
    words: String,
    /// How many traces it may have left, where that can be told.
    left: Option<usize>,
    /// Whether it has to have moved rights, where that can be told.
    moves_rights: Option<bool>,
}

impl Said {
    fn words(words: String) -> Self {
        Self { words, left: None, moves_rights: Some(false) }
    }
}

/// A store that a history is played to, and what its answers have to be compared without: ids and counts are the
/// store's own, and become the number of their first appearance.
struct Player<'a> {
    store: &'a dyn MetadataStore,
    now: DateTime<Utc>,
    repositories: Vec<RepositoryId>,
    organisations: Vec<OrganisationId>,
    rights: Vec<RightsVersion>,
    rules: Vec<RuleId>,
    triggers: Vec<TriggerId>,
    syncs: Vec<i64>,
    sync_jobs: Vec<i64>,
    claims: Vec<ClaimedDelivery>,
    with_secrets: bool,
}

impl<'a> Player<'a> {
    fn new(store: &'a dyn MetadataStore) -> Self {
        Self {
            store,
            now: minute(0),
            repositories: Vec::new(),
            organisations: Vec::new(),
            rights: Vec::new(),
            rules: Vec::new(),
            triggers: Vec::new(),
            syncs: Vec::new(),
            sync_jobs: Vec::new(),
            claims: Vec::new(),
            with_secrets: true,
        }
    }

    fn ago(&self, minutes: i64) -> DateTime<Utc> {
        self.now - TimeDelta::minutes(minutes)
    }

    async fn rights(&self) -> RightsVersion {
        self.store.standing(None, &organisation_name("math"), None).await.unwrap().rights
    }

    async fn trail(&self) -> Vec<Trace> {
        self.store.traces_after(0, many()).await.unwrap()
    }

    /// The count of rights so many changes of it ago; one that was never given, when there were fewer.
    async fn rights_ago(&mut self, ago: usize) -> RightsVersion {
        let current = self.rights().await;
        if self.rights.last() != Some(&current) {
            self.rights.push(current);
        }
        let never_given = RightsVersion(current.0 + 1_000_000);
        self.rights.iter().rev().nth(ago).copied().unwrap_or(never_given)
    }

    /// Tells the store, and says what it answered.
    async fn play(&mut self, step: &Step) -> Said {
        let store = self.store;
        // Seen once for each step, so that the counts of two stores have the same numbers.
        self.rights_ago(0).await;
        match step {
            Step::Wait(minutes) => {
                self.now += TimeDelta::minutes(*minutes);
                Said::words(String::new())
            }
            Step::Commit { actor, rights, requires, changes } => {
                let mut requires = requires.clone();
                if let Some(ago) = rights {
                    requires.push(MetadataRequire::Rights(self.rights_ago(*ago).await));
                }
                let commit = MetadataCommit {
                    actor: actor.clone(),
                    origin: origin(),
                    at: self.now,
                    requires,
                    changes: changes.clone(),
                };
                match store.commit_metadata(commit).await {
                    Ok(receipt) => {
                        let effective = |effect: &Effect| *effect != Effect::Nothing;
                        let moves = |(change, effect): (&MetadataChange, &Effect)| {
                            effective(effect) && change.moves_rights()
                        };
                        Said {
                            words: format!("{:?} {}", receipt.effects, told(&receipt.events)),
                            left: Some(receipt.effects.iter().filter(|effect| effective(effect)).count()),
                            moves_rights: Some(changes.iter().zip(&receipt.effects).any(moves)),
                        }
                    }
                    Err(MetadataCommitError::Unmet(unmet)) => {
                        let unmet: Vec<_> = unmet.into_iter().map(without_count).collect();
                        Said { left: Some(0), ..Said::words(format!("unmet {unmet:?}")) }
                    }
                    Err(MetadataCommitError::Store(error)) => panic!("{error}"),
                }
            }
            Step::Content { actor, repository, rights, changes } => {
                let mut requires = Vec::new();
                if let Some(ago) = rights {
                    let rights = Some(self.rights_ago(*ago).await);
                    requires.push(Require::Grounds(Grounds { repository: None, rights }));
                }
                let commit = Commit {
                    repository: repository_name(repository),
                    actor: actor.clone(),
                    origin: origin(),
                    at: self.now,
                    requires,
                    changes: changes.clone(),
                };
                match store.commit(commit).await {
                    Ok(receipt) => {
                        let removes = |event: &Event| *event == Event::RepositoryRemoved;
                        Said {
                            words: told(&receipt.events),
                            left: None,
                            moves_rights: Some(
                                receipt.events.iter().any(|recorded| removes(&recorded.event)),
                            ),
                        }
                    }
                    Err(CommitError::Unmet(unmet)) => {
                        let is_late = unmet.iter().any(|require| matches!(require, Require::Grounds(_)));
                        let words =
                            if is_late { "rights have moved".into() } else { format!("unmet {unmet:?}") };
                        Said { left: Some(0), ..Said::words(words) }
                    }
                    Err(other) => panic!("{other}"),
                }
            }
            Step::Pulls { repository, tag: text, count } => {
                let (repository, reference) = (repository_name(repository), tag(text).into());
                let pulls = PullCount { repository, reference, count: *count, last: self.now };
                Said::words(said(store.observe_pulls(&[pulls]).await))
            }
            Step::Refused(number, code) => {
                let refused = TracedOperation {
                    traced: Traced {
                        operation: Operation::CreateUserNamespace,
                        resource_id: "".into(),
                        resource_name: "refused".into(),
                        organisation: None,
                        change: "".into(),
                    },
                    outcome: Outcome { code: *code, reason: "because".into() },
                    user: users()[*number].id.clone(),
                    origin: origin(),
                    at: self.now,
                };
                Said::words(said(store.record_operations(&[refused]).await))
            }
            Step::RunRules(minutes) => {
                let (fence, next) = (self.fence("aging").await, self.now + TimeDelta::minutes(*minutes));
                let due = store.due_rules(self.now, many()).await.unwrap();
                for rule in &due {
                    store.rule_ran(rule.id, rule.due, next, &fence).await.unwrap();
                }
                let due = due.into_iter().map(|rule| self.rule(rule)).collect::<Vec<_>>();
                Said::words(format!("{due:?}"))
            }
            Step::FanOut { repository, event, age } => {
                let (fence, at) = (self.fence("triggers").await, self.ago(*age));
                let triggers = store.triggers(&repository_name(repository)).await.unwrap();
                let new = triggers.into_iter().flatten().map(|(id, trigger)| NewDelivery {
                    id: delivery_id(&trigger, *event),
                    ..delivery(id, *event, TAGS[0], at)
                });
                let new: Vec<_> = new.collect();
                Said::words(said(store.fan_out(&new, "triggers", EventSeq(*event), &fence).await))
            }
            Step::Claim(minutes) => {
                let until = self.now + TimeDelta::minutes(*minutes);
                let mut claimed = store.claim_deliveries(self.now, until, many()).await.unwrap();
                claimed.sort_by(|one, other| one.delivery.id.cmp(&other.delivery.id));
                let told = claimed
                    .iter()
                    .map(|claimed| (self.delivery(claimed.delivery.clone()), claimed.trigger.clone()));
                let words = format!("{:?}", told.collect::<Vec<_>>());
                self.claims.extend(claimed);
                Said::words(words)
            }
            Step::Settle(number, trial) => {
                let state = match trial {
                    Trial::Done => DeliveryState::Delivered,
                    Trial::GivenUp => DeliveryState::Dead,
                    Trial::Again(minutes) => DeliveryState::Waiting(self.now + TimeDelta::minutes(*minutes)),
                };
                let tried = Tried { at: self.now, state, detail: "tried".into() };
                match self.claims.iter().rev().nth(*number) {
                    Some(claimed) => Said::words(said(store.settle_delivery(claimed, &tried).await)),
                    None => Said::words(String::new()),
                }
            }
            Step::Revive { repository, event } => {
                let triggers = store.triggers(&repository_name(repository)).await.unwrap();
                let mut words = String::new();
                for (id, trigger) in triggers.into_iter().flatten() {
                    let revived = store.revive_delivery(id, &delivery_id(&trigger, *event), self.now).await;
                    words.push_str(&said(revived));
                }
                Said::words(words)
            }
            Step::NoteStored => Said::words(said(store.note_stored(self.now.date_naive()).await)),
            Step::TrimHistory(age, limit) => {
                let limit = NonZeroU32::new(*limit).unwrap();
                Said::words(said(store.trim_history(self.ago(*age), limit).await))
            }
            Step::TrimKeys(age) => Said::words(said(store.trim_temporary_keys(self.ago(*age), many()).await)),
            Step::TrimTraces(age) => Said::words(said(store.trim_traces(self.ago(*age), many()).await)),
        }
    }

    /// The fence of a lease that lasts for ever.
    async fn fence(&self, name: &str) -> Fence {
        let lease = Lease { name, holder: "one", now: self.now, until: minute(1_000_000) };
        self.store.lease(&lease).await.unwrap().unwrap()
    }

    fn rule(&mut self, rule: RepositoryRule) -> RepositoryRule {
        RepositoryRule { id: RuleId(number(&mut self.rules, rule.id)), ..rule }
    }

    fn delivery(&mut self, delivery: Delivery) -> Delivery {
        Delivery { trigger: TriggerId(number(&mut self.triggers, delivery.trigger)), ..delivery }
    }

    /// The laws that hold at any moment.
    async fn judge(&self) -> Result<(), String> {
        let store = self.store;
        let blob = images()[0].blobs().next().unwrap().digest;
        let near = repository_name("math/new");
        let listed = store.repositories(&page(None)).await.unwrap();
        let holders = store.holders(&blob, &near, many()).await.unwrap();
        for user in [None].into_iter().chain(users().iter().map(Some)) {
            let id = user.map(|user| &user.id);
            for strangers in [false, true] {
                let may = async |name: &RepositoryName| match organisation_of(name) {
                    None => None,
                    Some(organisation) => {
                        let standing = store.standing(id, &organisation, Some(name)).await.unwrap();
                        Some(self.is_readable(&standing, strangers))
                    }
                };
                let all = Candidates::All(&page(None));
                let all = store.readable(id, strangers, all, self.now).await.unwrap();
                let of = Candidates::HoldersOf { digest: &blob, near: &near, limit: many() };
                let of = store.readable(id, strangers, of, self.now).await.unwrap();
                for (candidates, readable) in [(&listed, &all), (&holders, &of)] {
                    for name in candidates {
                        if may(name).await.is_some_and(|may| may != readable.contains(name)) {
                            return Err(format!("{id:?} may read {name}, or may not, whatever it is told"));
                        }
                    }
                }
            }
        }
        for name in ORGANISATIONS.map(organisation_name) {
            let counted = store.repositories_in(&name).await.unwrap();
            let found =
                listed.iter().filter(|listed| organisation_of(listed).as_ref() == Some(&name)).count();
            if counted != found as u64 {
                return Err(format!("{name} counts {counted} repositories of {found}"));
            }
        }
        for id in KEYS.map(key_id) {
            if let Some(KeyHolder { user, account, .. }) = store.key_holder(&id).await.unwrap()
                && (store.user(&user.id).await.unwrap().as_ref() != Some(&user) || account.id != user.account)
            {
                return Err(format!("{id} has a holder that is not there"));
            }
        }
        Ok(())
    }

    fn is_readable(&self, standing: &Standing, strangers: bool) -> bool {
        standing.level_in_repository().is_some()
            || standing.repository.as_ref().is_some_and(|repository| {
                let is_public = repository.visibility == Visibility::Public;
                (is_public && (strangers || standing.user.is_some()))
                    || repository.share.is_some_and(|share| share.holds_at(self.now))
            })
    }

    /// Asks everything that can be asked, the trail apart.
    async fn look(&mut self) -> Vec<String> {
        let mut seen = Vec::new();
        self.look_at_people(&mut seen).await;
        self.look_at_organisations(&mut seen).await;
        self.look_at_repositories(&mut seen).await;
        self.look_at_what_runs(&mut seen).await;
        self.look_at_lists(&mut seen).await;
        self.look_at_standings(&mut seen).await;
        seen
    }

    async fn look_at_people(&self, seen: &mut Vec<String>) {
        let store = self.store;
        seen.push(format!("accounts {:?}", store.accounts(&page(None)).await.unwrap()));
        for account in accounts() {
            let id = &account.id;
            seen.push(format!("{id} is {:?}", store.account(id).await.unwrap()));
            seen.push(format!("{} is {:?}", account.name, store.account_named(&account.name).await.unwrap()));
            let users = store.users(id, &page(None)).await.unwrap();
            seen.push(format!(
                "users of {id} {:?}",
                users.into_iter().map(|it| self.user(it)).collect::<Vec<_>>()
            ));
            for name in ["ada", "bob", "cyd"] {
                let found = store.user_named(id, &UserName::parse(name).unwrap()).await.unwrap();
                seen.push(format!("{name} of {id} {:?}", found.map(|user| user.id)));
            }
        }
        for user in users() {
            let found = store.user(&user.id).await.unwrap().map(|found| self.user(found));
            let keys = store.access_keys(&user.id).await.unwrap();
            let keys: Vec<_> = keys.into_iter().map(|key| self.access_key(key)).collect();
            seen.push(format!("{} is {found:?} with {keys:?}", user.id));
        }
        let keys = store.all_access_keys(&page(None)).await.unwrap();
        seen.push(format!("keys {:?}", keys.into_iter().map(|key| key.id).collect::<Vec<_>>()));
        for id in KEYS.map(key_id) {
            let holder = store.key_holder(&id).await.unwrap().map(|KeyHolder { key, user, account }| {
                let key = match key {
                    HeldKey::Access(key) => format!("{:?}", self.access_key(key)),
                    HeldKey::Temporary(key) if self.with_secrets => format!("{key:?}"),
                    HeldKey::Temporary(key) => format!("{:?}", TemporaryKey { secret: [0; 32], ..key }),
                };
                (key, self.user(user), account)
            });
            seen.push(format!("behind {id} {holder:?}"));
        }
        let keys = store.token_keys().await.unwrap();
        let keys =
            keys.into_iter().map(|TokenKey { id, secret, created }| (id, self.sealed(secret), created));
        seen.push(format!("keys of tokens {:?}", keys.collect::<Vec<_>>()));
    }

    /// A user with what is not printed of it.
    fn user(&self, user: User) -> (User, Option<String>) {
        let password = user.password.as_ref().map(|password| password.expose().to_owned());
        (User { password: None, ..user }, password.filter(|_| self.with_secrets))
    }

    fn access_key(&self, key: AccessKey) -> (AccessKey, Option<Vec<u8>>) {
        let secret = self.sealed(key.secret.clone());
        (AccessKey { secret: None, ..key }, secret)
    }

    fn sealed(&self, sealed: Option<Sealed>) -> Option<Vec<u8>> {
        sealed.filter(|_| self.with_secrets).map(|sealed| sealed.as_bytes().to_owned())
    }

    async fn look_at_organisations(&mut self, seen: &mut Vec<String>) {
        let store = self.store;
        for text in ORGANISATIONS {
            let name = organisation_name(text);
            let found = store.organisation(&name).await.unwrap().map(|found| self.organisation(found));
            seen.push(format!("{text} is {found:?}"));
            seen.push(format!("{text} has {:?}", store.repositories_in(&name).await));
        }
        for user in users() {
            seen.push(format!("{} has made {:?}", user.id, store.organisations_by(&user.id).await));
            for (administers, partly) in [(false, false), (false, true), (true, false), (true, true)] {
                let viewer = crate::ports::Viewer { administers, ..viewer(&user) };
                let listed = store.organisations(&viewer, partly).await.unwrap();
                let listed: Vec<_> = listed
                    .into_iter()
                    .map(|ListedOrganisation { organisation, level, repositories }| {
                        (self.organisation(organisation), level, repositories)
                    })
                    .collect();
                seen.push(format!("{} sees {administers} {partly} {listed:?}", user.id));
            }
        }
        for scope in ORGANISATIONS.map(in_organisation).into_iter().chain(NAMES.map(on_repository)) {
            seen.push(format!("grants {scope:?} {:?}", store.grants(&scope).await));
        }
        for account in accounts() {
            seen.push(format!("{} has {:?}", account.id, store.overview(&account.id).await));
        }
    }

    fn organisation(&mut self, organisation: Organisation) -> Organisation {
        let id = OrganisationId(number(&mut self.organisations, organisation.id));
        Organisation { id, ..organisation }
    }

    async fn look_at_repositories(&mut self, seen: &mut Vec<String>) {
        let store = self.store;
        for text in NAMES {
            let name = repository_name(text);
            let details = store.repository_details(&name).await.unwrap();
            let details = details.map(|details| RepositoryDetails {
                id: RepositoryId(number(&mut self.repositories, details.id)),
                organisation: OrganisationId(number(&mut self.organisations, details.organisation)),
                ..details
            });
            seen.push(format!("{text} is {details:?}"));
            for (order, descending) in
                [(VersionOrder::Tag, false), (VersionOrder::Updated, false), (VersionOrder::Updated, true)]
            {
                let query = VersionQuery { order, descending, ..all_versions() };
                seen.push(format!("{text} versions {query:?} {:?}", store.versions(&name, &query).await));
            }
            let query = VersionQuery { tag: Some("t".into()), after: Some(tag("a")), ..all_versions() };
            seen.push(format!("{text} versions {query:?} {:?}", store.versions(&name, &query).await));
            seen.push(format!("{text} shares {:?}", store.shares(&name, &page(None)).await));
            for account in accounts() {
                seen.push(format!("{text} with {} {:?}", account.id, store.share(&name, &account.id).await));
            }
        }
    }

    async fn look_at_what_runs(&mut self, seen: &mut Vec<String>) {
        let store = self.store;
        for text in NAMES {
            let name = repository_name(text);
            let rule = store.rule(&name).await.unwrap().map(|rule| self.rule(rule));
            let facts = store.aging_facts(&name, &page(None)).await.unwrap();
            seen.push(format!("{text} ages by {rule:?}, which knows {facts:?}"));
            let cleared = store.cleared(&name, 0, many()).await.unwrap();
            let cleared = cleared.map(|cleared| {
                let entries = cleared.entries.into_iter().map(|cleared| Cleared {
                    seq: 0,
                    id: RuleId(number(&mut self.rules, cleared.id)),
                    ..cleared
                });
                (entries.collect::<Vec<_>>(), cleared.total)
            });
            seen.push(format!("{text} has lost {cleared:?}"));
            let syncs = store.syncs(&name).await.unwrap();
            let syncs = syncs
                .into_iter()
                .flatten()
                .map(|sync| SyncRule { id: number(&mut self.syncs, sync.id), ..sync });
            seen.push(format!("{text} goes to {:?}", syncs.collect::<Vec<_>>()));
            for descending in [false, true] {
                let jobs = store.sync_jobs(&name, descending, 1, many()).await.unwrap();
                let jobs = jobs.map(|jobs| {
                    let entries = jobs.entries.into_iter();
                    let entries =
                        entries.map(|job| SyncJob { id: number(&mut self.sync_jobs, job.id), ..job });
                    (entries.collect::<Vec<_>>(), jobs.total)
                });
                seen.push(format!("{text} was asked for {descending} {jobs:?}"));
            }
            let triggers = store.triggers(&name).await.unwrap();
            seen.push(format!("{text} has triggers: {}", triggers.is_some()));
            for (id, trigger) in triggers.into_iter().flatten() {
                let secret = match &trigger.target {
                    TriggerTarget::Webhook { secret, .. } => self.sealed(secret.clone()),
                    TriggerTarget::Workload(_) => None,
                };
                let (name, rule, target) = (&trigger.name, &trigger.rule, trigger.target.key());
                seen.push(format!("{name} {rule:?} {target} {secret:?} {:?}", trigger.created));
                let deliveries = store.deliveries(id, many()).await.unwrap();
                let deliveries: Vec<_> = deliveries.into_iter().map(|it| self.delivery(it)).collect();
                seen.push(format!("{deliveries:?}"));
            }
        }
        let due = store.due_rules(self.now, many()).await.unwrap();
        let due = due.into_iter().map(|rule| self.rule(rule)).collect::<Vec<_>>();
        seen.push(format!("{due:?} are due"));
        let day = |at: DateTime<Utc>| at.date_naive();
        for account in accounts() {
            for kind in [UsageKind::Stored, UsageKind::Pulled] {
                let usage = store.usage(&account.id, kind, day(minute(0)), day(self.now)).await.unwrap();
                seen.push(format!("{} {kind:?} {usage:?}", account.id));
            }
        }
    }

    async fn look_at_lists(&self, seen: &mut Vec<String>) {
        let mut queries = Vec::new();
        for user in users() {
            let lists = [None, Some(true), Some(false)].map(|valid| RepositoryList::SharedWithUs { valid });
            for list in lists.into_iter().chain([RepositoryList::Own, RepositoryList::SharedByUs]) {
                let query = RepositoryQuery { now: self.now, ..repositories_of(&user, list) };
                let orders = [
                    RepositoryOrder::Identity,
                    RepositoryOrder::Name,
                    RepositoryOrder::Updated,
                    RepositoryOrder::Versions,
                    RepositoryOrder::Organisation,
                    RepositoryOrder::Visibility,
                    RepositoryOrder::Account,
                ];
                queries.extend(orders.map(|order| RepositoryQuery { order, ..query.clone() }));
                queries.push(RepositoryQuery { descending: true, offset: 1, ..query.clone() });
                queries.push(RepositoryQuery { category: Some(Category::Linux), ..query.clone() });
                queries.push(RepositoryQuery { visibility: Some(Visibility::Public), ..query.clone() });
                queries.push(RepositoryQuery { organisation: Some("h-".into()), ..query.clone() });
                queries.push(RepositoryQuery { name: Some("-b".into()), ..query.clone() });
                let account = Some(AccountName::parse("west").unwrap());
                queries.push(RepositoryQuery { account, ..query });
            }
        }
        for query in queries {
            let listing = self.store.repository_list(&query).await.unwrap();
            let names: Vec<_> = listing.entries.iter().map(|details| details.name.as_str()).collect();
            seen.push(format!("{query:?} {names:?} of {}", listing.total));
        }
    }

    async fn look_at_standings(&mut self, seen: &mut Vec<String>) {
        let store = self.store;
        let blob = images()[0].blobs().next().unwrap().digest;
        let near = repository_name("math/new");
        for user in [None].into_iter().chain(users().iter().map(Some)) {
            let id = user.map(|user| &user.id);
            for (name, organisation) in
                NAMES.map(repository_name).iter().filter_map(|name| Some((name, organisation_of(name)?)))
            {
                let mut standing = store.standing(id, &organisation, Some(name)).await.unwrap();
                standing.rights = RightsVersion(0);
                if let Some(organisation) = &mut standing.organisation {
                    organisation.id = OrganisationId(number(&mut self.organisations, organisation.id));
                }
                if let Some(repository) = &mut standing.repository {
                    repository.id = RepositoryId(number(&mut self.repositories, repository.id));
                }
                seen.push(format!("{id:?} in {name} {standing:?}"));
            }
            for strangers in [false, true] {
                let all = Candidates::All(&page(None));
                let readable = store.readable(id, strangers, all, self.now).await;
                seen.push(format!("{id:?} {strangers} reads {readable:?}"));
                let of = Candidates::HoldersOf { digest: &blob, near: &near, limit: many() };
                let readable = store.readable(id, strangers, of, self.now).await;
                seen.push(format!("{id:?} {strangers} mounts {readable:?}"));
            }
        }
    }

    async fn look_at_trail(&self) -> Vec<String> {
        let trail = self.trail().await;
        assert!(trail.is_sorted_by(|one, next| one.seq < next.seq), "the trail is in order");
        let mut seen = vec![format!("{:#?}", trail.into_iter().map(without_place).collect::<Vec<_>>())];
        for account in accounts() {
            let all = TraceQuery::of(account.id, many());
            let queries = [
                TraceQuery { user: Some(users()[0].id.clone()), ..all.clone() },
                TraceQuery { user_name: Some("ada".into()), ..all.clone() },
                TraceQuery { resource_type: Some("version".into()), ..all.clone() },
                TraceQuery { resource_name: Some("math/a".into()), ..all.clone() },
                TraceQuery { rating: Some(TraceRating::Warning), ..all.clone() },
                TraceQuery { after: Some(self.ago(40)), until: Some(self.ago(1)), ..all.clone() },
                all,
            ];
            for query in queries {
                let traces = self.store.traces(&query).await.unwrap();
                let places: Vec<_> = traces.into_iter().map(|trace| (trace.at, trace.traced)).collect();
                seen.push(format!("{query:?} {places:?}"));
            }
        }
        seen
    }
}

/// The same for the same event and trigger.
fn delivery_id(trigger: &Trigger, event: u64) -> DeliveryId {
    DeliveryId::new(format!("{} {} {event}", trigger.repository, trigger.name))
}

/// A trace without what is the store's own, in words.
fn without_place(trace: Trace) -> String {
    let Trace { traced, outcome, account_name, project, user, origin, at, .. } = trace;
    format!("{at} {account_name} {project} {user:?} {traced:?} {outcome:?} {origin:?}")
}

fn without_count(require: MetadataRequire) -> MetadataRequire {
    match require {
        MetadataRequire::Rights(_) => MetadataRequire::Rights(RightsVersion(0)),
        other => other,
    }
}

/// The number of an id's first appearance.
fn number<T: Copy + PartialEq>(known: &mut Vec<T>, id: T) -> i64 {
    let position = known.iter().position(|known| *known == id).unwrap_or_else(|| {
        known.push(id);
        known.len() - 1
    });
    i64::try_from(position).unwrap()
}

fn said<T: Debug>(answer: Result<T, StoreError>) -> String {
    format!("{:?}", answer.unwrap())
}

fn page<T>(after: Option<T>) -> Page<T> {
    Page { after, limit: many() }
}
