//! What a deployment says of itself: where it is, what it is called, how long what it gives out lasts.

use chrono::TimeDelta;

use crate::challenge::{Challenge, ChallengeError};

/// What a deployment says of itself to those who sign in. It cannot be wrong: what is, is refused when it is made.
#[derive(Clone, Debug)]
pub struct DeskSettings {
    project: Box<str>,
    host: Box<str>,
    challenge: Challenge,
    login_life: TimeDelta,
    token_life: TimeDelta,
    management_life: TimeDelta,
}

impl DeskSettings {
    /// A deployment of this region project, which clients reach at `host` (a name or an address, with a port where
    /// there is one) and whose tokens are given out at the address `realm`. Its tokens are for `host` and nobody
    /// else.
    ///
    /// Logins last 24 hours, tokens 5 minutes, management tokens 24 hours.
    pub fn new(project: &str, host: &str, realm: &str) -> Result<Self, SettingsError> {
        let is_host = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']');
        // It stands in front of an `@` and in a command line.
        let is_project = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
        if !matches!(project.len(), 1..=64) || !project.bytes().all(is_project) {
            return Err(SettingsError::Project(short(project)));
        }
        if !matches!(host.len(), 1..=255) || !host.bytes().all(is_host) {
            return Err(SettingsError::Host(short(host)));
        }
        if !realm.starts_with("https://") && !realm.starts_with("http://") {
            return Err(SettingsError::Realm(short(realm)));
        }
        Ok(Self {
            project: project.into(),
            host: host.into(),
            challenge: Challenge::bearer(realm, host)?,
            login_life: TimeDelta::hours(24),
            token_life: TimeDelta::minutes(5),
            management_life: TimeDelta::hours(24),
        })
    }

    /// Lets temporary logins last so long: a minute to a year.
    pub fn with_login_life(mut self, life: TimeDelta) -> Result<Self, SettingsError> {
        self.login_life = within(life, TimeDelta::days(365))?;
        Ok(self)
    }

    /// Lets tokens last so long: a minute, which clients take for granted, to a day. What a token gives never
    /// outlasts the right to it.
    pub fn with_token_life(mut self, life: TimeDelta) -> Result<Self, SettingsError> {
        self.token_life = within(life, TimeDelta::days(1))?;
        Ok(self)
    }

    /// Lets management tokens last so long: a minute to a day.
    pub fn with_management_life(mut self, life: TimeDelta) -> Result<Self, SettingsError> {
        self.management_life = within(life, TimeDelta::days(1))?;
        Ok(self)
    }

    /// The region project: what stands in front of the `@` in a login user name.
    pub fn project(&self) -> &str {
        &self.project
    }

    /// Where clients reach the registry.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// How clients are sent to where tokens are given out.
    pub fn challenge(&self) -> &Challenge {
        &self.challenge
    }

    /// How long temporary logins last.
    pub fn login_life(&self) -> TimeDelta {
        self.login_life
    }

    /// How long tokens last.
    pub fn token_life(&self) -> TimeDelta {
        self.token_life
    }

    /// How long management tokens last.
    pub fn management_life(&self) -> TimeDelta {
        self.management_life
    }
}

fn within(life: TimeDelta, max: TimeDelta) -> Result<TimeDelta, SettingsError> {
    match life >= TimeDelta::minutes(1) && life <= max {
        true => Ok(life),
        false => Err(SettingsError::Life { life, max }),
    }
}

fn short(text: &str) -> String {
    text.chars().take(160).collect()
}

/// What is wrong with the settings of a deployment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The region project cannot stand in a login.
    #[error("the region project {0:?} is not 1 to 64 letters, digits, `.`, `-` and `_`")]
    Project(String),
    /// The host is none.
    #[error("{0:?} is no host name or address with or without a port")]
    Host(String),
    /// The address of the tokens is none.
    #[error("the address {0:?} where tokens are given out does not begin with `https://` or `http://`")]
    Realm(String),
    /// The address of the tokens cannot stand in a header.
    #[error("the address where tokens are given out: {0}")]
    Challenge(#[from] ChallengeError),
    /// Too short or too long.
    #[error("a life of {} seconds is not between 60 and {} seconds", life.num_seconds(), max.num_seconds())]
    Life {
        /// What was asked for.
        life: TimeDelta,
        /// The longest there is.
        max: TimeDelta,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    const REALM: &str = "https://registry.example/token";

    #[test]
    fn what_cannot_stand_in_a_login_is_refused() {
        let settings = DeskSettings::new("cn-jssz1", "registry.example:5000", REALM).unwrap();
        let challenge = r#"Bearer realm="https://registry.example/token",service="registry.example:5000""#;
        assert_eq!(settings.challenge().header(&[]), challenge);
        assert!(DeskSettings::new("a", "[::1]:5000", "http://127.0.0.1:5000/token").is_ok());
        for project in ["", "a@b", "a b", "a:b", "a\"b", "$(a)", "é", &"a".repeat(65)] {
            let refused = DeskSettings::new(project, "registry.example", REALM).unwrap_err();
            assert!(matches!(refused, SettingsError::Project(_)), "{project:?}");
        }
        for host in ["", "https://registry.example", "a b", "a;b", &"a".repeat(256)] {
            let refused = DeskSettings::new("a", host, REALM).unwrap_err();
            assert!(matches!(refused, SettingsError::Host(_)), "{host:?}");
        }
        for realm in ["", "registry.example/token", "ftp://registry.example", "https://a/\"", "https://a/\n"]
        {
            assert!(DeskSettings::new("a", "registry.example", realm).is_err(), "{realm:?}");
        }
    }

    #[test]
    fn lives_are_bounded_on_both_sides() {
        let settings = || DeskSettings::new("a", "registry.example", REALM).unwrap();
        let (second, day) = (TimeDelta::seconds(1), TimeDelta::days(1));
        for life in [TimeDelta::minutes(1), TimeDelta::hours(6), day] {
            assert_eq!(settings().with_login_life(life).unwrap().login_life(), life);
            assert_eq!(settings().with_token_life(life).unwrap().token_life(), life);
            assert_eq!(settings().with_management_life(life).unwrap().management_life(), life);
        }
        for life in [TimeDelta::zero(), -day, TimeDelta::minutes(1) - second] {
            assert!(settings().with_login_life(life).is_err());
            assert!(settings().with_token_life(life).is_err());
            assert!(settings().with_management_life(life).is_err());
        }
        assert!(settings().with_token_life(day + second).is_err());
        assert!(settings().with_management_life(day + second).is_err());
        assert!(settings().with_login_life(TimeDelta::days(366)).is_err());
    }
}
