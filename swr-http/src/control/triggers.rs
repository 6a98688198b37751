//! The triggers of a repository, and what they have done.

use std::num::NonZeroU32;

use data_encoding::BASE64;
use http::Uri;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use swr_auth::Secret;
use swr_policy::{Pattern, TriggerCondition, TriggerRule};
use utoipa::ToSchema;

use swr_core::control::trigger::{
    Delivery, DeliveryId, DeliveryState, Trigger, TriggerTarget, Workload, WorkloadKind,
};
use swr_core::{RepositoryName, Tag, TriggerName};

use super::body::BodyDefect;
use super::error::{ManagementFailure, ValueDefect};
use super::exchange::{Answer, Exchange, Reply, Time, excerpt};

/// How many deliveries the history of a trigger is made of. Their own list has more.
const HISTORY_MAX: NonZeroU32 = NonZeroU32::new(100).expect("100 is not zero");

/// The longest id or name of a cluster, in bytes.
pub const CLUSTER_BYTES_MAX: usize = 255;
/// The longest address of a webhook, in bytes.
const URL_BYTES_MAX: usize = 2048;
/// How long the secret of a webhook is, in bytes.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 16..=256;

/// Sets the image of a container.
const UPDATE: &str = "update";
/// Tells an address.
const WEBHOOK: &str = "webhook";

/// The condition of a trigger that is for every version.
const ALL: &str = ".*";

// Serialised it is what the trail may keep.
/// A trigger to be.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewTrigger {
    /// Its name, unique in the repository.
    pub(super) name: String,
    /// `update` sets the image of a container. `webhook`, which is this registry's own, tells an address.
    action: String,
    /// `all`, `tag` or `regular`.
    trigger_type: String,
    /// Of `all`: `.*`. Of `tag`: the tag. Of `regular`: a regular expression, or a glob; `regex:` or `glob:` in front
    /// says which.
    condition: String,
    /// `true` or `false`, as a text.
    enable: String,
    /// Of `update`: `cce`, as when nothing is said, or `cci`.
    #[serde(default)]
    trigger_mode: String,
    /// Of `update`: `deployments`, `statefulsets`, `daemonsets` or `cronjobs`.
    #[serde(default)]
    app_type: String,
    /// Of `update`: the workload.
    #[serde(default)]
    application: String,
    /// Of `update`: the cluster, as this registry knows it. `cci` needs none.
    #[serde(default)]
    cluster_id: String,
    /// Of `update`: what the cluster is called.
    #[serde(default)]
    cluster_name: String,
    /// Of `update`: the namespace in the cluster.
    #[serde(default)]
    cluster_ns: String,
    /// Of `update`: the container; all that use the image when nothing is said.
    #[serde(default)]
    container: String,
    /// Of `webhook`, which is this registry's own: the address.
    #[serde(default)]
    url: String,
    /// Of `webhook`, which is this registry's own: what its messages are signed with, 16 to 256 bytes. It is never
    /// shown again.
    #[serde(default, skip_serializing)]
    #[schema(value_type = String)]
    secret: Value,
}

/// Whether a trigger is to fire.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TriggerChange {
    /// `true` or `false`, as a text.
    enable: String,
}

/// A trigger.
#[derive(Serialize, ToSchema)]
pub(super) struct ShownTrigger {
    name: String,
    #[serde(flatten)]
    act: Act,
    /// `true` or `false`, as a text.
    enable: &'static str,
    trigger_mode: String,
    trigger_type: &'static str,
    created_at: Time,
    /// What it has done, newest first; `null` in lists.
    trigger_history: Option<Vec<TriggerHistory>>,
}

/// What a trigger has done with a version.
#[derive(Serialize, ToSchema)]
pub(super) struct TriggerHistory {
    #[serde(flatten)]
    act: Act,
    /// When the version appeared or changed.
    created_at: Time,
    tag: String,
    /// `success`, or `failed` as far as it was tried.
    result: &'static str,
    /// What the last try came to.
    detail: String,
}

/// What a trigger does, and when.
#[derive(Clone, Serialize, ToSchema)]
pub(super) struct Act {
    /// `update`; or `webhook`, which is this registry's own and has an address, and nothing of a cluster.
    action: &'static str,
    app_type: &'static str,
    application: String,
    cluster_id: String,
    cluster_name: String,
    cluster_ns: String,
    container: String,
    /// Which versions fire it.
    condition: String,
    /// Who made it, under the name of that time.
    creator_name: String,
    /// Of `webhook`: the address.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

/// A version that fired a trigger, and what became of it.
#[derive(Serialize, ToSchema)]
pub(super) struct TriggerDelivery {
    /// What its receiver tells repetitions by.
    id: String,
    tag: String,
    /// Where the tag pointed.
    digest: String,
    /// When the version appeared or changed.
    created_at: Time,
    /// `waiting`, `delivered`, or `dead` when it was given up.
    state: &'static str,
    /// Of one that waits: when it is tried, at the earliest.
    #[serde(skip_serializing_if = "Option::is_none")]
    due_at: Option<Time>,
    /// How often it was tried.
    attempts: u32,
    /// When it was tried last.
    #[serde(skip_serializing_if = "Option::is_none")]
    tried_at: Option<Time>,
    /// What the last try came to.
    detail: String,
}

pub(super) async fn create(exchange: &Exchange<'_>, repository: &RepositoryName) -> Answer {
    let new: NewTrigger = exchange.object()?;
    let name = TriggerName::parse(&new.name)?;
    let rule = TriggerRule { condition: new.condition()?, enabled: enabled(&new.enable)? };
    let target = match new.action.as_str() {
        UPDATE => TriggerTarget::Workload(new.workload()?),
        WEBHOOK => {
            let (url, secret) = new.webhook()?;
            let sealed = exchange.desk.seal_trigger(repository, &name, &secret);
            TriggerTarget::Webhook { url: url.into(), secret: Some(sealed) }
        }
        other => return Err(ValueDefect::Action(excerpt(other)).into()),
    };
    exchange.access.create_trigger(repository, &name, rule, target).await?;
    Ok(Reply::empty())
}

pub(super) async fn list(exchange: &Exchange<'_>, repository: &RepositoryName) -> Answer {
    let triggers = exchange.access.triggers(repository).await?;
    let shown: Vec<ShownTrigger> =
        triggers.iter().map(|(_, trigger)| ShownTrigger::new(trigger, None)).collect();
    Ok(Reply::json(&shown))
}

pub(super) async fn show(exchange: &Exchange<'_>, repository: &RepositoryName, name: &TriggerName) -> Answer {
    let (trigger, deliveries) = exchange.access.trigger(repository, name, HISTORY_MAX).await?;
    Ok(Reply::json(&ShownTrigger::new(&trigger, Some(&deliveries))))
}

pub(super) async fn change(
    exchange: &Exchange<'_>,
    repository: &RepositoryName,
    name: &TriggerName,
) -> Answer {
    let change: TriggerChange = exchange.object()?;
    exchange.access.enable_trigger(repository, name, enabled(&change.enable)?).await?;
    Ok(Reply::empty())
}

pub(super) async fn remove(
    exchange: &Exchange<'_>,
    repository: &RepositoryName,
    name: &TriggerName,
) -> Answer {
    exchange.access.remove_trigger(repository, name).await?;
    Ok(Reply::empty())
}

pub(super) async fn deliveries(
    exchange: &Exchange<'_>,
    repository: &RepositoryName,
    name: &TriggerName,
    limit: NonZeroU32,
) -> Answer {
    let (_, deliveries) = exchange.access.trigger(repository, name, limit).await?;
    let shown: Vec<TriggerDelivery> = deliveries.into_iter().map(TriggerDelivery::new).collect();
    Ok(Reply::json(&shown))
}

pub(super) async fn replay(
    exchange: &Exchange<'_>,
    repository: &RepositoryName,
    name: &TriggerName,
    delivery: &DeliveryId,
) -> Answer {
    exchange.access.revive_delivery(repository, name, delivery).await?;
    Ok(Reply::empty())
}

impl NewTrigger {
    fn condition(&self) -> Result<TriggerCondition, ManagementFailure> {
        let condition = self.condition.as_str();
        Ok(match self.trigger_type.as_str() {
            "all" if condition == ALL => TriggerCondition::All,
            "all" => return Err(ValueDefect::Condition.into()),
            "tag" => TriggerCondition::Tag(Tag::parse(condition)?),
            "regular" => TriggerCondition::Pattern(Pattern::parse(condition).map_err(ValueDefect::Pattern)?),
            other => return Err(ValueDefect::TriggerType(excerpt(other)).into()),
        })
    }

    fn workload(&self) -> Result<Workload, ManagementFailure> {
        unwanted(&self.action, &[("url", self.url.is_empty()), ("secret", self.secret.is_null())])?;
        let mode = match self.trigger_mode.as_str() {
            "" => "cce",
            mode @ ("cce" | "cci") => mode,
            other => return Err(ValueDefect::TriggerMode(excerpt(other)).into()),
        };
        let kind = wanted("app_type", &self.app_type)?;
        let kind = WorkloadKind::parse(kind).ok_or_else(|| ValueDefect::WorkloadKind(excerpt(kind)))?;
        if mode == "cce" {
            wanted("cluster_id", &self.cluster_id)?;
        }
        for (field, text) in [("cluster_id", &self.cluster_id), ("cluster_name", &self.cluster_name)] {
            if text.len() > CLUSTER_BYTES_MAX {
                return Err(ValueDefect::TooLong { field, limit: CLUSTER_BYTES_MAX }.into());
            }
        }
        let name = |field, text| match is_name(text) {
            true => Ok(text.into()),
            false => Err(ValueDefect::ClusterName { field, text: excerpt(text) }),
        };
        Ok(Workload {
            mode: mode.into(),
            cluster_id: self.cluster_id.as_str().into(),
            cluster_name: self.cluster_name.as_str().into(),
            namespace: name("cluster_ns", wanted("cluster_ns", &self.cluster_ns)?)?,
            kind,
            application: name("application", wanted("application", &self.application)?)?,
            container: match self.container.as_str() {
                "" => "".into(),
                container => name("container", container)?,
            },
        })
    }

    fn webhook(&self) -> Result<(&str, Secret), ManagementFailure> {
        let of_cluster = [
            ("trigger_mode", &self.trigger_mode),
            ("app_type", &self.app_type),
            ("application", &self.application),
            ("cluster_id", &self.cluster_id),
            ("cluster_name", &self.cluster_name),
            ("cluster_ns", &self.cluster_ns),
            ("container", &self.container),
        ];
        unwanted(&self.action, &of_cluster.map(|(field, text)| (field, text.is_empty())))?;
        let url = wanted("url", &self.url)?;
        if !is_address(url) {
            return Err(ValueDefect::Url.into());
        }
        if self.secret.is_null() {
            return Err(missing("secret"));
        }
        let secret = self.secret.as_str().filter(|secret| signs(secret)).ok_or(ValueDefect::Secret)?;
        Ok((url, Secret::new(secret)))
    }
}

fn missing(field: &'static str) -> ManagementFailure {
    BodyDefect::Missing(format!("missing field `{field}`")).into()
}

/// What has to be said. Empty is the same as not given.
fn wanted<'a>(field: &'static str, text: &'a str) -> Result<&'a str, ManagementFailure> {
    if text.is_empty() { Err(missing(field)) } else { Ok(text) }
}

/// Refuses what means nothing to the action and is said all the same.
fn unwanted(action: &str, absent: &[(&'static str, bool)]) -> Result<(), ValueDefect> {
    match absent.iter().find(|(_, is_absent)| !is_absent) {
        Some((field, _)) => Err(ValueDefect::Unwanted { field, action: excerpt(action) }),
        None => Ok(()),
    }
}

fn enabled(text: &str) -> Result<bool, ValueDefect> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        other => Err(ValueDefect::Enable(excerpt(other))),
    }
}

/// Whether the text can be the name of something in a cluster: so, it needs no escaping in a path.
pub fn is_name(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let is_label = |label: &str| {
        let bytes = label.as_bytes();
        bytes.first().is_some_and(|b| inner(*b))
            && bytes.last().is_some_and(|b| inner(*b))
            && bytes.iter().all(|b| inner(*b) || *b == b'-')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

/// Whether something can be sent there, as far as it shows. No name or password stands in it: everybody who reads
/// the trigger sees the address.
pub fn is_address(url: &str) -> bool {
    let has_host = |uri: &Uri| {
        let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
        let authority = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
        is_web && uri.host().is_some_and(|host| !host.is_empty()) && !authority.contains('@')
    };
    url.len() <= URL_BYTES_MAX && url.parse().is_ok_and(|uri| has_host(&uri))
}

/// Whether messages can be signed with the secret.
pub fn signs(secret: &str) -> bool {
    let is_base64 = |text: &str| BASE64.decode(text.as_bytes()).is_ok();
    SECRET_BYTES.contains(&secret.len()) && secret.strip_prefix("whsec_").is_none_or(is_base64)
}

impl ShownTrigger {
    fn new(trigger: &Trigger, deliveries: Option<&[Delivery]>) -> Self {
        let act = Act::of(trigger);
        let history = |deliveries: &[Delivery]| {
            // What has not been tried has come to nothing yet.
            let tried = deliveries.iter().filter(|delivery| delivery.attempts > 0);
            tried.map(|delivery| TriggerHistory::new(act.clone(), delivery)).collect()
        };
        Self {
            name: trigger.name.to_string(),
            enable: if trigger.rule.enabled { "true" } else { "false" },
            trigger_mode: match &trigger.target {
                TriggerTarget::Workload(workload) => workload.mode.to_string(),
                TriggerTarget::Webhook { .. } => String::new(),
            },
            trigger_type: match &trigger.rule.condition {
                TriggerCondition::All => "all",
                TriggerCondition::Tag(_) => "tag",
                TriggerCondition::Pattern(_) => "regular",
            },
            created_at: Time(trigger.created),
            trigger_history: deliveries.map(history),
            act,
        }
    }
}

impl TriggerHistory {
    fn new(act: Act, delivery: &Delivery) -> Self {
        Self {
            act,
            created_at: Time(delivery.at),
            tag: delivery.tag.to_string(),
            result: match delivery.state {
                DeliveryState::Delivered => "success",
                DeliveryState::Waiting(_) | DeliveryState::Dead => "failed",
            },
            detail: delivery.detail.to_string(),
        }
    }
}

impl Act {
    fn of(trigger: &Trigger) -> Self {
        let act = Self {
            action: UPDATE,
            app_type: "",
            application: String::new(),
            cluster_id: String::new(),
            cluster_name: String::new(),
            cluster_ns: String::new(),
            container: String::new(),
            condition: match &trigger.rule.condition {
                TriggerCondition::All => ALL.to_owned(),
                TriggerCondition::Tag(tag) => tag.to_string(),
                TriggerCondition::Pattern(pattern) => pattern.to_string(),
            },
            creator_name: trigger.creator_name.to_string(),
            url: None,
        };
        match &trigger.target {
            TriggerTarget::Workload(workload) => Self {
                app_type: workload.kind.as_str(),
                application: workload.application.to_string(),
                cluster_id: workload.cluster_id.to_string(),
                cluster_name: workload.cluster_name.to_string(),
                cluster_ns: workload.namespace.to_string(),
                container: workload.container.to_string(),
                ..act
            },
            TriggerTarget::Webhook { url, .. } => Self { action: WEBHOOK, url: Some(url.to_string()), ..act },
        }
    }
}

impl TriggerDelivery {
    fn new(delivery: Delivery) -> Self {
        let (state, due_at) = match delivery.state {
            DeliveryState::Waiting(due) => ("waiting", Some(Time(due))),
            DeliveryState::Delivered => ("delivered", None),
            DeliveryState::Dead => ("dead", None),
        };
        Self {
            id: delivery.id.as_str().to_owned(),
            tag: delivery.tag.to_string(),
            digest: delivery.digest.to_string(),
            created_at: Time(delivery.at),
            state,
            due_at,
            attempts: delivery.attempts,
            tried_at: delivery.tried.map(Time),
            detail: delivery.detail.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_of_the_web_without_anything_secret_in_it() {
        for url in [
            "https://hooks.example/registry?a=b",
            "http://127.0.0.1:8080",
            "https://[2001:db8::1]/x",
            "HTTPS://hooks.example",
        ] {
            assert!(is_address(url), "{url}");
        }
        let long = format!("https://hooks.example/{}", "x".repeat(URL_BYTES_MAX));
        for url in [
            "",
            "hooks.example",
            "/registry",
            "https://",
            "https:///registry",
            "ftp://hooks.example",
            "file:///etc/passwd",
            "https://ada:sesame@hooks.example",
            "https://hooks.example/a b",
            "https://hooks.example/\n",
            &long,
        ] {
            assert!(!is_address(url), "{url}");
        }
    }

    #[test]
    fn a_secret_is_neither_short_nor_endless_and_is_what_it_says() {
        for secret in ["0123456789abcdef", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", &"x".repeat(256)] {
            assert!(signs(secret), "{secret}");
        }
        for secret in ["", "0123456789abcde", "whsec_0123456789%", &"x".repeat(257)] {
            assert!(!signs(secret), "{secret}");
        }
    }

    #[test]
    fn no_secret_is_kept_of_a_trigger_that_was_to_be() {
        let body = r#"{"name":"t","action":"webhook","trigger_type":"all","condition":".*","enable":"true",
            "url":"https://hooks.example","secret":"0123456789abcdef"}"#;
        let new: NewTrigger = serde_json::from_str(body).unwrap();
        assert_eq!(new.webhook().unwrap().1, Secret::new("0123456789abcdef"));
        let kept = serde_json::to_string(&new).unwrap();
        assert!(kept.contains("hooks.example") && !kept.contains("0123456789abcdef"), "{kept}");
    }
}
