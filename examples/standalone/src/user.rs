//! `swr user`: who is in an account.

use clap::{Args, Subcommand};
use serde::Serialize;
use swr_auth::{NewPassword, Secret};
use swr_core::control::identity::{AccountName, Role};
use swr_http::control::administration::User;

use crate::accounts::FIRST_ACCOUNT;
use crate::administration::{Owner, Place};
use crate::input;
use crate::output::{self, Shown};

/// Looks after the users of an account.
#[derive(Args, Debug)]
pub(crate) struct UserCommand {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Adds a user; its password is made here and shown once, unless something else is said
    Create {
        #[command(flatten)]
        owner: Owner,
        /// What it may do beside its grants: member, administrator or operator
        #[arg(long, value_name = "ROLE", default_value = "member", value_parser = role)]
        role: Role,
        #[command(flatten)]
        password: PasswordSource,
        #[command(flatten)]
        place: Place,
    },
    /// Lists the users of an account
    List {
        /// The account
        #[arg(long, value_name = "NAME", default_value = FIRST_ACCOUNT, value_parser = AccountName::parse)]
        account: AccountName,
        #[command(flatten)]
        place: Place,
    },
    /// Changes what a user may do beside its grants
    SetRole {
        #[command(flatten)]
        owner: Owner,
        /// member, administrator or operator
        #[arg(value_name = "ROLE", value_parser = role)]
        role: Role,
        #[command(flatten)]
        place: Place,
    },
    /// Changes a user's password; it is made here and shown once, unless something else is said
    SetPassword {
        #[command(flatten)]
        owner: Owner,
        #[command(flatten)]
        password: PasswordSource,
        #[command(flatten)]
        place: Place,
    },
    /// Removes a user with its keys and grants
    Remove {
        #[command(flatten)]
        owner: Owner,
        #[command(flatten)]
        place: Place,
    },
}

/// Where a password comes from. It is never on the command line, where others can read it.
#[derive(Args, Debug)]
struct PasswordSource {
    /// Reads the password from standard input
    #[arg(long, conflicts_with = "no_password")]
    password_stdin: bool,
    /// No password: the user signs in with access keys alone
    #[arg(long)]
    no_password: bool,
}

/// A password, and whether it was made here.
struct Chosen {
    password: Option<NewPassword>,
    is_new: bool,
}

/// A user, with the password that was made for it.
#[derive(Serialize)]
struct UserAndPassword {
    #[serde(flatten)]
    user: User,
    #[serde(serialize_with = "output::exposed")]
    password: Secret,
}

/// The password that was made for a user.
#[derive(Serialize)]
struct PasswordOf {
    account: String,
    user: String,
    #[serde(serialize_with = "output::exposed")]
    password: Secret,
}

impl UserCommand {
    /// The error is one line.
    pub(crate) async fn run(self) -> Result<(), String> {
        match self.task {
            Task::Create { owner, role, password, place } => {
                let chosen = password.choose()?;
                let user = place.open().await?.create_user(&owner, role, chosen.password.as_ref()).await?;
                match chosen.unknown() {
                    Some(password) => output::one(place.format, &UserAndPassword { user, password }),
                    None => output::one(place.format, &user),
                }
            }
            Task::List { account, place } => {
                output::many(place.format, &place.open().await?.users(&account).await?)
            }
            Task::SetRole { owner, role, place } => place.open().await?.set_role(&owner, role).await,
            Task::SetPassword { owner, password, place } => {
                let chosen = password.choose()?;
                place.open().await?.set_password(&owner, chosen.password.as_ref()).await?;
                let Some(password) = chosen.unknown() else { return Ok(()) };
                let (account, user) = (owner.account.to_string(), owner.user.to_string());
                output::one(place.format, &PasswordOf { account, user, password })
            }
            Task::Remove { owner, place } => place.open().await?.remove_user(&owner).await,
        }
    }
}

fn role(text: &str) -> Result<Role, String> {
    Role::parse(text).ok_or_else(|| "it is `member`, `administrator` or `operator`".to_owned())
}

impl PasswordSource {
    fn choose(&self) -> Result<Chosen, String> {
        if self.no_password {
            return Ok(Chosen { password: None, is_new: false });
        }
        if !self.password_stdin {
            return Ok(Chosen { password: Some(NewPassword::random()), is_new: true });
        }
        let password = NewPassword::new(input::secret("--password-stdin", NewPassword::BYTES_MAX)?)
            .map_err(|error| format!("--password-stdin: {error}"))?;
        Ok(Chosen { password: Some(password), is_new: false })
    }
}

impl Chosen {
    /// The password that nobody knows yet.
    fn unknown(&self) -> Option<Secret> {
        self.password.as_ref().filter(|_| self.is_new).map(|password| password.secret().clone())
    }
}

impl Shown for UserAndPassword {
    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![
            ("user", self.user.name.clone()),
            ("id", self.user.id.clone()),
            ("role", self.user.role.clone()),
            ("password", self.password.expose().to_owned()),
            ("created", self.user.created_at.clone()),
        ]
    }

    fn once(&self) -> bool {
        true
    }
}

impl Shown for PasswordOf {
    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![
            ("account", self.account.clone()),
            ("user", self.user.clone()),
            ("password", self.password.expose().to_owned()),
        ]
    }

    fn once(&self) -> bool {
        true
    }
}
