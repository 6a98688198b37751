//! Triggers: what happens when a version appears or changes, and what has happened.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use swr_policy::{RepositoryName, Tag, TriggerName};

pub use swr_policy::{Pattern, TriggerCondition, TriggerRule};

use super::credential::Sealed;
use super::identity::{UserId, UserName};
use super::uuid_text::uuid_text;
use crate::digest::{Algorithm, Digest};
use crate::event::EventSeq;

/// A trigger's identity: given by the store, never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
#[expect(clippy::exhaustive_structs, reason = "backends mint it")]
pub struct TriggerId(pub i64);

/// A trigger of a repository, as it is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "whoever makes one builds it")]
pub struct Trigger {
    /// The repository whose versions fire it.
    pub repository: RepositoryName,
    /// Its name, unique in the repository.
    pub name: TriggerName,
    /// Which versions fire it, and whether any do.
    pub rule: TriggerRule,
    /// What it does.
    pub target: TriggerTarget,
    /// Who made it. It may be gone by now.
    pub creator: UserId,
    /// The creator's name at that time.
    pub creator_name: UserName,
    /// When it was made: versions from before do not fire it.
    pub created: DateTime<Utc>,
}

/// What a trigger does with the version that fired it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "whoever acts must answer for every one")]
pub enum TriggerTarget {
    /// Sets the image of a container to the version.
    Workload(Workload),
    /// Tells an address of it.
    Webhook {
        /// The address.
        url: Box<str>,
        /// What the messages are signed with. `None` only in a record that is shown.
        #[serde(skip)]
        secret: Option<Sealed>,
    },
}

/// A container of an application in a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "whoever makes a trigger builds it")]
pub struct Workload {
    /// How the cluster is reached: `cce` or `cci`, as its owner says.
    pub mode: Box<str>,
    /// The cluster, as the host has configured it.
    pub cluster_id: Box<str>,
    /// What the cluster is called.
    pub cluster_name: Box<str>,
    /// The namespace in the cluster.
    pub namespace: Box<str>,
    /// The kind of workload.
    pub kind: WorkloadKind,
    /// The workload.
    pub application: Box<str>,
    /// The container; empty for all that use the image.
    pub container: Box<str>,
}

/// The kinds of workload whose image can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(clippy::exhaustive_enums, reason = "whoever acts must answer for every one")]
#[expect(missing_docs, reason = "the names say it")]
pub enum WorkloadKind {
    Deployments,
    StatefulSets,
    DaemonSets,
    CronJobs,
}

impl WorkloadKind {
    /// Its name on the wire: that of its resource in the cluster's protocol.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deployments => "deployments",
            Self::StatefulSets => "statefulsets",
            Self::DaemonSets => "daemonsets",
            Self::CronJobs => "cronjobs",
        }
    }

    /// The kind of this name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Deployments, Self::StatefulSets, Self::DaemonSets, Self::CronJobs]
            .into_iter()
            .find(|kind| kind.as_str() == text)
    }
}

impl TriggerTarget {
    /// What messages are signed with, where they are.
    pub fn secret(&self) -> Option<&Sealed> {
        match self {
            Self::Webhook { secret, .. } => secret.as_ref(),
            Self::Workload(_) => None,
        }
    }

    /// What is served one delivery at a time, in order: deliveries to the same address or application. At most 512
    /// bytes, so that it fits into any index: the hash stands for what is longer.
    pub fn key(&self) -> String {
        const KEY_BYTES_MAX: usize = 512;
        let key = match self {
            Self::Workload(workload) => format!(
                "{}/{}/{}/{}",
                workload.cluster_id,
                workload.namespace,
                workload.kind.as_str(),
                workload.application
            ),
            Self::Webhook { url, .. } => url.to_string(),
        };
        if key.len() <= KEY_BYTES_MAX { key } else { Algorithm::Sha256.digest(key.as_bytes()).to_string() }
    }
}

/// A trigger that was fired by a version, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct Delivery {
    /// Its id: what its receiver tells repetitions by.
    pub id: DeliveryId,
    /// The trigger.
    pub trigger: TriggerId,
    /// The event that fired it; none fires a trigger twice.
    pub event: EventSeq,
    /// The version.
    pub tag: Tag,
    /// Where it pointed.
    pub digest: Digest,
    /// When the version appeared or changed.
    pub at: DateTime<Utc>,
    /// How far it has come.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was tried last.
    pub tried: Option<DateTime<Utc>>,
    /// What the last try came to, in words.
    pub detail: Box<str>,
}

/// How far a delivery has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "a delivery waits or is settled")]
pub enum DeliveryState {
    /// It will be tried, not before this time.
    Waiting(DateTime<Utc>),
    /// It was done.
    Delivered,
    /// It was given up; it can be revived.
    Dead,
}

uuid_text! {
    /// The id of a delivery: a UUID in lowercase with dashes.
    DeliveryId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_a_target_fits_into_an_index_and_is_no_others() {
        let key = |length: usize| {
            let url = format!("https://hook.example/{}", "a".repeat(length));
            (TriggerTarget::Webhook { url: url.clone().into(), secret: None }.key(), url)
        };
        let (short, url) = key(491);
        assert_eq!((short.len(), &short), (512, &url));
        let ((long, _), (longer, _)) = (key(492), key(493));
        assert!(long.len() <= 512 && longer.len() <= 512 && long != longer);
    }
}
