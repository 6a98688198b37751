//! What an administrator is shown once.

use serde::Serialize;
use swr_auth::Secret;

use crate::output::{Shown, exposed};

/// Everything that an administrator signs in with.
#[derive(Debug, Serialize)]
pub(crate) struct Credentials {
    pub(crate) account: String,
    pub(crate) account_id: String,
    pub(crate) user: String,
    pub(crate) user_id: String,
    #[serde(serialize_with = "exposed")]
    pub(crate) password: Secret,
    pub(crate) access_key_id: String,
    #[serde(serialize_with = "exposed")]
    pub(crate) secret_access_key: Secret,
    pub(crate) project: String,
    pub(crate) project_id: String,
    #[serde(serialize_with = "exposed")]
    pub(crate) login: Secret,
}

impl Shown for Credentials {
    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![
            ("account", self.account.clone()),
            ("user", self.user.clone()),
            ("password", self.password.expose().to_owned()),
            ("access key id", self.access_key_id.clone()),
            ("secret access key", self.secret_access_key.expose().to_owned()),
            ("region project", self.project.clone()),
            ("project id", self.project_id.clone()),
        ]
    }

    fn once(&self) -> bool {
        true
    }

    fn login(&self) -> Option<&str> {
        Some(self.login.expose())
    }
}
