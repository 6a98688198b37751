//! `swr trigger`: what is done when a version appears or changes.

use clap::{ArgGroup, Args, Subcommand};
use http::Method;
use serde_json::{Value, json};
use swr_core::control::trigger::WorkloadKind;
use swr_core::{Tag, TriggerName};
use swr_policy::Pattern;

use crate::input;
use crate::management::{Manager, Repository};
use crate::output::{text, yes_or_no};

/// The longest secret of a webhook, in bytes.
const SECRET_BYTES_MAX: usize = 256;

/// Looks after the triggers of a repository: what is done when a version appears or changes.
#[derive(Args, Debug)]
pub(crate) struct TriggerCommand {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Adds a trigger that tells an address, or sets the image of a workload
    #[command(group(ArgGroup::new("target").required(true).args(["webhook", "cluster"])))]
    Create {
        #[command(flatten)]
        trigger: Trigger,
        /// Which versions fire it: all, tag=TAG or matching=PATTERN
        #[arg(long, value_name = "WHICH", default_value = "all", value_parser = on)]
        on: On,
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        manager: Manager,
    },
    /// Lists the triggers of a repository
    List {
        #[command(flatten)]
        repository: Repository,
        #[command(flatten)]
        manager: Manager,
    },
    /// Shows a trigger
    Show {
        #[command(flatten)]
        trigger: Trigger,
        #[command(flatten)]
        manager: Manager,
    },
    /// Lets a trigger fire again
    Enable {
        #[command(flatten)]
        trigger: Trigger,
        #[command(flatten)]
        manager: Manager,
    },
    /// Lets a trigger fire no more
    Disable {
        #[command(flatten)]
        trigger: Trigger,
        #[command(flatten)]
        manager: Manager,
    },
    /// Removes a trigger with what it has not delivered yet
    Remove {
        #[command(flatten)]
        trigger: Trigger,
        #[command(flatten)]
        manager: Manager,
    },
    /// Lists the versions that have fired a trigger, the last first, and what became of each; at most 1000
    Deliveries {
        #[command(flatten)]
        trigger: Trigger,
        #[command(flatten)]
        manager: Manager,
    },
    /// Tries again what a trigger has given up
    Replay {
        #[command(flatten)]
        trigger: Trigger,
        /// The id of the delivery
        #[arg(value_name = "DELIVERY_ID", value_parser = delivery)]
        delivery: String,
        #[command(flatten)]
        manager: Manager,
    },
}

/// A trigger, by its names.
#[derive(Args, Debug)]
struct Trigger {
    #[command(flatten)]
    repository: Repository,
    /// What the trigger is called
    #[arg(value_name = "NAME", value_parser = TriggerName::parse)]
    name: TriggerName,
}

/// What a trigger does.
#[derive(Args, Debug)]
#[group(skip)]
struct Target {
    /// Tells this address, in messages that are signed
    #[arg(long, value_name = "URL", requires = "secret_stdin")]
    webhook: Option<String>,
    /// Reads what messages are signed with from standard input: 16 to 256 bytes
    #[arg(long, requires = "webhook")]
    secret_stdin: bool,
    /// Sets the image of a workload in this cluster of the configuration
    #[arg(long, value_name = "ID", requires_all = ["namespace", "workload"])]
    cluster: Option<String>,
    /// The namespace of the workload
    #[arg(long, value_name = "NAME", requires = "cluster")]
    namespace: Option<String>,
    /// The workload: deployments, statefulsets, daemonsets or cronjobs, and its name
    #[arg(long, value_name = "KIND/NAME", value_parser = workload, requires = "cluster")]
    workload: Option<Workload>,
    /// The container [default: all that use the image]
    #[arg(long, value_name = "NAME", requires = "cluster")]
    container: Option<String>,
}

#[derive(Clone, Debug)]
struct Workload {
    kind: WorkloadKind,
    name: String,
}

/// Which versions fire a trigger, as the protocol says it.
#[derive(Clone, Debug)]
struct On {
    kind: &'static str,
    condition: String,
}

fn on(text: &str) -> Result<On, String> {
    match text.split_once('=') {
        None if text == "all" => Ok(On { kind: "all", condition: ".*".to_owned() }),
        Some(("tag", tag)) => {
            let tag = Tag::parse(tag).map_err(|error| error.to_string())?;
            Ok(On { kind: "tag", condition: tag.to_string() })
        }
        Some(("matching", pattern)) => {
            let pattern = Pattern::parse(pattern).map_err(|error| error.to_string())?;
            Ok(On { kind: "regular", condition: pattern.to_string() })
        }
        _ => Err("it is `all`, `tag=TAG` or `matching=PATTERN`".to_owned()),
    }
}

fn workload(text: &str) -> Result<Workload, String> {
    let named = text.split_once('/').and_then(|(kind, name)| Some((WorkloadKind::parse(kind)?, name)));
    let (kind, name) =
        named.ok_or("it is `deployments`, `statefulsets`, `daemonsets` or `cronjobs`, `/` and a name")?;
    Ok(Workload { kind, name: name.to_owned() })
}

/// Ids are of letters, digits and `-`: what an address would have to hide is in none.
fn delivery(text: &str) -> Result<String, String> {
    let is_id = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    is_id.then(|| text.to_owned()).ok_or_else(|| "it is no id that `swr trigger deliveries` lists".to_owned())
}

impl Target {
    /// What the protocol says of it.
    fn document(self) -> Result<Value, String> {
        if let Some(url) = self.webhook {
            let secret = input::secret("--secret-stdin", SECRET_BYTES_MAX)?;
            return Ok(json!({ "action": "webhook", "url": url, "secret": secret.expose() }));
        }
        Ok(json!({
            "action": "update",
            "cluster_id": self.cluster,
            "cluster_ns": self.namespace,
            "app_type": self.workload.as_ref().map(|workload| workload.kind.as_str()),
            "application": self.workload.map(|workload| workload.name),
            "container": self.container.unwrap_or_default(),
        }))
    }
}

impl Trigger {
    fn path(&self) -> String {
        format!("{}/{}", triggers_path(&self.repository), self.name)
    }

    async fn enable(&self, manager: &Manager, enable: &str) -> Result<(), String> {
        let change = json!({ "enable": enable });
        manager.open().await?.done(Method::PATCH, &self.path(), Some(change)).await
    }
}

fn triggers_path(repository: &Repository) -> String {
    format!("{}/triggers", repository.path())
}

impl TriggerCommand {
    /// The error is one line.
    pub(crate) async fn run(self) -> Result<(), String> {
        match self.task {
            Task::Create { trigger, on, target, manager } => {
                let mut document = target.document()?;
                document["name"] = trigger.name.as_str().into();
                document["trigger_type"] = on.kind.into();
                document["condition"] = on.condition.into();
                document["enable"] = "true".into();
                let path = triggers_path(&trigger.repository);
                manager.open().await?.done(Method::POST, &path, Some(document)).await
            }
            Task::List { repository, manager } => {
                manager.list(manager.open().await?.list(&triggers_path(&repository), "", "").await?, shown)
            }
            Task::Show { trigger, manager } => {
                let found = manager.open().await?.get(&trigger.path(), "").await?;
                manager.show(found, shown)
            }
            Task::Enable { trigger, manager } => trigger.enable(&manager, "true").await,
            Task::Disable { trigger, manager } => trigger.enable(&manager, "false").await,
            Task::Remove { trigger, manager } => {
                manager.open().await?.done(Method::DELETE, &trigger.path(), None).await
            }
            Task::Deliveries { trigger, manager } => {
                let path = format!("{}/deliveries", trigger.path());
                manager.list(manager.open().await?.list(&path, "limit=1000", "").await?, delivered)
            }
            Task::Replay { trigger, delivery, manager } => {
                let path = format!("{}/deliveries/{delivery}/replay", trigger.path());
                manager.open().await?.done(Method::POST, &path, None).await
            }
        }
    }
}

fn shown(trigger: &Value) -> Vec<(&'static str, String)> {
    let part = |name: &str| text(&trigger[name]);
    let on = match trigger["trigger_type"].as_str() {
        Some("tag") => format!("tag={}", part("condition")),
        Some("regular") => format!("matching={}", part("condition")),
        _ => "all".to_owned(),
    };
    let target = match trigger["action"].as_str() {
        Some("webhook") => part("url"),
        _ => {
            let of_cluster = ["cluster_id", "cluster_ns", "app_type", "application", "container"].map(part);
            of_cluster.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
        }
    };
    vec![
        ("trigger", part("name")),
        ("enabled", yes_or_no(trigger["enable"] == "true")),
        ("on", on),
        ("creator", part("creator_name")),
        ("created", part("created_at")),
        ("target", target),
    ]
}

fn delivered(delivery: &Value) -> Vec<(&'static str, String)> {
    let part = |name: &str| text(&delivery[name]);
    vec![
        ("delivery", part("id")),
        ("tag", part("tag")),
        ("state", part("state")),
        ("attempts", part("attempts")),
        ("created", part("created_at")),
        ("detail", part("detail")),
    ]
}
