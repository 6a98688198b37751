//! `swr recover-administrator`: for whoever has the machine, and has lost the way in.

use clap::Args;
use swr_auth::NewPassword;
use swr_core::control::identity::{AccountName, Role, UserName};
use swr_core::control::{ControlError, NewUser};

use crate::accounts::{FIRST_ACCOUNT, FIRST_USER};
use crate::credentials::Credentials;
use crate::data_directory::{DataDirectory, Here, said};
use crate::output::{self, Format};

/// Gives an administrator a new password and another access key, which are shown once, and makes one where there is
/// none. The server is stopped meanwhile.
#[derive(Args, Debug)]
pub(crate) struct RecoverAdministrator {
    #[command(flatten)]
    here: Here,
    /// The account
    #[arg(long, value_name = "NAME", default_value = FIRST_ACCOUNT, value_parser = AccountName::parse)]
    account: AccountName,
    /// What the administrator is called
    #[arg(long, value_name = "NAME", default_value = FIRST_USER, value_parser = UserName::parse)]
    user: UserName,
    /// How the credentials are printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

impl RecoverAdministrator {
    /// The error is one line.
    pub(crate) async fn run(self) -> Result<(), String> {
        let directory = DataDirectory::open(self.here.config()?).await?;
        let credentials = recover(&directory, &self.account, self.user).await.map_err(said)?;
        output::one(self.format, &credentials)
    }
}

/// The key is given first: where there are as many as there may be, nothing has changed. Interrupted, it is done again.
async fn recover(
    directory: &DataDirectory,
    account: &AccountName,
    name: UserName,
) -> Result<Credentials, ControlError> {
    let access = directory.access();
    let account = access.account_named(account).await?;
    let password = NewPassword::random();
    let hash = Some(password.hash()?);
    let new_key = async |user| directory.desk().access_key(&access, user, "").await;
    let (user, made) = match access.user_named(&account.id, &name).await {
        Ok(user) => {
            let made = new_key(&user.id).await?;
            if !user.role.administers() {
                access.set_role(&user.id, Role::Administrator).await?;
            }
            access.set_password(&user.id, hash).await?;
            (user, made)
        }
        Err(ControlError::UserUnknown(_)) => {
            let (account, role) = (account.id.clone(), Role::Administrator);
            let user = access.create_user(NewUser { account, name, role, password: hash }).await?;
            let made = new_key(&user.id).await?;
            (user, made)
        }
        Err(error) => return Err(error),
    };
    Ok(directory.accounts_kept().credentials(&account, &user, &password, made))
}
