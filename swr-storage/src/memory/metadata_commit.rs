//! Requirements and changes of metadata, in one go.

use swr_core::commit::{Change, RepositoryId};
use swr_core::control::change::{
    Effect, MetadataChange, MetadataCommit, MetadataCommitError, MetadataReceipt, MetadataRequire,
};
use swr_core::control::credential::{AccessKey, KeyId, TemporaryKey};
use swr_core::control::grant::{Grant, GrantLevel, GrantScope};
use swr_core::control::identity::{Account, AccountId, Role, User, UserId};
use swr_core::control::organisation::{Organisation, OrganisationId};
use swr_core::control::repository::{Attributes, Visibility};
use swr_core::control::session::{Session, SessionProof};
use swr_core::control::share::Share;
use swr_core::control::sync::{SyncJob, SyncRule};
use swr_core::control::trace::{Outcome, Traced};
use swr_core::control::trigger::Trigger;
use swr_core::event::Event;
use swr_core::{OrganisationName, RepositoryName};

use super::manifest_commit::Changing;
use super::manifests::Tables;
use super::metadata::Described;
use super::metadata_trail::Left;

impl Tables {
    pub(super) fn commit_metadata(
        &mut self,
        commit: MetadataCommit,
    ) -> Result<MetadataReceipt, MetadataCommitError> {
        let MetadataCommit { actor, origin, at, requires, changes } = commit;
        self.expect(requires)?;
        let mut changing = Changing::new(self, actor, origin, at);
        let mut effects = Vec::new();
        let mut subjects = Vec::new();
        for change in &changes {
            subjects.push(changing.tables.subject(change).cloned());
            match changing.apply_metadata(change) {
                Ok(effect) => effects.push(effect),
                Err(refusal) => {
                    changing.take_back();
                    return Err(refusal);
                }
            }
        }
        let Changing { tables, user, origin, at, events, .. } = changing;
        let metadata = &mut tables.metadata;
        for ((change, effect), subject) in changes.iter().zip(&effects).zip(subjects) {
            if *effect != Effect::Nothing && change.moves_rights() {
                metadata.move_rights();
            }
            let account = user.as_ref().map(|user| user.account.clone()).or(subject);
            if let Some((account, traced)) = account.zip(Traced::of_change(change, *effect)) {
                let left = Left { user: user.as_ref(), origin: &origin, at };
                metadata.record(account, left, Outcome::done(traced.operation), traced);
            }
        }
        Ok(MetadataReceipt { effects, events })
    }

    fn expect(&self, requires: Vec<MetadataRequire>) -> Result<(), MetadataCommitError> {
        let unmet: Vec<_> = requires.into_iter().filter(|require| !self.holds_of_metadata(require)).collect();
        if unmet.is_empty() { Ok(()) } else { Err(MetadataCommitError::Unmet(unmet)) }
    }

    fn holds_of_metadata(&self, require: &MetadataRequire) -> bool {
        use MetadataRequire as R;
        let metadata = &self.metadata;
        match require {
            R::Rights(rights) => metadata.rights == *rights,
            R::AccountNameFree(name) => metadata.account_named(name).is_none(),
            R::AccountExists(id) => metadata.accounts.contains_key(id),
            R::UserNameFree { account, name } => metadata.user_named(account, name).is_none(),
            R::UserExists(user) => metadata.users.contains_key(user),
            R::UserOf { user, account } => {
                metadata.users.get(user).is_some_and(|user| user.account == *account)
            }
            R::OperatorBeside(user) => {
                let mut others = metadata.users.values().filter(|other| other.id != *user);
                others.any(|other| other.role == Role::Operator)
            }
            R::KeyFree(key) => {
                !metadata.access_keys.contains_key(key) && !metadata.temporary_keys.contains_key(key)
            }
            R::AccessKeyOf { key, user } => {
                metadata.access_keys.get(key).is_some_and(|key| key.user == *user)
            }
            R::AccessKeysFewerThan { user, limit } => fewer(metadata.keys_of(user).count(), *limit),
            R::OrganisationFree(name) => !metadata.organisations.contains_key(name),
            R::OrganisationExists(name) => metadata.organisations.contains_key(name),
            R::OrganisationEmpty(name) => self.listed_in(name).next().is_none(),
            R::OrganisationsByFewerThan { user, limit } => fewer(metadata.organisations_by(user), *limit),
            R::OrganisationsOfFewerThan { account, limit } => {
                fewer(metadata.organisations_of(account).count(), *limit)
            }
            R::RepositoryExists(name) => self.described(name).is_some(),
            R::RepositoryFree(name) => self.described(name).is_none(),
            R::RepositoryPrivate(name) => {
                self.described(name).is_some_and(|it| it.attributes.visibility == Visibility::Private)
            }
            R::GrantExists { scope, user } => self.granted(scope, user).is_some(),
            R::GrantFree { scope, user } => self.granted(scope, user).is_none(),
            R::ShareExists { repository, account } => self.shared(repository, account).is_some(),
            R::ShareFree { repository, account } => self.shared(repository, account).is_none(),
            R::SyncExists { repository, target } => self.sync(repository, target).is_some(),
            R::RuleFree(repository) => self.rule(repository).is_none(),
            R::RuleIs { repository, id } => self.rule(repository).is_some_and(|rule| rule.id == *id),
            R::TriggerFree { repository, name } => self.trigger(repository, name).is_none(),
            R::TriggerExists { repository, name } => self.trigger(repository, name).is_some(),
            R::TriggersFewerThan { repository, limit } => {
                let id = self.listed_id(repository);
                fewer(id.map_or(0, |id| self.triggers_of(id).count()), *limit)
            }
            R::SharesFewerThan { repository, limit } => {
                fewer(self.described(repository).map_or(0, |it| it.shares.len()), *limit)
            }
        }
    }

    /// Whether a decision that rests on rights still stands.
    pub(super) fn rights_are(&self, rights: Option<swr_core::commit::RightsVersion>) -> bool {
        rights.is_none_or(|rights| self.metadata.rights == rights)
    }

    /// What is kept of a listed repository.
    fn described(&self, name: &RepositoryName) -> Option<&Described> {
        self.listed(name).map(|repository| &repository.described)
    }

    fn granted(&self, scope: &GrantScope, user: &UserId) -> Option<GrantLevel> {
        match self.found(scope)? {
            Found::Organisation(id) => self.metadata.grants.get(&(id, user.clone())).copied(),
            Found::Repository(id) => self.repositories.get(&id)?.described.grants.get(user).copied(),
        }
    }

    fn shared(&self, repository: &RepositoryName, account: &AccountId) -> Option<&Share> {
        self.described(repository)?.shares.get(account)
    }

    fn found(&self, scope: &GrantScope) -> Option<Found> {
        match scope {
            GrantScope::Organisation(name) => {
                self.metadata.organisations.get(name).map(|found| Found::Organisation(found.id))
            }
            GrantScope::Repository(name) => self.listed_id(name).map(Found::Repository),
        }
    }

    pub(super) fn listed_id(&self, name: &RepositoryName) -> Option<RepositoryId> {
        self.listed(name).and(self.names.get(name).copied())
    }

    /// The account that the change is about, or that owns what it is about.
    fn subject<'a>(&'a self, change: &'a MetadataChange) -> Option<&'a AccountId> {
        use MetadataChange as C;
        let metadata = &self.metadata;
        let account_of = |user| metadata.users.get(user).map(|user| &user.account);
        let owner = |name| metadata.organisations.get(name).map(|found| &found.account);
        let owner_of = |name| metadata.organisation_of(name).map(|found| &found.account);
        match change {
            C::PutAccount(account) => Some(&account.id),
            C::PutUser(user) => Some(&user.account),
            C::RemoveUser(user) => account_of(user),
            C::PutAccessKey(key) => account_of(&key.user),
            C::RemoveAccessKey(key) => account_of(&metadata.access_keys.get(key)?.user),
            C::PutTemporaryKey(key) => account_of(&key.user),
            C::PutTokenKey(_) | C::RemoveTokenKey(_) => None,
            C::CreateOrganisation { account, .. } => Some(account),
            C::RemoveOrganisation(name) => owner(name),
            C::CreateRepository { name, .. } | C::SetAttributes { name, .. } => owner_of(name),
            C::PutGrant(Grant { scope, .. }) | C::RemoveGrant { scope, .. } => match scope {
                GrantScope::Organisation(name) => owner(name),
                GrantScope::Repository(name) => owner_of(name),
            },
            C::PutShare(Share { repository, .. })
            | C::RemoveShare { repository, .. }
            | C::PutSync(SyncRule { repository, .. })
            | C::RemoveSync { repository, .. }
            | C::AddSyncJob(SyncJob { repository, .. })
            | C::PutRule { repository, .. }
            | C::RemoveRule(repository)
            | C::CreateTrigger(Trigger { repository, .. })
            | C::EnableTrigger { repository, .. }
            | C::RemoveTrigger { repository, .. } => owner_of(repository),
        }
    }
}

/// What a grant is on, by its identity.
enum Found {
    Organisation(OrganisationId),
    Repository(RepositoryId),
}

fn fewer(count: usize, limit: u32) -> bool {
    (count as u64) < u64::from(limit)
}

type Outcomes = Result<Effect, MetadataCommitError>;

pub(super) fn taken(require: MetadataRequire) -> MetadataCommitError {
    MetadataCommitError::Unmet(vec![require])
}

/// What it comes to that something is another now.
fn effect<T: PartialEq>(before: Option<&T>, after: &T) -> Effect {
    match before {
        None => Effect::Created,
        Some(before) if before == after => Effect::Nothing,
        Some(_) => Effect::Changed,
    }
}

pub(super) fn removal(was_there: bool) -> Effect {
    if was_there { Effect::Removed } else { Effect::Nothing }
}

impl Changing<'_> {
    fn apply_metadata(&mut self, change: &MetadataChange) -> Outcomes {
        use MetadataChange as C;
        self.tables.expect(change.needs())?;
        match change {
            C::PutAccount(account) => self.put_account(account),
            C::PutUser(user) => self.put_user(user),
            C::RemoveUser(user) => Ok(self.remove_user(user)),
            C::PutAccessKey(key) => self.put_access_key(key),
            C::RemoveAccessKey(key) => Ok(self.remove_access_key(key)),
            C::PutTemporaryKey(key) => self.put_temporary_key(key),
            C::PutTokenKey(key) => {
                let effect = effect(self.tables.metadata.token_keys.get(&key.id), key);
                self.put(|tables| Some(&mut tables.metadata.token_keys), key.id.clone(), Some(key.clone()));
                Ok(effect)
            }
            C::RemoveTokenKey(key) => {
                let was_there = self.tables.metadata.token_keys.contains_key(key);
                self.put(|tables| Some(&mut tables.metadata.token_keys), key.clone(), None);
                Ok(removal(was_there))
            }
            C::CreateOrganisation { name, account, creator } => {
                self.create_organisation(name, account, creator)
            }
            C::RemoveOrganisation(name) => Ok(self.remove_organisation(name)),
            C::CreateRepository { name, attributes } => Ok(self.create_repository(name, attributes)),
            C::SetAttributes { name, attributes } => Ok(self.set_attributes(name, attributes)),
            C::PutGrant(Grant { scope, user, level, .. }) => Ok(self.set_grant(scope, user, Some(*level))),
            C::RemoveGrant { scope, user } => Ok(self.set_grant(scope, user, None)),
            C::PutShare(share) => Ok(self.put_share(share)),
            C::PutSync(sync) => Ok(self.put_sync(sync)),
            C::RemoveSync { repository, target } => Ok(self.remove_sync(repository, target)),
            C::AddSyncJob(job) => Ok(self.add_sync_job(job)),
            C::PutRule { repository, rule } => Ok(self.put_rule(repository, rule)),
            C::RemoveRule(repository) => Ok(self.remove_rule(repository)),
            C::CreateTrigger(trigger) => self.create_trigger(trigger),
            C::EnableTrigger { repository, name, enabled } => {
                Ok(self.enable_trigger(repository, name, *enabled))
            }
            C::RemoveTrigger { repository, name } => Ok(self.remove_trigger(repository, name)),
            C::RemoveShare { repository, account } => Ok(self.remove_share(repository, account)),
        }
    }

    // Who there is.

    fn put_account(&mut self, account: &Account) -> Outcomes {
        let metadata = &self.tables.metadata;
        if metadata.account_named(&account.name).is_some_and(|other| other.id != account.id) {
            return Err(taken(MetadataRequire::AccountNameFree(account.name.clone())));
        }
        let effect = effect(metadata.accounts.get(&account.id), account);
        self.put(|tables| Some(&mut tables.metadata.accounts), account.id.clone(), Some(account.clone()));
        Ok(effect)
    }

    fn put_user(&mut self, user: &User) -> Outcomes {
        let metadata = &self.tables.metadata;
        if metadata.user_named(&user.account, &user.name).is_some_and(|other| other.id != user.id) {
            let (account, name) = (user.account.clone(), user.name.clone());
            return Err(taken(MetadataRequire::UserNameFree { account, name }));
        }
        let effect = effect(metadata.users.get(&user.id), user);
        self.put(|tables| Some(&mut tables.metadata.users), user.id.clone(), Some(user.clone()));
        Ok(effect)
    }

    fn remove_user(&mut self, user: &UserId) -> Effect {
        let metadata = &self.tables.metadata;
        let was_there = metadata.users.contains_key(user);
        let keys: Vec<_> = metadata.keys_of(user).map(|key| key.id.clone()).collect();
        let temporary = metadata.temporary_keys.values().filter(|key| key.user == *user);
        let temporary: Vec<_> = temporary.map(|key| key.id.clone()).collect();
        let sessions = metadata.sessions.values().filter(|session| session.user == *user);
        let sessions: Vec<_> = sessions.map(|session| session.id).collect();
        let granted: Vec<_> = metadata.grants.keys().filter(|(_, to)| to == user).cloned().collect();
        let repositories: Vec<_> = self.tables.repositories.keys().copied().collect();
        for key in keys {
            self.put(|tables| Some(&mut tables.metadata.access_keys), key, None);
        }
        for key in temporary {
            self.put(|tables| Some(&mut tables.metadata.temporary_keys), key, None);
        }
        for id in sessions {
            self.put(|tables| Some(&mut tables.metadata.sessions), id, None);
        }
        for key in granted {
            self.put(|tables| Some(&mut tables.metadata.grants), key, None);
        }
        for id in repositories {
            self.put_in(id, |repository| &mut repository.described.grants, user.clone(), None);
        }
        self.put(|tables| Some(&mut tables.metadata.users), user.clone(), None);
        removal(was_there)
    }

    // What they sign in with.

    fn put_access_key(&mut self, key: &AccessKey) -> Outcomes {
        let metadata = &self.tables.metadata;
        let before = metadata.access_keys.get(&key.id);
        if metadata.temporary_keys.contains_key(&key.id)
            || before.is_some_and(|before| before.user != key.user)
        {
            return Err(taken(MetadataRequire::KeyFree(key.id.clone())));
        }
        let effect = effect(before, key);
        self.put(|tables| Some(&mut tables.metadata.access_keys), key.id.clone(), Some(key.clone()));
        Ok(effect)
    }

    fn remove_access_key(&mut self, id: &KeyId) -> Effect {
        let metadata = &self.tables.metadata;
        let was_there = metadata.access_keys.contains_key(id);
        let issued = metadata.temporary_keys.values().filter(|key| key.issued_with.as_ref() == Some(id));
        let issued: Vec<_> = issued.map(|key| key.id.clone()).collect();
        let with_it = |session: &&Session| matches!(&session.proof, SessionProof::Key(key) if key == id);
        let sessions: Vec<_> = metadata.sessions.values().filter(with_it).map(|it| it.id).collect();
        for key in issued {
            self.put(|tables| Some(&mut tables.metadata.temporary_keys), key, None);
        }
        for id in sessions {
            self.put(|tables| Some(&mut tables.metadata.sessions), id, None);
        }
        self.put(|tables| Some(&mut tables.metadata.access_keys), id.clone(), None);
        removal(was_there)
    }

    fn put_temporary_key(&mut self, key: &TemporaryKey) -> Outcomes {
        let metadata = &self.tables.metadata;
        let before = metadata.temporary_keys.get(&key.id);
        if metadata.access_keys.contains_key(&key.id) || before.is_some_and(|before| before.user != key.user)
        {
            return Err(taken(MetadataRequire::KeyFree(key.id.clone())));
        }
        let effect = effect(before, key);
        self.put(|tables| Some(&mut tables.metadata.temporary_keys), key.id.clone(), Some(key.clone()));
        Ok(effect)
    }

    // What there is.

    fn create_organisation(
        &mut self,
        name: &OrganisationName,
        account: &AccountId,
        creator: &UserId,
    ) -> Outcomes {
        let metadata = &mut self.tables.metadata;
        match metadata.organisations.get(name) {
            Some(there) if there.account == *account && there.creator == *creator => {
                return Ok(Effect::Nothing);
            }
            Some(_) => return Err(taken(MetadataRequire::OrganisationFree(name.clone()))),
            None => {}
        }
        let user = MetadataRequire::UserOf { user: creator.clone(), account: account.clone() };
        let creator_name = metadata.users.get(creator).ok_or_else(|| taken(user))?.name.clone();
        // Taking back does not give the number back: none is ever given twice.
        metadata.last_organisation += 1;
        let organisation = Organisation {
            id: OrganisationId(metadata.last_organisation),
            name: name.clone(),
            account: account.clone(),
            creator: creator.clone(),
            creator_name,
            created: self.at,
        };
        self.put(|tables| Some(&mut tables.metadata.organisations), name.clone(), Some(organisation));
        Ok(Effect::Created)
    }

    fn remove_organisation(&mut self, name: &OrganisationName) -> Effect {
        let metadata = &self.tables.metadata;
        let Some(id) = metadata.organisations.get(name).map(|found| found.id) else {
            return Effect::Nothing;
        };
        let granted: Vec<_> = metadata.grants.keys().filter(|(on, _)| *on == id).cloned().collect();
        for key in granted {
            self.put(|tables| Some(&mut tables.metadata.grants), key, None);
        }
        self.put(|tables| Some(&mut tables.metadata.organisations), name.clone(), None);
        Effect::Removed
    }

    fn create_repository(&mut self, name: &RepositoryName, attributes: &Attributes) -> Effect {
        let before = self.list_repository(name);
        let Some(created) = Event::of(&Change::CreateRepository, before) else { return Effect::Nothing };
        self.record(name, created);
        if let Some(id) = self.tables.listed_id(name) {
            self.describe(id, |described| described.attributes = attributes.clone());
        }
        Effect::Created
    }

    fn set_attributes(&mut self, name: &RepositoryName, attributes: &Attributes) -> Effect {
        let before = self.tables.described(name).map(|described| &described.attributes);
        let (effect, at) = (effect(before, attributes), self.at);
        if effect == Effect::Changed
            && let Some(id) = self.tables.listed_id(name)
        {
            self.describe(id, |described| {
                described.attributes = attributes.clone();
                described.updated = at;
            });
        }
        effect
    }

    // Who may what.

    fn set_grant(&mut self, scope: &GrantScope, user: &UserId, level: Option<GrantLevel>) -> Effect {
        let before = self.tables.granted(scope, user);
        match self.tables.found(scope) {
            Some(Found::Organisation(id)) => {
                self.put(|tables| Some(&mut tables.metadata.grants), (id, user.clone()), level);
            }
            Some(Found::Repository(id)) => {
                self.put_in(id, |repository| &mut repository.described.grants, user.clone(), level);
            }
            None => {}
        }
        level.map_or(removal(before.is_some()), |level| effect(before.as_ref(), &level))
    }

    fn put_share(&mut self, share: &Share) -> Effect {
        let Some(id) = self.tables.listed_id(&share.repository) else { return Effect::Nothing };
        let before = self.tables.shared(&share.repository, &share.account).cloned();
        let (effect, share) = match before {
            None => (Effect::Created, share.clone()),
            Some(before) if before.deadline == share.deadline && before.description == share.description => {
                return Effect::Nothing;
            }
            Some(Share { creator, creator_name, created, .. }) => {
                (Effect::Changed, Share { creator, creator_name, created, ..share.clone() })
            }
        };
        self.put_in(id, |repository| &mut repository.described.shares, share.account.clone(), Some(share));
        effect
    }

    fn remove_share(&mut self, repository: &RepositoryName, account: &AccountId) -> Effect {
        let was_there = self.tables.shared(repository, account).is_some();
        if let Some(id) = self.tables.listed_id(repository) {
            self.put_in(id, |repository| &mut repository.described.shares, account.clone(), None);
        }
        removal(was_there)
    }

    // What is kept of a repository.

    /// It has come to be listed.
    pub(super) fn describe_new(&mut self, id: RepositoryId) {
        let creator = self.user.as_ref().map(|user| (user.id.clone(), user.name.clone()));
        let (created, updated) = (self.at, self.at);
        self.describe(id, |described| {
            *described = Described { creator, created, updated, ..Described::default() };
        });
    }

    /// A tag in it was set or removed.
    pub(super) fn describe_updated(&mut self, id: RepositoryId) {
        let at = self.at;
        self.describe(id, |described| described.updated = at);
    }

    /// It is no more: what hangs on it beside its content goes at once, and what of it is past as its time comes.
    pub(super) fn drop_metadata(&mut self, id: RepositoryId) {
        let syncs: Vec<_> = self.tables.syncs_of(id).map(|sync| sync.id).collect();
        let triggers: Vec<_> = self.tables.triggers_of(id).map(|(trigger, _)| trigger).collect();
        for sync in syncs {
            self.put(|tables| Some(&mut tables.metadata.syncs), sync, None);
        }
        for trigger in triggers {
            self.put(|tables| Some(&mut tables.metadata.triggers), trigger, None);
        }
        self.put(|tables| Some(&mut tables.metadata.rules), id, None);
    }

    fn describe(&mut self, id: RepositoryId, change: impl FnOnce(&mut Described)) {
        let Some(repository) = self.tables.repositories.get_mut(&id) else { return };
        let before = repository.described.clone();
        change(&mut repository.described);
        self.if_taken_back(move |tables| {
            if let Some(repository) = tables.repositories.get_mut(&id) {
                repository.described = before;
            }
        });
    }
}
