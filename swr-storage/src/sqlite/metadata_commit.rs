//! Requirements, changes and traces of the control plane, in one savepoint of the writer's transaction.

use std::num::NonZeroU32;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, ToSql, params};

use swr_core::commit::{Change, Receipt, RepositoryId};
use swr_core::control::change::{Effect, MetadataChange, MetadataCommit, MetadataReceipt, MetadataRequire};
use swr_core::control::credential::{AccessKey, KeyId, TemporaryKey, TokenKey};
use swr_core::control::grant::{Grant, GrantScope};
use swr_core::control::identity::{Account, AccountId, User, UserId};
use swr_core::control::organisation::{OrganisationId, organisation_of};
use swr_core::control::repository::{Attributes, Visibility};
use swr_core::control::rule::RuleId;
use swr_core::control::share::Share;
use swr_core::control::sync::{SyncJob, SyncRule, SyncTarget};
use swr_core::control::trace::{Outcome, Traced};
use swr_core::control::trigger::Trigger;
use swr_core::event::RecordedEvent;
use swr_core::{OrganisationName, RepositoryName, TriggerName};

use super::columns::Sql;
use super::connections::{WriteError, Writing};
use super::manifest_commit::{Changing, Recorded, move_rights, rights};
use super::manifest_reads::listed;
use super::metadata_reads::repositories_in;
use super::rules::{RULE_IS, RULE_OF};
use super::sessions::{END_OF_KEY, END_OF_USER};
use super::syncs::SYNC;
use super::traces::{NewTrace, leave, owner};
use super::triggers::{NAMED, TRIGGERS_OF};

/// Applies the commit. What is left of one that fails, the writer rolls back.
pub(super) fn commit(writing: &Writing<'_>, commit: &MetadataCommit) -> Result<MetadataReceipt, WriteError> {
    let MetadataCommit { actor, origin, at, requires, changes } = commit;
    let connection = writing.connection;
    expect(connection, requires)?;
    let recorded = Recorded::new(actor, origin)?;
    let user = recorded.user(connection)?;
    let mut applying = Applying { writing, recorded: &recorded, at: *at, events: Vec::new() };
    let mut effects = Vec::with_capacity(changes.len());
    let mut rights_move = false;
    for change in changes {
        expect(connection, &change.needs())?;
        // Looked for first: afterwards it may be gone.
        let account = match user {
            Some(user) => Some(user.account.clone()),
            None => whom(connection, change)?,
        };
        let effect = applying.apply(change)?;
        if let (Some(account), Some(traced)) = (account, Traced::of_change(change, effect)) {
            let outcome = Outcome::done(traced.operation);
            let (traced, outcome, origin) = (&traced, &outcome, &recorded.origin_json);
            leave(connection, &NewTrace { account: &account, user, traced, outcome, origin, at: *at })?;
        }
        rights_move |= effect != Effect::Nothing && change.moves_rights();
        effects.push(effect);
    }
    if rights_move {
        move_rights(connection)?;
    }
    Ok(MetadataReceipt { effects, events: applying.events })
}

// What is there.

fn expect(connection: &Connection, requires: &[MetadataRequire]) -> Result<(), WriteError> {
    let mut unmet = Vec::new();
    for require in requires {
        if !holds(connection, require)? {
            unmet.push(require.clone());
        }
    }
    if unmet.is_empty() { Ok(()) } else { Err(WriteError::UnmetMetadata(unmet)) }
}

const ACCOUNT: &str = "SELECT 1 FROM accounts WHERE id = ?1";

const ACCOUNT_OF_NAME: &str = "SELECT id FROM accounts WHERE name = ?1";

const USER: &str = "SELECT 1 FROM users WHERE id = ?1";

const USER_OF: &str = "SELECT 1 FROM users WHERE id = ?1 AND account = ?2";

const USER_OF_NAME: &str = "SELECT id FROM users WHERE account = ?1 AND name = ?2";

const OPERATOR_BESIDE: &str = "
    SELECT 1 FROM users INDEXED BY users_operators WHERE role = 'operator' AND id <> ?1 LIMIT 1";

const USER_OF_ACCESS_KEY: &str = "SELECT user FROM access_keys WHERE id = ?1";

const USER_OF_TEMPORARY_KEY: &str = "SELECT user FROM temporary_keys WHERE id = ?1";

const ACCESS_KEYS_OF: &str = "SELECT count(*) FROM access_keys WHERE user = ?1";

const TOKEN_KEY: &str = "SELECT 1 FROM token_keys WHERE id = ?1";

const ORGANISATION: &str = "SELECT id FROM organisations WHERE name = ?1";

const ORGANISATION_BY: &str = "SELECT 1 FROM organisations WHERE name = ?1 AND account = ?2 AND creator = ?3";

const ORGANISATIONS_BY: &str = "SELECT count(*) FROM organisations WHERE creator = ?1";

const ORGANISATIONS_OF: &str = "SELECT count(*) FROM organisations WHERE account = ?1";

const PRIVATE: &str = "SELECT 1 FROM repositories WHERE id = ?1 AND visibility = 0";

const ORGANISATION_GRANT: &str = "SELECT 1 FROM organisation_grants WHERE organisation = ?1 AND user = ?2";

const REPOSITORY_GRANT: &str = "SELECT 1 FROM repository_grants WHERE repository = ?1 AND user = ?2";

const SHARE: &str = "SELECT 1 FROM shares WHERE repository = ?1 AND account = ?2";

const SHARES_OF: &str = "SELECT count(*) FROM shares WHERE repository = ?1";

fn holds(connection: &Connection, require: &MetadataRequire) -> rusqlite::Result<bool> {
    use MetadataRequire as R;
    let there = |statement, key: &[&dyn ToSql]| connection.prepare_cached(statement)?.exists(key);
    let fewer = |statement, of: &dyn ToSql, limit: u32| {
        let count: i64 = connection.prepare_cached(statement)?.query_row([of], |row| row.get(0))?;
        Ok::<_, rusqlite::Error>(count < i64::from(limit))
    };
    Ok(match require {
        R::Rights(version) => rights(connection)? == *version,
        R::AccountNameFree(name) => !there(ACCOUNT_OF_NAME, &[&Sql(name)])?,
        R::AccountExists(account) => there(ACCOUNT, &[&Sql(account)])?,
        R::UserNameFree { account, name } => !there(USER_OF_NAME, &[&Sql(account), &Sql(name)])?,
        R::UserExists(user) => there(USER, &[&Sql(user)])?,
        R::UserOf { user, account } => there(USER_OF, &[&Sql(user), &Sql(account)])?,
        R::OperatorBeside(user) => there(OPERATOR_BESIDE, &[&Sql(user)])?,
        R::KeyFree(key) => {
            !there(USER_OF_ACCESS_KEY, &[&Sql(key)])? && !there(USER_OF_TEMPORARY_KEY, &[&Sql(key)])?
        }
        R::AccessKeyOf { key, user } => holder(connection, USER_OF_ACCESS_KEY, key)?.as_ref() == Some(user),
        R::AccessKeysFewerThan { user, limit } => fewer(ACCESS_KEYS_OF, &Sql(user), *limit)?,
        R::OrganisationFree(name) => organisation(connection, name)?.is_none(),
        R::OrganisationExists(name) => organisation(connection, name)?.is_some(),
        R::OrganisationEmpty(name) => repositories_in(connection, name)? == 0,
        R::OrganisationsByFewerThan { user, limit } => fewer(ORGANISATIONS_BY, &Sql(user), *limit)?,
        R::OrganisationsOfFewerThan { account, limit } => fewer(ORGANISATIONS_OF, &Sql(account), *limit)?,
        R::RepositoryExists(name) => listed(connection, name)?.is_some(),
        R::RepositoryFree(name) => listed(connection, name)?.is_none(),
        R::RepositoryPrivate(name) => match listed(connection, name)? {
            Some(id) => there(PRIVATE, &[&Sql(id)])?,
            None => false,
        },
        R::GrantExists { scope, user } => is_granted(connection, scope, user)?,
        R::GrantFree { scope, user } => !is_granted(connection, scope, user)?,
        R::ShareExists { repository, account } => is_shared(connection, repository, account)?,
        R::ShareFree { repository, account } => !is_shared(connection, repository, account)?,
        R::SyncExists { repository, target: SyncTarget { region, organisation } } => {
            match listed(connection, repository)? {
                Some(id) => there(SYNC, &[&Sql(id), region, organisation])?,
                None => false,
            }
        }
        R::RuleFree(repository) => match listed(connection, repository)? {
            Some(id) => !there(RULE_OF, &[&Sql(id)])?,
            None => true,
        },
        R::RuleIs { repository, id: RuleId(rule) } => match listed(connection, repository)? {
            Some(id) => there(RULE_IS, &[&Sql(id), rule])?,
            None => false,
        },
        R::TriggerFree { repository, name } => !is_triggered(connection, repository, name)?,
        R::TriggerExists { repository, name } => is_triggered(connection, repository, name)?,
        R::TriggersFewerThan { repository, limit } => match listed(connection, repository)? {
            Some(id) => fewer(TRIGGERS_OF, &Sql(id), *limit)?,
            None => *limit > 0,
        },
        R::SharesFewerThan { repository, limit } => match listed(connection, repository)? {
            Some(id) => fewer(SHARES_OF, &Sql(id), *limit)?,
            None => *limit > 0,
        },
    })
}

/// Whose key it is, of the kind that the statement is about.
fn holder(connection: &Connection, statement: &str, key: &KeyId) -> rusqlite::Result<Option<UserId>> {
    let mut holder = connection.prepare_cached(statement)?;
    holder.query_row([Sql(key)], |row| row.get(0)).optional().map(|user| user.map(|Sql(user)| user))
}

fn organisation(
    connection: &Connection,
    name: &OrganisationName,
) -> rusqlite::Result<Option<OrganisationId>> {
    let mut id = connection.prepare_cached(ORGANISATION)?;
    id.query_row([Sql(name)], |row| row.get(0)).optional().map(|id| id.map(|Sql(id)| id))
}

/// What a grant hangs on.
enum Place {
    Organisation(OrganisationId),
    Repository(RepositoryId),
}

fn place(connection: &Connection, scope: &GrantScope) -> rusqlite::Result<Option<Place>> {
    Ok(match scope {
        GrantScope::Organisation(name) => organisation(connection, name)?.map(Place::Organisation),
        GrantScope::Repository(name) => listed(connection, name)?.map(Place::Repository),
    })
}

fn is_granted(connection: &Connection, scope: &GrantScope, user: &UserId) -> rusqlite::Result<bool> {
    match place(connection, scope)? {
        Some(Place::Organisation(id)) => {
            connection.prepare_cached(ORGANISATION_GRANT)?.exists(params![id.0, Sql(user)])
        }
        Some(Place::Repository(id)) => {
            connection.prepare_cached(REPOSITORY_GRANT)?.exists(params![Sql(id), Sql(user)])
        }
        None => Ok(false),
    }
}

fn is_shared(
    connection: &Connection,
    repository: &RepositoryName,
    account: &AccountId,
) -> rusqlite::Result<bool> {
    let Some(id) = listed(connection, repository)? else { return Ok(false) };
    connection.prepare_cached(SHARE)?.exists(params![Sql(id), Sql(account)])
}

fn is_triggered(
    connection: &Connection,
    repository: &RepositoryName,
    name: &TriggerName,
) -> rusqlite::Result<bool> {
    let Some(id) = listed(connection, repository)? else { return Ok(false) };
    connection.prepare_cached(NAMED)?.exists(params![Sql(id), Sql(name)])
}

const ACCOUNT_OF_USER: &str = "SELECT account FROM users WHERE id = ?1";

const ACCOUNT_OF_KEY: &str = "
    SELECT users.account FROM access_keys JOIN users ON users.id = access_keys.user WHERE access_keys.id = ?1";

/// The id of the account whose trail tells of the change when nobody in particular acts.
fn whom(connection: &Connection, change: &MetadataChange) -> rusqlite::Result<Option<String>> {
    use MetadataChange as C;
    let found = |statement, id: &str| {
        connection.prepare_cached(statement)?.query_row([id], |row| row.get(0)).optional()
    };
    let of_repository = |name: &RepositoryName| match organisation_of(name) {
        Some(organisation) => owner(connection, &organisation),
        None => Ok(None),
    };
    match change {
        C::PutAccount(account) => Ok(Some(account.id.as_str().to_owned())),
        C::PutUser(user) => Ok(Some(user.account.as_str().to_owned())),
        C::RemoveUser(user) => found(ACCOUNT_OF_USER, user.as_str()),
        C::PutAccessKey(key) => found(ACCOUNT_OF_USER, key.user.as_str()),
        C::RemoveAccessKey(key) => found(ACCOUNT_OF_KEY, key.as_str()),
        C::PutTemporaryKey(key) => found(ACCOUNT_OF_USER, key.user.as_str()),
        C::PutTokenKey(_) | C::RemoveTokenKey(_) => Ok(None),
        C::CreateOrganisation { account, .. } => Ok(Some(account.as_str().to_owned())),
        C::RemoveOrganisation(name) => owner(connection, name),
        C::CreateRepository { name, .. } | C::SetAttributes { name, .. } => of_repository(name),
        C::PutGrant(Grant { scope, .. }) | C::RemoveGrant { scope, .. } => match scope {
            GrantScope::Organisation(name) => owner(connection, name),
            GrantScope::Repository(name) => of_repository(name),
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
        | C::RemoveTrigger { repository, .. } => of_repository(repository),
    }
}

// What changes. What finds everything as it wants it touches no row.

const PUT_ACCOUNT: &str = "
    INSERT INTO accounts (id, name, project, agency, created) VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT (id) DO UPDATE SET name = ?2, project = ?3, agency = ?4, created = ?5
    WHERE (name, project, agency, created) IS NOT (?2, ?3, ?4, ?5)";

const PUT_USER: &str = "
    INSERT INTO users (id, account, name, role, password, created) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT (id) DO UPDATE SET account = ?2, name = ?3, role = ?4, password = ?5, created = ?6
    WHERE (account, name, role, password, created) IS NOT (?2, ?3, ?4, ?5, ?6)";

const REMOVE_ORGANISATION_GRANTS_OF: &str = "DELETE FROM organisation_grants WHERE user = ?1";

const REMOVE_REPOSITORY_GRANTS_OF: &str = "DELETE FROM repository_grants WHERE user = ?1";

const REMOVE_TEMPORARY_KEYS_OF: &str = "DELETE FROM temporary_keys WHERE user = ?1";

const REMOVE_ACCESS_KEYS_OF: &str = "DELETE FROM access_keys WHERE user = ?1";

const REMOVE_USER: &str = "DELETE FROM users WHERE id = ?1";

const PUT_ACCESS_KEY: &str = "
    INSERT INTO access_keys (id, user, description, secret, created) VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT (id) DO UPDATE SET description = ?3, secret = ?4, created = ?5
    WHERE (description, secret, created) IS NOT (?3, ?4, ?5)";

const REMOVE_ISSUED_WITH: &str = "DELETE FROM temporary_keys WHERE issued_with = ?1";

const REMOVE_ACCESS_KEY: &str = "DELETE FROM access_keys WHERE id = ?1";

const PUT_TEMPORARY_KEY: &str = "
    INSERT INTO temporary_keys (id, user, issued_with, secret, expires) VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT (id) DO UPDATE SET issued_with = ?3, secret = ?4, expires = ?5
    WHERE (issued_with, secret, expires) IS NOT (?3, ?4, ?5)";

const PUT_TOKEN_KEY: &str = "
    INSERT INTO token_keys (id, secret, created) VALUES (?1, ?2, ?3)
    ON CONFLICT (id) DO UPDATE SET secret = ?2, created = ?3
    WHERE (secret, created) IS NOT (?2, ?3)";

const REMOVE_TOKEN_KEY: &str = "DELETE FROM token_keys WHERE id = ?1";

const CREATE_ORGANISATION: &str = "
    INSERT INTO organisations (name, account, creator, creator_name, created)
    SELECT ?1, ?2, id, name, ?4 FROM users WHERE id = ?3";

const REMOVE_GRANTS_IN: &str = "DELETE FROM organisation_grants WHERE organisation = ?1";

const REMOVE_ORGANISATION: &str = "DELETE FROM organisations WHERE id = ?1";

const DESCRIBE: &str =
    "UPDATE repositories SET visibility = ?2, category = ?3, description = ?4 WHERE id = ?1";

const SET_ATTRIBUTES: &str = "
    UPDATE repositories SET visibility = ?2, category = ?3, description = ?4, updated = ?5
    WHERE name = ?1 AND listed = 1 AND (visibility, category, description) IS NOT (?2, ?3, ?4)";

const PUT_ORGANISATION_GRANT: &str = "
    INSERT INTO organisation_grants (organisation, user, level, created) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (organisation, user) DO UPDATE SET level = ?3, created = ?4 WHERE level <> ?3";

const PUT_REPOSITORY_GRANT: &str = "
    INSERT INTO repository_grants (repository, user, level, created) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (repository, user) DO UPDATE SET level = ?3, created = ?4 WHERE level <> ?3";

const REMOVE_ORGANISATION_GRANT: &str = "
    DELETE FROM organisation_grants WHERE organisation = ?1 AND user = ?2";

const REMOVE_REPOSITORY_GRANT: &str = "DELETE FROM repository_grants WHERE repository = ?1 AND user = ?2";

const PUT_SHARE: &str = "
    INSERT INTO shares (repository, account, deadline, description, creator, creator_name, created, updated)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
    ON CONFLICT (repository, account) DO UPDATE SET deadline = ?3, description = ?4, updated = ?8
    WHERE (deadline, description) IS NOT (?3, ?4)";

const REMOVE_SHARE: &str = "DELETE FROM shares WHERE repository = ?1 AND account = ?2";

/// A commit, being applied.
pub(super) struct Applying<'a> {
    pub(super) writing: &'a Writing<'a>,
    recorded: &'a Recorded<'a>,
    pub(super) at: DateTime<Utc>,
    events: Vec<RecordedEvent>,
}

impl Applying<'_> {
    fn apply(&mut self, change: &MetadataChange) -> Result<Effect, WriteError> {
        use MetadataChange as C;
        match change {
            C::PutAccount(account) => self.put_account(account),
            C::PutUser(user) => self.put_user(user),
            C::RemoveUser(user) => self.remove_user(user),
            C::PutAccessKey(key) => self.put_access_key(key),
            C::RemoveAccessKey(key) => {
                self.run(REMOVE_ISSUED_WITH, params![Sql(key)])?;
                self.run(END_OF_KEY, params![Sql(key)])?;
                self.remove(REMOVE_ACCESS_KEY, params![Sql(key)])
            }
            C::PutTemporaryKey(key) => self.put_temporary_key(key),
            C::PutTokenKey(TokenKey { id, secret, created }) => {
                let put = params![Sql(id), secret.as_ref().map(Sql), Sql(*created)];
                self.put(TOKEN_KEY, params![Sql(id)], PUT_TOKEN_KEY, put)
            }
            C::RemoveTokenKey(key) => self.remove(REMOVE_TOKEN_KEY, params![Sql(key)]),
            C::CreateOrganisation { name, account, creator } => {
                self.create_organisation(name, account, creator)
            }
            C::RemoveOrganisation(name) => self.remove_organisation(name),
            C::CreateRepository { name, attributes } => self.create_repository(name, attributes),
            C::SetAttributes { name, attributes } => self.set_attributes(name, attributes),
            C::PutGrant(grant) => self.put_grant(grant),
            C::RemoveGrant { scope, user } => self.remove_grant(scope, user),
            C::PutShare(share) => self.put_share(share),
            C::PutSync(sync) => self.put_sync(sync),
            C::RemoveSync { repository, target } => self.remove_sync(repository, target),
            C::AddSyncJob(job) => self.add_sync_job(job),
            C::PutRule { repository, rule } => self.put_rule(repository, rule),
            C::RemoveRule(repository) => self.remove_rule(repository),
            C::CreateTrigger(trigger) => self.create_trigger(trigger),
            C::EnableTrigger { repository, name, enabled } => self.enable_trigger(repository, name, *enabled),
            C::RemoveTrigger { repository, name } => self.remove_trigger(repository, name),
            C::RemoveShare { repository, account } => match self.listed(repository)? {
                Some(id) => self.remove(REMOVE_SHARE, params![Sql(id), Sql(account)]),
                None => Ok(Effect::Nothing),
            },
        }
    }

    /// Says how many rows changed.
    pub(super) fn run(&self, statement: &str, params: &[&dyn ToSql]) -> rusqlite::Result<usize> {
        self.writing.connection.prepare_cached(statement)?.execute(params)
    }

    /// Puts a row in its place. While the disk is full, nothing is given; what takes away goes on.
    pub(super) fn put(
        &self,
        there: &str,
        key: &[&dyn ToSql],
        put: &str,
        row: &[&dyn ToSql],
    ) -> Result<Effect, WriteError> {
        let is_there = self.writing.connection.prepare_cached(there)?.exists(key)?;
        if self.run(put, row)? == 0 {
            return Ok(Effect::Nothing);
        }
        self.writing.claim_room()?;
        Ok(if is_there { Effect::Changed } else { Effect::Created })
    }

    pub(super) fn remove(&self, statement: &str, key: &[&dyn ToSql]) -> Result<Effect, WriteError> {
        Ok(if self.run(statement, key)? > 0 { Effect::Removed } else { Effect::Nothing })
    }

    pub(super) fn listed(&self, name: &RepositoryName) -> rusqlite::Result<Option<RepositoryId>> {
        listed(self.writing.connection, name)
    }

    // People.

    fn put_account(&self, account: &Account) -> Result<Effect, WriteError> {
        let Account { id, name, project, agency, created } = account;
        self.expect_own(ACCOUNT_OF_NAME, &[&Sql(name)], id.as_str(), || {
            MetadataRequire::AccountNameFree(name.clone())
        })?;
        let put = params![Sql(id), Sql(name), Sql(project), agency, Sql(*created)];
        self.put(ACCOUNT, params![Sql(id)], PUT_ACCOUNT, put)
    }

    fn put_user(&self, user: &User) -> Result<Effect, WriteError> {
        let User { id, account, name, role, password, created } = user;
        self.expect_own(USER_OF_NAME, &[&Sql(account), &Sql(name)], id.as_str(), || {
            MetadataRequire::UserNameFree { account: account.clone(), name: name.clone() }
        })?;
        let password = password.as_ref().map(Sql);
        let put = params![Sql(id), Sql(account), Sql(name), Sql(*role), password, Sql(*created)];
        self.put(USER, params![Sql(id)], PUT_USER, put)
    }

    /// Refuses to take what somebody else has, of the name or the id that `statement` looks for.
    fn expect_own(
        &self,
        statement: &str,
        wanted: &[&dyn ToSql],
        own: &str,
        free: impl FnOnce() -> MetadataRequire,
    ) -> Result<(), WriteError> {
        let mut owner = self.writing.connection.prepare_cached(statement)?;
        match owner.query_row(wanted, |row| row.get::<_, String>(0)).optional()? {
            Some(owner) if owner != own => Err(WriteError::UnmetMetadata(vec![free()])),
            _ => Ok(()),
        }
    }

    fn remove_user(&self, user: &UserId) -> Result<Effect, WriteError> {
        let with_it = [
            REMOVE_ORGANISATION_GRANTS_OF,
            REMOVE_REPOSITORY_GRANTS_OF,
            END_OF_USER,
            REMOVE_TEMPORARY_KEYS_OF,
            REMOVE_ACCESS_KEYS_OF,
        ];
        for removal in with_it {
            self.run(removal, params![Sql(user)])?;
        }
        self.remove(REMOVE_USER, params![Sql(user)])
    }

    // Keys.

    fn put_access_key(&self, key: &AccessKey) -> Result<Effect, WriteError> {
        let AccessKey { id, user, description, secret, created } = key;
        self.expect_key(USER_OF_ACCESS_KEY, USER_OF_TEMPORARY_KEY, id, user)?;
        let put = params![Sql(id), Sql(user), description, secret.as_ref().map(Sql), Sql(*created)];
        self.put(USER_OF_ACCESS_KEY, params![Sql(id)], PUT_ACCESS_KEY, put)
    }

    fn put_temporary_key(&self, key: &TemporaryKey) -> Result<Effect, WriteError> {
        let TemporaryKey { id, user, issued_with, secret, expires } = key;
        self.expect_key(USER_OF_TEMPORARY_KEY, USER_OF_ACCESS_KEY, id, user)?;
        let put = params![Sql(id), Sql(user), issued_with.as_ref().map(Sql), secret, Sql(*expires)];
        self.put(USER_OF_TEMPORARY_KEY, params![Sql(id)], PUT_TEMPORARY_KEY, put)
    }

    /// A key of the other kind has not this id, and one of this kind is the user's.
    fn expect_key(&self, kind: &str, other: &str, id: &KeyId, user: &UserId) -> Result<(), WriteError> {
        let free = || MetadataRequire::KeyFree(id.clone());
        // Nobody's id is empty.
        self.expect_own(other, &[&Sql(id)], "", free)?;
        self.expect_own(kind, &[&Sql(id)], user.as_str(), free)
    }

    // Organisations and repositories.

    fn create_organisation(
        &self,
        name: &OrganisationName,
        account: &AccountId,
        creator: &UserId,
    ) -> Result<Effect, WriteError> {
        let connection = self.writing.connection;
        let key = params![Sql(name), Sql(account), Sql(creator)];
        if connection.prepare_cached(ORGANISATION_BY)?.exists(key)? {
            return Ok(Effect::Nothing);
        }
        expect(connection, &[MetadataRequire::OrganisationFree(name.clone())])?;
        self.writing.claim_room()?;
        self.run(CREATE_ORGANISATION, params![Sql(name), Sql(account), Sql(creator), Sql(self.at)])?;
        Ok(Effect::Created)
    }

    fn remove_organisation(&self, name: &OrganisationName) -> Result<Effect, WriteError> {
        let Some(id) = organisation(self.writing.connection, name)? else { return Ok(Effect::Nothing) };
        self.run(REMOVE_GRANTS_IN, params![id.0])?;
        self.remove(REMOVE_ORGANISATION, params![id.0])
    }

    fn create_repository(
        &mut self,
        name: &RepositoryName,
        attributes: &Attributes,
    ) -> Result<Effect, WriteError> {
        let mut changing = Changing::begin(self.writing, name, self.recorded, self.at)?;
        changing.apply(&Change::CreateRepository)?;
        let Receipt { events } = changing.end()?;
        if events.is_empty() {
            return Ok(Effect::Nothing);
        }
        self.writing.claim_room()?;
        self.events.extend(events);
        if let Some(id) = self.listed(name)? {
            let Attributes { visibility, category, description } = attributes;
            self.run(DESCRIBE, params![Sql(id), Sql(*visibility), Sql(*category), description])?;
        }
        Ok(Effect::Created)
    }

    fn set_attributes(&self, name: &RepositoryName, attributes: &Attributes) -> Result<Effect, WriteError> {
        let Attributes { visibility, category, description } = attributes;
        let was_private = holds(self.writing.connection, &MetadataRequire::RepositoryPrivate(name.clone()))?;
        let set = params![Sql(name), Sql(*visibility), Sql(*category), description, Sql(self.at)];
        if self.run(SET_ATTRIBUTES, set)? == 0 {
            return Ok(Effect::Nothing);
        }
        // What is closed to the public is closed on a full disk as well.
        if was_private || *visibility == Visibility::Public {
            self.writing.claim_room()?;
        }
        Ok(Effect::Changed)
    }

    // Grants and shares.

    fn put_grant(&self, Grant { scope, user, level, created }: &Grant) -> Result<Effect, WriteError> {
        let (level, created) = (Sql(*level), Sql(*created));
        match place(self.writing.connection, scope)? {
            Some(Place::Organisation(OrganisationId(id))) => self.put(
                ORGANISATION_GRANT,
                params![id, Sql(user)],
                PUT_ORGANISATION_GRANT,
                params![id, Sql(user), level, created],
            ),
            Some(Place::Repository(RepositoryId(id))) => self.put(
                REPOSITORY_GRANT,
                params![id, Sql(user)],
                PUT_REPOSITORY_GRANT,
                params![id, Sql(user), level, created],
            ),
            None => Ok(Effect::Nothing),
        }
    }

    fn remove_grant(&self, scope: &GrantScope, user: &UserId) -> Result<Effect, WriteError> {
        match place(self.writing.connection, scope)? {
            Some(Place::Organisation(id)) => self.remove(REMOVE_ORGANISATION_GRANT, params![id.0, Sql(user)]),
            Some(Place::Repository(id)) => self.remove(REMOVE_REPOSITORY_GRANT, params![Sql(id), Sql(user)]),
            None => Ok(Effect::Nothing),
        }
    }

    fn put_share(&self, share: &Share) -> Result<Effect, WriteError> {
        let Share { repository, account, deadline, description, creator, creator_name, created, updated } =
            share;
        let Some(id) = self.listed(repository)? else { return Ok(Effect::Nothing) };
        let put = params![
            Sql(id),
            Sql(account),
            Sql(*deadline),
            description,
            Sql(creator),
            Sql(creator_name),
            Sql(*created),
            Sql(*updated),
        ];
        self.put(SHARE, params![Sql(id), Sql(account)], PUT_SHARE, put)
    }
}

const TRIM_TEMPORARY_KEYS: &str = "
    DELETE FROM temporary_keys WHERE id IN (
        SELECT id FROM temporary_keys INDEXED BY temporary_keys_by_end
        WHERE expires < ?1 ORDER BY expires LIMIT ?2)";

pub(super) fn trim_temporary_keys(
    connection: &Connection,
    before: DateTime<Utc>,
    limit: NonZeroU32,
) -> rusqlite::Result<u64> {
    let trimmed =
        connection.prepare_cached(TRIM_TEMPORARY_KEYS)?.execute(params![Sql(before), limit.get()])?;
    Ok(trimmed as u64)
}

#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[
    ACCOUNT,
    ACCOUNT_OF_NAME,
    USER,
    USER_OF,
    USER_OF_NAME,
    OPERATOR_BESIDE,
    USER_OF_ACCESS_KEY,
    USER_OF_TEMPORARY_KEY,
    ACCESS_KEYS_OF,
    TOKEN_KEY,
    ORGANISATION,
    ORGANISATION_BY,
    ORGANISATIONS_BY,
    ORGANISATIONS_OF,
    PRIVATE,
    ORGANISATION_GRANT,
    REPOSITORY_GRANT,
    SHARE,
    SHARES_OF,
    ACCOUNT_OF_USER,
    ACCOUNT_OF_KEY,
    PUT_ACCOUNT,
    PUT_USER,
    REMOVE_ORGANISATION_GRANTS_OF,
    REMOVE_REPOSITORY_GRANTS_OF,
    REMOVE_TEMPORARY_KEYS_OF,
    REMOVE_ACCESS_KEYS_OF,
    REMOVE_USER,
    PUT_ACCESS_KEY,
    REMOVE_ISSUED_WITH,
    REMOVE_ACCESS_KEY,
    PUT_TEMPORARY_KEY,
    PUT_TOKEN_KEY,
    REMOVE_TOKEN_KEY,
    CREATE_ORGANISATION,
    REMOVE_GRANTS_IN,
    REMOVE_ORGANISATION,
    DESCRIBE,
    SET_ATTRIBUTES,
    PUT_ORGANISATION_GRANT,
    PUT_REPOSITORY_GRANT,
    REMOVE_ORGANISATION_GRANT,
    REMOVE_REPOSITORY_GRANT,
    PUT_SHARE,
    REMOVE_SHARE,
    TRIM_TEMPORARY_KEYS,
];
