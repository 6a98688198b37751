//! Accounts, users and their keys: added, changed, removed, listed.

use tracing::instrument;

use super::access::{ControlAccess, is_done};
use super::change::{MetadataChange, MetadataRequire};
use super::credential::{AccessKey, KeyId, TemporaryKey, TokenKey};
use super::error::ControlError;
use super::identity::{
    Account, AccountId, AccountName, PasswordHash, ProjectId, Role, User, UserId, UserName,
};
use crate::ports::{ControlAsk, Page};

/// An account to be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "whoever adds one builds it")]
pub struct NewAccount {
    /// Its name.
    pub name: AccountName,
}

/// A user to be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "whoever adds one builds it")]
pub struct NewUser {
    /// The account it belongs to.
    pub account: AccountId,
    /// Its name.
    pub name: UserName,
    /// What it may do beside its grants.
    pub role: Role,
    /// The hash of its password, where it may sign in with one.
    pub password: Option<PasswordHash>,
}

/// The first user of an account to be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "whoever adds one builds it")]
pub struct Founder {
    /// Its name.
    pub name: UserName,
    /// What it may do beside its grants.
    pub role: Role,
    /// The hash of its password, where it may sign in with one.
    pub password: Option<PasswordHash>,
    /// Its access key, which somebody else has made for an id that no user has: the founder gets it.
    pub key: AccessKey,
}

impl ControlAccess<'_> {
    /// Adds an account.
    #[instrument(level = "debug", skip_all, fields(account = %new.name))]
    pub async fn create_account(&self, new: NewAccount) -> Result<Account, ControlError> {
        let permitted = self.permit(ControlAsk::Operate).await?;
        let account = Account {
            id: AccountId::random(),
            name: new.name,
            project: ProjectId::random(),
            agency: false,
            created: permitted.now(),
        };
        let requires = vec![MetadataRequire::AccountNameFree(account.name.clone())];
        let created = permitted.commit(requires, vec![MetadataChange::PutAccount(account.clone())]).await;
        match created {
            Ok(_) => Ok(account),
            Err(unmet) => Err(unmet.into_error(|_| ControlError::AccountTaken(account.name.clone()))),
        }
    }

    /// Adds an account with its first user and that user's access key: all of them, or none.
    #[instrument(level = "debug", skip_all, fields(account = %new.name, user = %founder.name))]
    pub async fn found_account(
        &self,
        new: NewAccount,
        founder: Founder,
    ) -> Result<(Account, User), ControlError> {
        let permitted = self.permit(ControlAsk::Operate).await?;
        let (id, project, created) = (AccountId::random(), ProjectId::random(), permitted.now());
        let account = Account { id, name: new.name, project, agency: false, created };
        let Founder { name, role, password, key } = founder;
        let user = User { id: key.user.clone(), account: account.id.clone(), name, role, password, created };
        let requires = vec![
            MetadataRequire::AccountNameFree(account.name.clone()),
            MetadataRequire::KeyFree(key.id.clone()),
        ];
        let changes = vec![
            MetadataChange::PutAccount(account.clone()),
            MetadataChange::PutUser(user.clone()),
            MetadataChange::PutAccessKey(key),
        ];
        match permitted.commit(requires, changes).await {
            Ok(_) => Ok((account, user)),
            Err(unmet) => Err(unmet.into_error(|require| match require {
                MetadataRequire::AccountNameFree(name) => ControlError::AccountTaken(name.clone()),
                _ => ControlError::Busy,
            })),
        }
    }

    /// Accounts in the order of their names, for whoever looks after the deployment.
    pub async fn accounts(&self, page: &Page<AccountName>) -> Result<Vec<Account>, ControlError> {
        let permitted = self.permit(ControlAsk::Operate).await?;
        Ok(permitted.store().accounts(page).await?)
    }

    /// The account of this name, for whoever looks after the deployment or is one of its administrators.
    pub async fn account_named(&self, name: &AccountName) -> Result<Account, ControlError> {
        let unknown = || ControlError::AccountUnknown(name.as_str().into());
        let account = self.parts().metadata.account_named(name).await?;
        let Some(account) = account else {
            // Whether there is one is told to those alone who would be told of it.
            self.permit(ControlAsk::Operate).await.map_err(|error| match error {
                ControlError::Denied(_) => unknown(),
                error => error,
            })?;
            return Err(unknown());
        };
        match self.permit(ControlAsk::Administer(&account.id)).await {
            Ok(_) => Ok(account),
            Err(ControlError::AccountUnknown(_) | ControlError::Denied(_)) => Err(unknown()),
            Err(error) => Err(error),
        }
    }

    /// The caller's own account.
    pub async fn own_account(&self) -> Result<Account, ControlError> {
        let user = self.user().await?;
        let account = self.parts().metadata.account(&user.account).await?;
        account.ok_or(ControlError::Unauthorized)
    }

    /// Lets the service act in the name of the caller's account; for its administrators. Refused when it may
    /// already.
    pub async fn create_agency(&self) -> Result<(), ControlError> {
        let account = self.own_account().await?;
        let permitted = self.permit(ControlAsk::Administer(&account.id)).await?;
        let requires = vec![MetadataRequire::AccountExists(account.id.clone())];
        let change = MetadataChange::PutAccount(Account { agency: true, ..account.clone() });
        let created = permitted.commit(requires, vec![change]).await;
        match created.map_err(|unmet| unmet.into_error(|_| permitted.unknown()))? {
            receipt if is_done(&receipt) => Ok(()),
            _ => Err(ControlError::AgencyExists),
        }
    }

    /// Adds a user to an account. Operators are made by operators alone.
    #[instrument(level = "debug", skip_all, fields(user = %new.name))]
    pub async fn create_user(&self, new: NewUser) -> Result<User, ControlError> {
        let permitted = match new.role {
            Role::Operator => self.permit(ControlAsk::Operate).await?,
            Role::Administrator | Role::Member => self.permit(ControlAsk::Administer(&new.account)).await?,
        };
        let NewUser { account, name, role, password } = new.clone();
        let user = User { id: UserId::random(), account, name, role, password, created: permitted.now() };
        let requires = vec![
            MetadataRequire::AccountExists(user.account.clone()),
            MetadataRequire::UserNameFree { account: user.account.clone(), name: user.name.clone() },
        ];
        match permitted.commit(requires, vec![MetadataChange::PutUser(user.clone())]).await {
            Ok(_) => Ok(user),
            Err(unmet) => Err(unmet.into_error(|require| match require {
                MetadataRequire::AccountExists(account) => {
                    ControlError::AccountUnknown(account.as_str().into())
                }
                _ => ControlError::UserTaken(user.name.clone()),
            })),
        }
    }

    /// Users of an account in the order of their names, for its administrators.
    pub async fn users(&self, account: &AccountId, page: &Page<UserName>) -> Result<Vec<User>, ControlError> {
        let permitted = self.permit(ControlAsk::Administer(account)).await?;
        Ok(permitted.store().users(account, page).await?)
    }

    /// The user of this name in the account, for its administrators.
    pub async fn user_named(&self, account: &AccountId, name: &UserName) -> Result<User, ControlError> {
        let permitted = self.permit(ControlAsk::Administer(account)).await?;
        let user = permitted.store().user_named(account, name).await?;
        user.ok_or_else(|| ControlError::UserUnknown(name.as_str().into()))
    }

    /// Changes the hash of a user's password, or takes the password away: the user's own matter and its
    /// administrators'.
    #[instrument(level = "debug", skip_all, fields(%user))]
    pub async fn set_password(
        &self,
        user: &UserId,
        password: Option<PasswordHash>,
    ) -> Result<(), ControlError> {
        self.change_user(user, ControlAsk::Oneself(user), |user| user.password = password.clone()).await
    }

    /// Changes what a user may do beside its grants.
    #[instrument(level = "debug", skip_all, fields(%user))]
    pub async fn set_role(&self, user: &UserId, role: Role) -> Result<(), ControlError> {
        let current = self.find_user(user).await?;
        let ask = match (current.role, role) {
            (Role::Operator, _) | (_, Role::Operator) => ControlAsk::Operate,
            _ => ControlAsk::Administer(&current.account),
        };
        self.change_user(user, ask, |user| user.role = role).await
    }

    async fn change_user(
        &self,
        id: &UserId,
        ask: ControlAsk<'_>,
        change: impl Fn(&mut User),
    ) -> Result<(), ControlError> {
        let permitted = self.permit(ask).await?;
        let mut user = self.find_user(id).await?;
        let was = user.role;
        change(&mut user);
        let mut requires = vec![MetadataRequire::UserOf { user: id.clone(), account: user.account.clone() }];
        if was == Role::Operator && user.role != Role::Operator {
            requires.push(MetadataRequire::OperatorBeside(id.clone()));
        }
        let changed = permitted.commit(requires, vec![MetadataChange::PutUser(user)]).await;
        changed.map(drop).map_err(|unmet| unmet.into_error(|require| of_user(require, id)))
    }

    /// Removes a user with its keys and grants. What it created stays.
    #[instrument(level = "debug", skip_all, fields(%user))]
    pub async fn remove_user(&self, user: &UserId) -> Result<(), ControlError> {
        let current = self.find_user(user).await?;
        let ask = match current.role {
            Role::Operator => ControlAsk::Operate,
            Role::Administrator | Role::Member => ControlAsk::Administer(&current.account),
        };
        let permitted = self.permit(ask).await.map_err(|error| match error {
            ControlError::AccountUnknown(_) => ControlError::UserUnknown(user.as_str().into()),
            error => error,
        })?;
        let mut requires =
            vec![MetadataRequire::UserOf { user: user.clone(), account: current.account.clone() }];
        if current.role == Role::Operator {
            requires.push(MetadataRequire::OperatorBeside(user.clone()));
        }
        let removed = permitted.commit(requires, vec![MetadataChange::RemoveUser(user.clone())]).await;
        removed.map(drop).map_err(|unmet| unmet.into_error(|require| of_user(require, user)))
    }

    async fn find_user(&self, id: &UserId) -> Result<User, ControlError> {
        let user = self.parts().metadata.user(id).await?;
        user.ok_or_else(|| ControlError::UserUnknown(id.as_str().into()))
    }

    /// Gives a user an access key that somebody else has made.
    #[instrument(level = "debug", skip_all, fields(user = %key.user, key = %key.id))]
    pub async fn add_access_key(&self, key: AccessKey) -> Result<(), ControlError> {
        let user = key.user.clone();
        let permitted = self.permit(ControlAsk::Oneself(&user)).await?;
        let limit = AccessKey::DESCRIPTION_CHARS_MAX;
        if key.description.chars().nth(limit).is_some() {
            return Err(ControlError::DescriptionTooLong { limit });
        }
        let account = self.find_user(&user).await?.account;
        let requires = vec![
            MetadataRequire::UserOf { user: user.clone(), account },
            MetadataRequire::KeyFree(key.id.clone()),
            MetadataRequire::AccessKeysFewerThan {
                user: user.clone(),
                limit: self.parts().limits.keys_per_user,
            },
        ];
        let added = permitted.commit(requires, vec![MetadataChange::PutAccessKey(key)]).await;
        added.map(drop).map_err(|unmet| {
            unmet.into_error(|require| match require {
                MetadataRequire::AccessKeysFewerThan { limit, .. } => {
                    ControlError::KeyQuota { limit: *limit }
                }
                MetadataRequire::KeyFree(_) => ControlError::Busy,
                _ => permitted.unknown(),
            })
        })
    }

    /// A user's access keys, without their secrets, oldest first.
    pub async fn access_keys(&self, user: &UserId) -> Result<Vec<AccessKey>, ControlError> {
        let permitted = self.permit(ControlAsk::Oneself(user)).await?;
        let keys = permitted.store().access_keys(user).await?;
        Ok(keys.into_iter().map(|key| AccessKey { secret: None, ..key }).collect())
    }

    /// Deletes a user's access key: it is worth nothing from the next request on, and neither are the temporary
    /// logins that were asked for with it.
    #[instrument(level = "debug", skip_all, fields(%user, %key))]
    pub async fn remove_access_key(&self, user: &UserId, key: &KeyId) -> Result<(), ControlError> {
        let permitted = self.permit(ControlAsk::Oneself(user)).await?;
        let requires = vec![MetadataRequire::AccessKeyOf { key: key.clone(), user: user.clone() }];
        let removed = permitted.commit(requires, vec![MetadataChange::RemoveAccessKey(key.clone())]).await;
        removed.map(drop).map_err(|unmet| unmet.into_error(|_| ControlError::KeyUnknown(key.clone())))
    }

    /// Gives the caller a temporary key that somebody else has made.
    #[instrument(level = "debug", skip_all, fields(user = %key.user, key = %key.id))]
    pub async fn add_temporary_key(&self, key: TemporaryKey) -> Result<(), ControlError> {
        let user = key.user.clone();
        let permitted = self.permit(ControlAsk::Oneself(&user)).await?;
        let account = self.find_user(&user).await?.account;
        let mut requires = vec![
            MetadataRequire::UserOf { user: user.clone(), account },
            MetadataRequire::KeyFree(key.id.clone()),
        ];
        if let Some(with) = &key.issued_with {
            requires.push(MetadataRequire::AccessKeyOf { key: with.clone(), user: user.clone() });
        }
        let added = permitted.commit(requires, vec![MetadataChange::PutTemporaryKey(key)]).await;
        added.map(drop).map_err(|unmet| {
            unmet.into_error(|require| match require {
                MetadataRequire::KeyFree(_) => ControlError::Busy,
                _ => ControlError::Unauthorized,
            })
        })
    }

    /// Signs tokens with this key from now on; older ones go on verifying until they are removed.
    pub async fn add_token_key(&self, key: TokenKey) -> Result<(), ControlError> {
        let permitted = self.permit(ControlAsk::Operate).await?;
        let added = permitted.commit(Vec::new(), vec![MetadataChange::PutTokenKey(key)]).await;
        added.map(drop).map_err(|unmet| unmet.into_error(|_| ControlError::Busy))
    }

    /// The keys of tokens, without the keys themselves, oldest first: the last one signs, all of them verify.
    pub async fn token_keys(&self) -> Result<Vec<TokenKey>, ControlError> {
        let permitted = self.permit(ControlAsk::Operate).await?;
        let keys = permitted.store().token_keys().await?;
        Ok(keys.into_iter().map(|key| TokenKey { secret: None, ..key }).collect())
    }

    /// No longer takes tokens that were signed with this key.
    pub async fn remove_token_key(&self, key: &KeyId) -> Result<(), ControlError> {
        let permitted = self.permit(ControlAsk::Operate).await?;
        let removed = permitted.commit(Vec::new(), vec![MetadataChange::RemoveTokenKey(key.clone())]).await;
        match removed {
            Ok(receipt) if is_done(&receipt) => Ok(()),
            Ok(_) => Err(ControlError::KeyUnknown(key.clone())),
            Err(unmet) => Err(unmet.into_error(|_| ControlError::Busy)),
        }
    }
}

fn of_user(require: &MetadataRequire, user: &UserId) -> ControlError {
    match require {
        MetadataRequire::OperatorBeside(_) => ControlError::LastOperator,
        _ => ControlError::UserUnknown(user.as_str().into()),
    }
}
