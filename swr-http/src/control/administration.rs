//! Accounts, users and keys, under `/admin/v1`: what is said of them. Programs may read the documents by these types.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use utoipa::ToSchema;

use swr_auth::key_desk::NewAccessKey as MadeKey;
use swr_auth::{AuthenticationError, Login, NewPassword, Secret};
use swr_core::control::credential::{self, KeyId};
use swr_core::control::identity::{self, AccountName, PasswordHash, Role, UserName};
use swr_core::control::{ControlError, NewUser};
use swr_core::ports::Page;

use super::error::{ManagementFailure, ValueDefect};
use super::exchange::{Answer, Exchange, Reply, Time, excerpt};
use super::paging::first;

/// An account to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WantedAccount {
    /// Its name: a letter, then letters, digits, `_`, `-` and `.`; at most 64 characters.
    pub(super) name: String,
}

/// A user to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WantedUser {
    /// Its name: a letter, then letters, digits, `_`, `-` and `.`; at most 64 characters.
    pub(super) name: String,
    /// `member`, `administrator` or `operator`. `member` when it is not said.
    role: Option<String>,
    /// A password of 8 characters at least; `null`, or left out, for a user that signs in with keys alone.
    #[serde(default, deserialize_with = "password")]
    #[schema(value_type = Option<String>)]
    password: Option<Secret>,
}

/// What a user may do from now on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RoleChange {
    /// `member`, `administrator` or `operator`.
    role: String,
}

/// What a user signs in with from now on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PasswordChange {
    /// A password of 8 characters at least; `null` for none.
    #[serde(deserialize_with = "password")]
    #[schema(value_type = Option<String>)]
    password: Option<Secret>,
}

/// An access key to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WantedAccessKey {
    /// Some words; at most 255 characters.
    #[serde(default)]
    description: String,
}

/// A password in a body. What is none is not repeated: it may be one.
fn password<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(text) => Ok(Some(text.into())),
        Value::Null => Ok(None),
        _ => Err(serde::de::Error::custom("`password` is not a text")),
    }
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[non_exhaustive]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: String,
    /// The id of its region project.
    pub project_id: String,
    /// When it was made.
    pub created_at: String,
}

/// Accounts in the order of their names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[non_exhaustive]
pub struct AccountPage {
    /// The accounts.
    pub accounts: Vec<Account>,
    /// The `marker` of the next page, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_marker: Option<String>,
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[non_exhaustive]
pub struct User {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: String,
    /// `member`, `administrator` or `operator`.
    pub role: String,
    /// Whether it may sign in with a password.
    pub has_password: bool,
    /// When it was made.
    pub created_at: String,
}

/// Users in the order of their names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[non_exhaustive]
pub struct UserPage {
    /// The users.
    pub users: Vec<User>,
    /// The `marker` of the next page, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_marker: Option<String>,
}

/// An access key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[non_exhaustive]
pub struct AccessKey {
    /// The access key id (AK).
    pub access_key_id: String,
    /// What its owner calls it.
    pub description: String,
    /// When it was made.
    pub created_at: String,
}

/// The access keys of a user, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[non_exhaustive]
pub struct AccessKeyList {
    /// The keys.
    pub access_keys: Vec<AccessKey>,
}

/// An access key with its secret, which no other answer has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[non_exhaustive]
pub struct NewAccessKey {
    /// The access key id (AK).
    pub access_key_id: String,
    /// The secret access key (SK).
    #[serde(with = "exposed")]
    #[schema(value_type = String)]
    pub secret_access_key: Secret,
    /// What its owner calls it.
    pub description: String,
    /// When it was made.
    pub created_at: String,
    /// The line that signs in for as long as the key lasts.
    #[serde(with = "exposed")]
    #[schema(value_type = String)]
    pub login: Secret,
}

/// A key of tokens, without the key itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[non_exhaustive]
pub struct TokenKey {
    /// What tokens call it.
    pub id: String,
    /// When it was made.
    pub created_at: String,
    /// Whether new tokens are signed with it. All keys verify.
    pub signs: bool,
}

/// The keys of tokens, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[non_exhaustive]
pub struct TokenKeyList {
    /// The keys.
    pub token_keys: Vec<TokenKey>,
}

/// A secret in the one document that shows it.
mod exposed {
    use super::{Deserialize as _, Deserializer, Secret, Serializer};

    pub(super) fn serialize<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(secret.expose())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
        String::deserialize(deserializer).map(Secret::from)
    }
}

impl From<&identity::Account> for Account {
    fn from(account: &identity::Account) -> Self {
        Self {
            name: account.name.to_string(),
            id: account.id.to_string(),
            project_id: account.project.to_string(),
            created_at: Time(account.created).to_string(),
        }
    }
}

impl From<&identity::User> for User {
    fn from(user: &identity::User) -> Self {
        Self {
            name: user.name.to_string(),
            id: user.id.to_string(),
            role: user.role.as_str().to_owned(),
            has_password: user.password.is_some(),
            created_at: Time(user.created).to_string(),
        }
    }
}

impl From<&credential::AccessKey> for AccessKey {
    fn from(key: &credential::AccessKey) -> Self {
        Self {
            access_key_id: key.id.to_string(),
            description: key.description.to_string(),
            created_at: Time(key.created).to_string(),
        }
    }
}

impl NewAccessKey {
    /// The key that was made, and how a client signs in with it at `host`.
    pub fn new(made: MadeKey, login: &Login, host: &str) -> Self {
        let AccessKey { access_key_id, description, created_at } = AccessKey::from(&made.key);
        let login = login.command(host).into();
        Self { access_key_id, secret_access_key: made.secret, description, created_at, login }
    }
}

impl TokenKey {
    /// The key that signs from now on.
    pub fn signing(key: &credential::TokenKey) -> Self {
        Self { id: key.id.to_string(), created_at: Time(key.created).to_string(), signs: true }
    }
}

impl TokenKeyList {
    /// The keys, as the control plane lists them: the last one signs.
    pub fn new(keys: &[credential::TokenKey]) -> Self {
        let shown = |(at, key)| TokenKey { signs: at + 1 == keys.len(), ..TokenKey::signing(key) };
        Self { token_keys: keys.iter().enumerate().map(shown).collect() }
    }
}

/// The account of this name, for those in it and those who look after it. What they may do in it is asked by what is
/// done there.
async fn account(exchange: &Exchange<'_>, name: &AccountName) -> Result<identity::Account, ControlError> {
    match exchange.signer.account.name == *name {
        true => Ok(exchange.signer.account.clone()),
        false => exchange.access.account_named(name).await,
    }
}

/// The user of this name: the caller, or one in an account that it looks after.
async fn user(
    exchange: &Exchange<'_>,
    account_name: &AccountName,
    name: &UserName,
) -> Result<identity::User, ControlError> {
    let account = account(exchange, account_name).await?;
    let caller = &exchange.signer.user;
    match caller.account == account.id && caller.name == *name {
        true => Ok(caller.clone()),
        false => exchange.access.user_named(&account.id, name).await,
    }
}

fn role(text: &str) -> Result<Role, ValueDefect> {
    Role::parse(text).ok_or_else(|| ValueDefect::Role(excerpt(text)))
}

async fn hash(
    exchange: &Exchange<'_>,
    password: Option<NewPassword>,
) -> Result<Option<PasswordHash>, ManagementFailure> {
    let Some(password) = password else { return Ok(None) };
    match exchange.authenticator.hash(&password).await {
        Ok(hash) => Ok(Some(hash)),
        Err(AuthenticationError::Store(error)) => Err(error.into()),
        Err(AuthenticationError::Busy { retry_after }) => Err(ManagementFailure::Busy { retry_after }),
        Err(_) => Err(ControlError::Busy.into()),
    }
}

fn new_password(password: Option<Secret>) -> Result<Option<NewPassword>, ValueDefect> {
    Ok(password.map(NewPassword::new).transpose()?)
}

pub(super) async fn create_account(exchange: &Exchange<'_>) -> Answer {
    let wanted: WantedAccount = exchange.object()?;
    let name = AccountName::parse(&wanted.name).map_err(ValueDefect::Name)?;
    let account = exchange.access.create_account(swr_core::control::NewAccount { name }).await?;
    Ok(Reply::json(&Account::from(&account)))
}

pub(super) async fn list_accounts(exchange: &Exchange<'_>, page: &Page<AccountName>) -> Answer {
    let (accounts, more) = first(exchange.access.accounts(&one_more(page)).await?, page.limit);
    let next_marker = accounts.last().filter(|_| more).map(|last| last.name.to_string());
    Ok(Reply::json(&AccountPage { accounts: accounts.iter().map(Account::from).collect(), next_marker }))
}

pub(super) async fn show_account(exchange: &Exchange<'_>, name: &AccountName) -> Answer {
    Ok(Reply::json(&Account::from(&account(exchange, name).await?)))
}

pub(super) async fn create_user(exchange: &Exchange<'_>, account_name: &AccountName) -> Answer {
    let wanted: WantedUser = exchange.object()?;
    let name = UserName::parse(&wanted.name).map_err(ValueDefect::Name)?;
    let role = role(wanted.role.as_deref().unwrap_or(Role::Member.as_str()))?;
    let password = new_password(wanted.password)?;
    let account = account(exchange, account_name).await?.id;
    // Whoever may not is told so before a password is hashed, and so is who wants a name that is taken.
    match exchange.access.user_named(&account, &name).await {
        Ok(_) => return Err(ControlError::UserTaken(name).into()),
        Err(ControlError::UserUnknown(_)) => {}
        Err(error) => return Err(error.into()),
    }
    let password = hash(exchange, password).await?;
    let user = exchange.access.create_user(NewUser { account, name, role, password }).await?;
    Ok(Reply::json(&User::from(&user)))
}

pub(super) async fn list_users(
    exchange: &Exchange<'_>,
    account_name: &AccountName,
    page: &Page<UserName>,
) -> Answer {
    let account = account(exchange, account_name).await?;
    let (users, more) = first(exchange.access.users(&account.id, &one_more(page)).await?, page.limit);
    let next_marker = users.last().filter(|_| more).map(|last| last.name.to_string());
    Ok(Reply::json(&UserPage { users: users.iter().map(User::from).collect(), next_marker }))
}

pub(super) async fn show_user(exchange: &Exchange<'_>, account: &AccountName, name: &UserName) -> Answer {
    Ok(Reply::json(&User::from(&user(exchange, account, name).await?)))
}

pub(super) async fn remove_user(exchange: &Exchange<'_>, account: &AccountName, name: &UserName) -> Answer {
    let user = user(exchange, account, name).await?;
    exchange.access.remove_user(&user.id).await?;
    Ok(Reply::empty())
}

pub(super) async fn change_role(exchange: &Exchange<'_>, account: &AccountName, name: &UserName) -> Answer {
    let change: RoleChange = exchange.object()?;
    let role = role(&change.role)?;
    let user = user(exchange, account, name).await?;
    exchange.access.set_role(&user.id, role).await?;
    Ok(Reply::empty())
}

pub(super) async fn change_password(
    exchange: &Exchange<'_>,
    account: &AccountName,
    name: &UserName,
) -> Answer {
    let change: PasswordChange = exchange.object()?;
    let password = new_password(change.password)?;
    let user = user(exchange, account, name).await?;
    let password = hash(exchange, password).await?;
    exchange.access.set_password(&user.id, password).await?;
    Ok(Reply::empty())
}

pub(super) async fn create_key(exchange: &Exchange<'_>, account: &AccountName, name: &UserName) -> Answer {
    let wanted: WantedAccessKey = exchange.object()?;
    let user = user(exchange, account, name).await?;
    let made = exchange.desk.access_key(&exchange.access, &user.id, &wanted.description).await?;
    let login = exchange.desk.long_term_login(&made.key.id, &made.secret);
    Ok(Reply::json(&NewAccessKey::new(made, &login, exchange.options.settings.host())))
}

pub(super) async fn list_keys(exchange: &Exchange<'_>, account: &AccountName, name: &UserName) -> Answer {
    let user = user(exchange, account, name).await?;
    let keys = exchange.access.access_keys(&user.id).await?;
    Ok(Reply::json(&AccessKeyList { access_keys: keys.iter().map(AccessKey::from).collect() }))
}

pub(super) async fn remove_key(
    exchange: &Exchange<'_>,
    account: &AccountName,
    name: &UserName,
    key: &KeyId,
) -> Answer {
    let user = user(exchange, account, name).await?;
    exchange.access.remove_access_key(&user.id, key).await?;
    Ok(Reply::empty())
}

pub(super) async fn create_token_key(exchange: &Exchange<'_>) -> Answer {
    let key = exchange.desk.token_key();
    exchange.access.add_token_key(key.clone()).await?;
    Ok(Reply::json(&TokenKey::signing(&key)))
}

pub(super) async fn list_token_keys(exchange: &Exchange<'_>) -> Answer {
    Ok(Reply::json(&TokenKeyList::new(&exchange.access.token_keys().await?)))
}

pub(super) async fn remove_token_key(exchange: &Exchange<'_>, key: &KeyId) -> Answer {
    exchange.access.remove_token_key(key).await?;
    Ok(Reply::empty())
}

/// The page and what comes after it, to know whether there is anything.
fn one_more<K: Clone>(page: &Page<K>) -> Page<K> {
    Page { after: page.after.clone(), limit: page.limit.saturating_add(1) }
}
