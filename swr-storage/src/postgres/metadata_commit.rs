//! Requirements, changes and traces of the control plane, in one transaction, beside no other.

use chrono::{DateTime, Utc};

use swr_core::commit::{Change, RepositoryId};
use swr_core::control::change::{Effect, MetadataChange, MetadataCommit, MetadataReceipt, MetadataRequire};
use swr_core::control::credential::{AccessKey, KeyId, TemporaryKey, TokenKey};
use swr_core::control::grant::{Grant, GrantScope};
use swr_core::control::identity::{Account, AccountId, User, UserId};
use swr_core::control::organisation::{OrganisationId, organisation_of};
use swr_core::control::repository::Attributes;
use swr_core::control::share::Share;
use swr_core::control::sync::{SyncJob, SyncRule, SyncTarget};
use swr_core::control::trace::{Outcome, Traced};
use swr_core::control::trigger::Trigger;
use swr_core::event::RecordedEvent;
use swr_core::{OrganisationName, RepositoryName, TriggerName};

use super::columns::Sql;
use super::connections::{Failure, Locks, Params, Pool, Session, Transaction, WriteError};
use super::event_log::NewEntries;
use super::manifest_commit::{Changing, Recorded, move_rights, number, rights};
use super::manifest_reads::{first, listed};
use super::metadata_reads::repositories_in;
use super::rules::{RULE_IS, RULE_OF};
use super::sessions::{END_OF_KEY, END_OF_USER};
use super::syncs::SYNC;
use super::traces::{Left, leave, owner};
use super::triggers::{NAMED, TRIGGERS_OF};

/// Applies the commit. One that fails is undone when its transaction is dropped.
pub(super) async fn commit(pool: &Pool, commit: &MetadataCommit) -> Result<MetadataReceipt, WriteError> {
    let MetadataCommit { actor, origin, at, requires, changes } = commit;
    let transaction = pool.begin(&Locks::alone(pool)).await?;
    expect(&transaction, requires).await?;
    let recorded = Recorded::of(&transaction, actor, origin).await?;
    let user = recorded.user.as_ref();
    let mut applying =
        Applying { transaction: &transaction, recorded: &recorded, at: *at, events: Vec::new() };
    let mut entries = NewEntries::default();
    let mut effects = Vec::with_capacity(changes.len());
    let mut rights_move = false;
    for change in changes {
        expect(&transaction, &change.needs()).await?;
        // Looked for first: afterwards it may be gone.
        let account = match user {
            Some(user) => Some(user.account.clone()),
            None => whom(&transaction, change).await?,
        };
        let effect = applying.apply(change).await?;
        if let (Some(account), Some(traced)) = (account, Traced::of_change(change, effect)) {
            let outcome = Outcome::done(traced.operation);
            let left = Left { user, traced, outcome, origin: &recorded.origin_json, at: *at };
            leave(&transaction, &mut entries, &account, left).await?;
        }
        rights_move |= effect != Effect::Nothing && change.moves_rights();
        effects.push(effect);
    }
    if rights_move {
        move_rights(&transaction).await?;
    }
    let mut events = applying.events;
    recorded.add(&mut entries, &events)?;
    let newest = transaction.end(&entries).await?;
    number(&mut events, newest);
    Ok(MetadataReceipt { effects, events })
}

// What is there.

async fn expect(session: &Session, requires: &[MetadataRequire]) -> Result<(), WriteError> {
    let mut unmet = Vec::new();
    for require in requires {
        if !holds(session, require).await? {
            unmet.push(require.clone());
        }
    }
    if unmet.is_empty() { Ok(()) } else { Err(WriteError::UnmetMetadata(unmet)) }
}

const ACCOUNT: &str = "SELECT 1 FROM accounts WHERE id = $1";

const ACCOUNT_OF_NAME: &str = "SELECT id FROM accounts WHERE name = $1";

const USER: &str = "SELECT 1 FROM users WHERE id = $1";

const USER_OF: &str = "SELECT 1 FROM users WHERE id = $1 AND account = $2";

const USER_OF_NAME: &str = "SELECT id FROM users WHERE account = $1 AND name = $2";

const OPERATOR_BESIDE: &str = "SELECT 1 FROM users WHERE role = 'operator' AND id <> $1 LIMIT 1";

const USER_OF_ACCESS_KEY: &str = "SELECT holder FROM access_keys WHERE id = $1";

const USER_OF_TEMPORARY_KEY: &str = "SELECT holder FROM temporary_keys WHERE id = $1";

const ACCESS_KEYS_OF: &str = "SELECT count(*) FROM access_keys WHERE holder = $1";

const TOKEN_KEY: &str = "SELECT 1 FROM token_keys WHERE id = $1";

const ORGANISATION: &str = "SELECT id FROM organisations WHERE name = $1";

const ORGANISATION_BY: &str = "SELECT 1 FROM organisations WHERE name = $1 AND account = $2 AND creator = $3";

const ORGANISATIONS_BY: &str = "SELECT count(*) FROM organisations WHERE creator = $1";

const ORGANISATIONS_OF: &str = "SELECT count(*) FROM organisations WHERE account = $1";

const PRIVATE: &str = "SELECT 1 FROM repositories WHERE id = $1 AND NOT public";

const ORGANISATION_GRANT: &str = "SELECT 1 FROM organisation_grants WHERE organisation = $1 AND holder = $2";

const REPOSITORY_GRANT: &str = "SELECT 1 FROM repository_grants WHERE repository = $1 AND holder = $2";

const SHARE: &str = "SELECT 1 FROM shares WHERE repository = $1 AND account = $2";

const SHARES_OF: &str = "SELECT count(*) FROM shares WHERE repository = $1";

async fn holds(session: &Session, require: &MetadataRequire) -> Result<bool, Failure> {
    use MetadataRequire as R;
    let there = async |statement: &str, key: Params<'_>| session.exists(statement, key).await;
    Ok(match require {
        R::Rights(version) => rights(session).await? == *version,
        R::AccountNameFree(name) => !there(ACCOUNT_OF_NAME, &[&Sql(name)]).await?,
        R::AccountExists(account) => there(ACCOUNT, &[&Sql(account)]).await?,
        R::UserNameFree { account, name } => !there(USER_OF_NAME, &[&Sql(account), &Sql(name)]).await?,
        R::UserExists(user) => there(USER, &[&Sql(user)]).await?,
        R::UserOf { user, account } => there(USER_OF, &[&Sql(user), &Sql(account)]).await?,
        R::OperatorBeside(user) => there(OPERATOR_BESIDE, &[&Sql(user)]).await?,
        R::KeyFree(key) => {
            !there(USER_OF_ACCESS_KEY, &[&Sql(key)]).await?
                && !there(USER_OF_TEMPORARY_KEY, &[&Sql(key)]).await?
        }
        R::AccessKeyOf { key, user } => {
            let holder: Option<UserId> = first(session.query_opt(USER_OF_ACCESS_KEY, &[&Sql(key)]).await?)?;
            holder.as_ref() == Some(user)
        }
        R::AccessKeysFewerThan { user, limit } => {
            fewer(session, ACCESS_KEYS_OF, &[&Sql(user)], *limit).await?
        }
        R::OrganisationFree(name) => organisation(session, name).await?.is_none(),
        R::OrganisationExists(name) => organisation(session, name).await?.is_some(),
        R::OrganisationEmpty(name) => repositories_in(session, name).await? == 0,
        R::OrganisationsByFewerThan { user, limit } => {
            fewer(session, ORGANISATIONS_BY, &[&Sql(user)], *limit).await?
        }
        R::OrganisationsOfFewerThan { account, limit } => {
            fewer(session, ORGANISATIONS_OF, &[&Sql(account)], *limit).await?
        }
        R::RepositoryExists(name) => listed(session, name).await?.is_some(),
        R::RepositoryFree(name) => listed(session, name).await?.is_none(),
        R::RepositoryPrivate(name) => match listed(session, name).await? {
            Some(id) => there(PRIVATE, &[&Sql(id)]).await?,
            None => false,
        },
        R::GrantExists { scope, user } => is_granted(session, scope, user).await?,
        R::GrantFree { scope, user } => !is_granted(session, scope, user).await?,
        R::ShareExists { repository, account } => is_shared(session, repository, account).await?,
        R::ShareFree { repository, account } => !is_shared(session, repository, account).await?,
        R::SyncExists { repository, target: SyncTarget { region, organisation } } => {
            match listed(session, repository).await? {
                Some(id) => there(SYNC, &[&Sql(id), &Sql(&**region), &Sql(&**organisation)]).await?,
                None => false,
            }
        }
        R::RuleFree(repository) => match listed(session, repository).await? {
            Some(id) => !there(RULE_OF, &[&Sql(id)]).await?,
            None => true,
        },
        R::RuleIs { repository, id: rule } => match listed(session, repository).await? {
            Some(id) => there(RULE_IS, &[&Sql(id), &Sql(*rule)]).await?,
            None => false,
        },
        R::TriggerFree { repository, name } => !is_triggered(session, repository, name).await?,
        R::TriggerExists { repository, name } => is_triggered(session, repository, name).await?,
        R::TriggersFewerThan { repository, limit } => match listed(session, repository).await? {
            Some(id) => fewer(session, TRIGGERS_OF, &[&Sql(id)], *limit).await?,
            None => *limit > 0,
        },
        R::SharesFewerThan { repository, limit } => match listed(session, repository).await? {
            Some(id) => fewer(session, SHARES_OF, &[&Sql(id)], *limit).await?,
            None => *limit > 0,
        },
    })
}

async fn fewer(session: &Session, statement: &str, of: Params<'_>, limit: u32) -> Result<bool, Failure> {
    let count: Option<u64> = first(session.query_opt(statement, of).await?)?;
    Ok(count.unwrap_or(0) < u64::from(limit))
}

async fn organisation(session: &Session, name: &OrganisationName) -> Result<Option<OrganisationId>, Failure> {
    first(session.query_opt(ORGANISATION, &[&Sql(name)]).await?)
}

/// What a grant hangs on.
enum Place {
    Organisation(OrganisationId),
    Repository(RepositoryId),
}

async fn place(session: &Session, scope: &GrantScope) -> Result<Option<Place>, Failure> {
    Ok(match scope {
        GrantScope::Organisation(name) => organisation(session, name).await?.map(Place::Organisation),
        GrantScope::Repository(name) => listed(session, name).await?.map(Place::Repository),
    })
}

async fn is_granted(session: &Session, scope: &GrantScope, user: &UserId) -> Result<bool, Failure> {
    match place(session, scope).await? {
        Some(Place::Organisation(id)) => session.exists(ORGANISATION_GRANT, &[&Sql(id), &Sql(user)]).await,
        Some(Place::Repository(id)) => session.exists(REPOSITORY_GRANT, &[&Sql(id), &Sql(user)]).await,
        None => Ok(false),
    }
}

async fn is_shared(
    session: &Session,
    repository: &RepositoryName,
    account: &AccountId,
) -> Result<bool, Failure> {
    let Some(id) = listed(session, repository).await? else { return Ok(false) };
    session.exists(SHARE, &[&Sql(id), &Sql(account)]).await
}

async fn is_triggered(
    session: &Session,
    repository: &RepositoryName,
    name: &TriggerName,
) -> Result<bool, Failure> {
    let Some(id) = listed(session, repository).await? else { return Ok(false) };
    session.exists(NAMED, &[&Sql(id), &Sql(name)]).await
}

const ACCOUNT_OF_USER: &str = "SELECT account FROM users WHERE id = $1";

const ACCOUNT_OF_KEY: &str = "
    SELECT users.account FROM access_keys JOIN users ON users.id = access_keys.holder WHERE access_keys.id = $1";

/// The id of the account whose trail tells of the change when nobody in particular acts.
async fn whom(session: &Session, change: &MetadataChange) -> Result<Option<String>, Failure> {
    use MetadataChange as C;
    let of_user = async |user: &UserId| first(session.query_opt(ACCOUNT_OF_USER, &[&Sql(user)]).await?);
    let of_repository = async |name: &RepositoryName| match organisation_of(name) {
        Some(organisation) => owner(session, &organisation).await,
        None => Ok(None),
    };
    match change {
        C::PutAccount(account) => Ok(Some(account.id.as_str().to_owned())),
        C::PutUser(user) => Ok(Some(user.account.as_str().to_owned())),
        C::RemoveUser(user) => of_user(user).await,
        C::PutAccessKey(key) => of_user(&key.user).await,
        C::RemoveAccessKey(key) => first(session.query_opt(ACCOUNT_OF_KEY, &[&Sql(key)]).await?),
        C::PutTemporaryKey(key) => of_user(&key.user).await,
        C::PutTokenKey(_) | C::RemoveTokenKey(_) => Ok(None),
        C::CreateOrganisation { account, .. } => Ok(Some(account.as_str().to_owned())),
        C::RemoveOrganisation(name) => owner(session, name).await,
        C::CreateRepository { name, .. } | C::SetAttributes { name, .. } => of_repository(name).await,
        C::PutGrant(Grant { scope, .. }) | C::RemoveGrant { scope, .. } => match scope {
            GrantScope::Organisation(name) => owner(session, name).await,
            GrantScope::Repository(name) => of_repository(name).await,
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
        | C::RemoveTrigger { repository, .. } => of_repository(repository).await,
    }
}

// What changes. What finds everything as it wants it touches no row.

const PUT_ACCOUNT: &str = "
    INSERT INTO accounts AS before (id, name, project, agency, created) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (id) DO UPDATE SET name = $2, project = $3, agency = $4, created = $5
    WHERE (before.name, before.project, before.agency, before.created) IS DISTINCT FROM ($2, $3, $4, $5)";

const PUT_USER: &str = "
    INSERT INTO users AS before (id, account, name, role, password, created) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (id) DO UPDATE SET account = $2, name = $3, role = $4, password = $5, created = $6
    WHERE (before.account, before.name, before.role, before.password, before.created)
        IS DISTINCT FROM ($2, $3, $4, $5, $6)";

const REMOVE_ORGANISATION_GRANTS_OF: &str = "DELETE FROM organisation_grants WHERE holder = $1";

const REMOVE_REPOSITORY_GRANTS_OF: &str = "DELETE FROM repository_grants WHERE holder = $1";

const REMOVE_TEMPORARY_KEYS_OF: &str = "DELETE FROM temporary_keys WHERE holder = $1";

const REMOVE_ACCESS_KEYS_OF: &str = "DELETE FROM access_keys WHERE holder = $1";

const REMOVE_USER: &str = "DELETE FROM users WHERE id = $1";

const PUT_ACCESS_KEY: &str = "
    INSERT INTO access_keys AS before (id, holder, description, secret, created) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (id) DO UPDATE SET description = $3, secret = $4, created = $5
    WHERE (before.description, before.secret, before.created) IS DISTINCT FROM ($3, $4, $5)";

const REMOVE_ISSUED_WITH: &str = "DELETE FROM temporary_keys WHERE issued_with = $1";

const REMOVE_ACCESS_KEY: &str = "DELETE FROM access_keys WHERE id = $1";

const PUT_TEMPORARY_KEY: &str = "
    INSERT INTO temporary_keys AS before (id, holder, issued_with, secret, expires) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (id) DO UPDATE SET issued_with = $3, secret = $4, expires = $5
    WHERE (before.issued_with, before.secret, before.expires) IS DISTINCT FROM ($3, $4, $5)";

const PUT_TOKEN_KEY: &str = "
    INSERT INTO token_keys AS before (id, secret, created) VALUES ($1, $2, $3)
    ON CONFLICT (id) DO UPDATE SET secret = $2, created = $3
    WHERE (before.secret, before.created) IS DISTINCT FROM ($2, $3)";

const REMOVE_TOKEN_KEY: &str = "DELETE FROM token_keys WHERE id = $1";

const CREATE_ORGANISATION: &str = "
    INSERT INTO organisations (name, account, creator, creator_name, created)
    SELECT $1, $2, id, name, $4 FROM users WHERE id = $3";

const REMOVE_GRANTS_IN: &str = "DELETE FROM organisation_grants WHERE organisation = $1";

const REMOVE_ORGANISATION: &str = "DELETE FROM organisations WHERE id = $1";

const DESCRIBE: &str = "UPDATE repositories SET public = $2, category = $3, description = $4 WHERE id = $1";

const SET_ATTRIBUTES: &str = "
    UPDATE repositories SET public = $2, category = $3, description = $4, updated = $5
    WHERE name = $1 AND listed AND (public, category, description) IS DISTINCT FROM ($2, $3, $4)";

const PUT_ORGANISATION_GRANT: &str = "
    INSERT INTO organisation_grants AS before (organisation, holder, level, created) VALUES ($1, $2, $3, $4)
    ON CONFLICT (organisation, holder) DO UPDATE SET level = $3, created = $4 WHERE before.level <> $3";

const PUT_REPOSITORY_GRANT: &str = "
    INSERT INTO repository_grants AS before (repository, holder, level, created) VALUES ($1, $2, $3, $4)
    ON CONFLICT (repository, holder) DO UPDATE SET level = $3, created = $4 WHERE before.level <> $3";

const REMOVE_ORGANISATION_GRANT: &str = "
    DELETE FROM organisation_grants WHERE organisation = $1 AND holder = $2";

const REMOVE_REPOSITORY_GRANT: &str = "DELETE FROM repository_grants WHERE repository = $1 AND holder = $2";

const PUT_SHARE: &str = "
    INSERT INTO shares AS before (
        repository, account, deadline, description, creator, creator_name, created, updated)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    ON CONFLICT (repository, account) DO UPDATE SET deadline = $3, description = $4, updated = $8
    WHERE (before.deadline, before.description) IS DISTINCT FROM ($3, $4)";

const REMOVE_SHARE: &str = "DELETE FROM shares WHERE repository = $1 AND account = $2";

/// A commit, being applied.
pub(super) struct Applying<'a> {
    pub(super) transaction: &'a Transaction<'a>,
    recorded: &'a Recorded<'a>,
    pub(super) at: DateTime<Utc>,
    events: Vec<RecordedEvent>,
}

impl Applying<'_> {
    async fn apply(&mut self, change: &MetadataChange) -> Result<Effect, WriteError> {
        use MetadataChange as C;
        match change {
            C::PutAccount(account) => self.put_account(account).await,
            C::PutUser(user) => self.put_user(user).await,
            C::RemoveUser(user) => self.remove_user(user).await,
            C::PutAccessKey(key) => self.put_access_key(key).await,
            C::RemoveAccessKey(key) => {
                self.run(REMOVE_ISSUED_WITH, &[&Sql(key)]).await?;
                self.run(END_OF_KEY, &[&Sql(key)]).await?;
                self.remove(REMOVE_ACCESS_KEY, &[&Sql(key)]).await
            }
            C::PutTemporaryKey(key) => self.put_temporary_key(key).await,
            C::PutTokenKey(TokenKey { id, secret, created }) => {
                let secret = secret.as_ref().map(Sql);
                let put: Params<'_> = &[&Sql(id), &secret, &Sql(*created)];
                self.put(TOKEN_KEY, &[&Sql(id)], PUT_TOKEN_KEY, put).await
            }
            C::RemoveTokenKey(key) => self.remove(REMOVE_TOKEN_KEY, &[&Sql(key)]).await,
            C::CreateOrganisation { name, account, creator } => {
                self.create_organisation(name, account, creator).await
            }
            C::RemoveOrganisation(name) => self.remove_organisation(name).await,
            C::CreateRepository { name, attributes } => self.create_repository(name, attributes).await,
            C::SetAttributes { name, attributes } => self.set_attributes(name, attributes).await,
            C::PutGrant(grant) => self.put_grant(grant).await,
            C::RemoveGrant { scope, user } => self.remove_grant(scope, user).await,
            C::PutShare(share) => self.put_share(share).await,
            C::PutSync(sync) => self.put_sync(sync).await,
            C::RemoveSync { repository, target } => self.remove_sync(repository, target).await,
            C::AddSyncJob(job) => self.add_sync_job(job).await,
            C::PutRule { repository, rule } => self.put_rule(repository, rule).await,
            C::RemoveRule(repository) => self.remove_rule(repository).await,
            C::CreateTrigger(trigger) => self.create_trigger(trigger).await,
            C::EnableTrigger { repository, name, enabled } => {
                self.enable_trigger(repository, name, *enabled).await
            }
            C::RemoveTrigger { repository, name } => self.remove_trigger(repository, name).await,
            C::RemoveShare { repository, account } => match self.listed(repository).await? {
                Some(id) => self.remove(REMOVE_SHARE, &[&Sql(id), &Sql(account)]).await,
                None => Ok(Effect::Nothing),
            },
        }
    }

    /// Says how many rows changed.
    pub(super) async fn run(&self, statement: &str, params: Params<'_>) -> Result<u64, Failure> {
        self.transaction.execute(statement, params).await
    }

    /// Puts a row in its place.
    pub(super) async fn put(
        &self,
        there: &str,
        key: Params<'_>,
        put: &str,
        row: Params<'_>,
    ) -> Result<Effect, WriteError> {
        let is_there = self.transaction.exists(there, key).await?;
        Ok(match (self.run(put, row).await?, is_there) {
            (0, _) => Effect::Nothing,
            (_, true) => Effect::Changed,
            (_, false) => Effect::Created,
        })
    }

    pub(super) async fn remove(&self, statement: &str, key: Params<'_>) -> Result<Effect, WriteError> {
        Ok(if self.run(statement, key).await? > 0 { Effect::Removed } else { Effect::Nothing })
    }

    pub(super) async fn listed(&self, name: &RepositoryName) -> Result<Option<RepositoryId>, Failure> {
        listed(self.transaction, name).await
    }

    // People.

    async fn put_account(&self, account: &Account) -> Result<Effect, WriteError> {
        let Account { id, name, project, agency, created } = account;
        self.expect_own(ACCOUNT_OF_NAME, &[&Sql(name)], id.as_str(), || {
            MetadataRequire::AccountNameFree(name.clone())
        })
        .await?;
        let put: Params<'_> = &[&Sql(id), &Sql(name), &Sql(project), agency, &Sql(*created)];
        self.put(ACCOUNT, &[&Sql(id)], PUT_ACCOUNT, put).await
    }

    async fn put_user(&self, user: &User) -> Result<Effect, WriteError> {
        let User { id, account, name, role, password, created } = user;
        self.expect_own(USER_OF_NAME, &[&Sql(account), &Sql(name)], id.as_str(), || {
            MetadataRequire::UserNameFree { account: account.clone(), name: name.clone() }
        })
        .await?;
        let password = password.as_ref().map(Sql);
        let put: Params<'_> = &[&Sql(id), &Sql(account), &Sql(name), &Sql(*role), &password, &Sql(*created)];
        self.put(USER, &[&Sql(id)], PUT_USER, put).await
    }

    /// Refuses to take what somebody else has, of the name or the id that `statement` looks for.
    async fn expect_own(
        &self,
        statement: &str,
        wanted: Params<'_>,
        own: &str,
        free: impl FnOnce() -> MetadataRequire,
    ) -> Result<(), WriteError> {
        let owner: Option<String> = first(self.transaction.query_opt(statement, wanted).await?)?;
        match owner {
            Some(owner) if owner != own => Err(WriteError::UnmetMetadata(vec![free()])),
            _ => Ok(()),
        }
    }

    async fn remove_user(&self, user: &UserId) -> Result<Effect, WriteError> {
        let with_it = [
            REMOVE_ORGANISATION_GRANTS_OF,
            REMOVE_REPOSITORY_GRANTS_OF,
            END_OF_USER,
            REMOVE_TEMPORARY_KEYS_OF,
            REMOVE_ACCESS_KEYS_OF,
        ];
        for removal in with_it {
            self.run(removal, &[&Sql(user)]).await?;
        }
        self.remove(REMOVE_USER, &[&Sql(user)]).await
    }

    // Keys.

    async fn put_access_key(&self, key: &AccessKey) -> Result<Effect, WriteError> {
        let AccessKey { id, user, description, secret, created } = key;
        self.expect_key(USER_OF_ACCESS_KEY, USER_OF_TEMPORARY_KEY, id, user).await?;
        let secret = secret.as_ref().map(Sql);
        let put: Params<'_> = &[&Sql(id), &Sql(user), &Sql(&**description), &secret, &Sql(*created)];
        self.put(USER_OF_ACCESS_KEY, &[&Sql(id)], PUT_ACCESS_KEY, put).await
    }

    async fn put_temporary_key(&self, key: &TemporaryKey) -> Result<Effect, WriteError> {
        let TemporaryKey { id, user, issued_with, secret, expires } = key;
        self.expect_key(USER_OF_TEMPORARY_KEY, USER_OF_ACCESS_KEY, id, user).await?;
        let (issued_with, secret) = (issued_with.as_ref().map(Sql), &secret[..]);
        let put: Params<'_> = &[&Sql(id), &Sql(user), &issued_with, &secret, &Sql(*expires)];
        self.put(USER_OF_TEMPORARY_KEY, &[&Sql(id)], PUT_TEMPORARY_KEY, put).await
    }

    /// A key of the other kind has not this id, and one of this kind is the user's.
    async fn expect_key(&self, kind: &str, other: &str, id: &KeyId, user: &UserId) -> Result<(), WriteError> {
        let free = || MetadataRequire::KeyFree(id.clone());
        // Nobody's id is empty.
        self.expect_own(other, &[&Sql(id)], "", free).await?;
        self.expect_own(kind, &[&Sql(id)], user.as_str(), free).await
    }

    // Organisations and repositories.

    async fn create_organisation(
        &self,
        name: &OrganisationName,
        account: &AccountId,
        creator: &UserId,
    ) -> Result<Effect, WriteError> {
        let key: Params<'_> = &[&Sql(name), &Sql(account), &Sql(creator)];
        if self.transaction.exists(ORGANISATION_BY, key).await? {
            return Ok(Effect::Nothing);
        }
        expect(self.transaction, &[MetadataRequire::OrganisationFree(name.clone())]).await?;
        let row: Params<'_> = &[&Sql(name), &Sql(account), &Sql(creator), &Sql(self.at)];
        self.run(CREATE_ORGANISATION, row).await?;
        Ok(Effect::Created)
    }

    async fn remove_organisation(&self, name: &OrganisationName) -> Result<Effect, WriteError> {
        let Some(id) = organisation(self.transaction, name).await? else { return Ok(Effect::Nothing) };
        self.run(REMOVE_GRANTS_IN, &[&Sql(id)]).await?;
        self.remove(REMOVE_ORGANISATION, &[&Sql(id)]).await
    }

    async fn create_repository(
        &mut self,
        name: &RepositoryName,
        attributes: &Attributes,
    ) -> Result<Effect, WriteError> {
        let mut changing = Changing::begin(self.transaction, name, self.recorded, self.at).await?;
        changing.apply(&Change::CreateRepository).await?;
        let events = changing.end().await?;
        if events.is_empty() {
            return Ok(Effect::Nothing);
        }
        self.events.extend(events);
        if let Some(id) = self.listed(name).await? {
            let Attributes { visibility, category, description } = attributes;
            let said: Params<'_> = &[&Sql(id), &Sql(*visibility), &Sql(*category), &Sql(&**description)];
            self.run(DESCRIBE, said).await?;
        }
        Ok(Effect::Created)
    }

    async fn set_attributes(
        &self,
        name: &RepositoryName,
        attributes: &Attributes,
    ) -> Result<Effect, WriteError> {
        let Attributes { visibility, category, description } = attributes;
        let set: Params<'_> =
            &[&Sql(name), &Sql(*visibility), &Sql(*category), &Sql(&**description), &Sql(self.at)];
        Ok(if self.run(SET_ATTRIBUTES, set).await? > 0 { Effect::Changed } else { Effect::Nothing })
    }

    // Grants and shares.

    async fn put_grant(&self, Grant { scope, user, level, created }: &Grant) -> Result<Effect, WriteError> {
        let (user, level, created) = (Sql(user), Sql(*level), Sql(*created));
        match place(self.transaction, scope).await? {
            Some(Place::Organisation(id)) => {
                let id = Sql(id);
                let row: Params<'_> = &[&id, &user, &level, &created];
                self.put(ORGANISATION_GRANT, &[&id, &user], PUT_ORGANISATION_GRANT, row).await
            }
            Some(Place::Repository(id)) => {
                let id = Sql(id);
                let row: Params<'_> = &[&id, &user, &level, &created];
                self.put(REPOSITORY_GRANT, &[&id, &user], PUT_REPOSITORY_GRANT, row).await
            }
            None => Ok(Effect::Nothing),
        }
    }

    async fn remove_grant(&self, scope: &GrantScope, user: &UserId) -> Result<Effect, WriteError> {
        match place(self.transaction, scope).await? {
            Some(Place::Organisation(id)) => {
                self.remove(REMOVE_ORGANISATION_GRANT, &[&Sql(id), &Sql(user)]).await
            }
            Some(Place::Repository(id)) => {
                self.remove(REMOVE_REPOSITORY_GRANT, &[&Sql(id), &Sql(user)]).await
            }
            None => Ok(Effect::Nothing),
        }
    }

    async fn put_share(&self, share: &Share) -> Result<Effect, WriteError> {
        let Share { repository, account, deadline, description, creator, creator_name, created, updated } =
            share;
        let Some(id) = self.listed(repository).await? else { return Ok(Effect::Nothing) };
        let row: Params<'_> = &[
            &Sql(id),
            &Sql(account),
            &Sql(*deadline),
            &Sql(&**description),
            &Sql(creator),
            &Sql(creator_name),
            &Sql(*created),
            &Sql(*updated),
        ];
        self.put(SHARE, &[&Sql(id), &Sql(account)], PUT_SHARE, row).await
    }
}

const TRIM_TEMPORARY_KEYS: &str = "
    DELETE FROM temporary_keys WHERE id IN (
        SELECT id FROM temporary_keys WHERE expires < $1 ORDER BY expires LIMIT $2)";

pub(super) async fn trim_temporary_keys(
    session: &Session,
    before: DateTime<Utc>,
    limit: std::num::NonZeroU32,
) -> Result<u64, Failure> {
    session.execute(TRIM_TEMPORARY_KEYS, &[&Sql(before), &Sql(limit)]).await
}
