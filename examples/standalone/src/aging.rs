//! `swr aging`: which versions of a repository go by themselves.

use std::num::NonZeroU32;

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};
use swr_core::Tag;
use swr_policy::aging::{AgeDays, NewestCount};
use swr_policy::{Pattern, PatternSyntax};

use crate::management::{Management, Manager, Repository, filtered_page, page};
use crate::output::{text, yes_or_no};

/// Looks after the aging rule of a repository: which versions go by themselves.
#[derive(Args, Debug)]
pub(crate) struct AgingCommand {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Shows the rule
    Show {
        #[command(flatten)]
        repository: Repository,
        #[command(flatten)]
        manager: Manager,
    },
    /// Sets the rule, or gives the one that is set other values; one by age becomes none by number, nor the reverse
    #[command(mut_group("Limit", |limit| limit.required(true)))]
    Set {
        #[command(flatten)]
        repository: Repository,
        #[command(flatten)]
        rule: NewRule,
        #[command(flatten)]
        manager: Manager,
    },
    /// Says of each version whether it would go now, and why: by the rule that is set, or by another one
    Plan {
        #[command(flatten)]
        repository: Repository,
        #[command(flatten)]
        rule: NewRule,
        #[command(flatten)]
        manager: Manager,
    },
    /// Removes the rule: nothing goes by itself any more
    Remove {
        #[command(flatten)]
        repository: Repository,
        #[command(flatten)]
        manager: Manager,
    },
    /// Lists what has gone, the last first
    Log {
        #[command(flatten)]
        repository: Repository,
        #[command(flatten)]
        manager: Manager,
    },
}

/// A rule.
#[derive(Args, Debug)]
struct NewRule {
    #[command(flatten)]
    limit: Limit,
    /// The version of this tag stays, and is not counted; may be repeated
    #[arg(long, value_name = "TAG", value_parser = Tag::parse, requires = "Limit")]
    keep: Vec<Tag>,
    /// So do those whose tags match: a glob or a regular expression, `glob:` or `regex:` in front; may be repeated
    #[arg(long, value_name = "PATTERN", value_parser = Pattern::parse, requires = "Limit")]
    keep_matching: Vec<Pattern>,
    /// The rule is for the version of this tag, and for no others than those that are named so; may be repeated
    #[arg(long, value_name = "TAG", value_parser = Tag::parse, requires = "Limit")]
    only: Vec<Tag>,
    /// Or for those whose tags match; may be repeated
    #[arg(long, value_name = "PATTERN", value_parser = Pattern::parse, requires = "Limit")]
    only_matching: Vec<Pattern>,
    /// Age and order go by the last pull as well, where that was later than the last update
    #[arg(long, requires = "Limit")]
    last_used: bool,
    /// So many of the newest stay in any case
    #[arg(long, value_name = "N", requires = "Limit")]
    keep_at_least: Option<u32>,
    /// No more than so many go in one run, the oldest first
    #[arg(long, value_name = "N", requires = "Limit")]
    removals_max: Option<NonZeroU32>,
}

#[derive(Args, Debug)]
#[group(multiple = false)]
struct Limit {
    /// What is older than so many days goes: 1 to 365
    #[arg(long, value_name = "N", value_parser = days)]
    days: Option<AgeDays>,
    /// All but so many of the newest go: 1 to 1000
    #[arg(long, value_name = "N", value_parser = newest)]
    newest: Option<NewestCount>,
}

fn days(text: &str) -> Result<AgeDays, String> {
    let days = text.parse().map_err(|_| "it is a number".to_owned())?;
    AgeDays::new(days).map_err(|error| error.to_string())
}

fn newest(text: &str) -> Result<NewestCount, String> {
    let count = text.parse().map_err(|_| "it is a number".to_owned())?;
    NewestCount::new(count).map_err(|error| error.to_string())
}

impl NewRule {
    /// The rule as the protocol writes it; `None` where none is said.
    fn document(&self) -> Option<Value> {
        let (template, params) = match &self.limit {
            Limit { days: Some(days), .. } => ("date_rule", json!({ "days": days.get().to_string() })),
            Limit { newest: Some(count), .. } => ("tag_rule", json!({ "num": count.get().to_string() })),
            Limit { days: None, newest: None } => return None,
        };
        let rule = json!({
            "template": template,
            "params": params,
            "tag_selectors": selectors(&self.keep, &self.keep_matching),
            "only": selectors(&self.only, &self.only_matching),
            "measure": if self.last_used { "last_used" } else { "updated" },
            "keep_at_least": self.keep_at_least.unwrap_or(0),
            "removals_max": self.removals_max.map_or(0, NonZeroU32::get),
        });
        Some(json!({ "algorithm": "or", "rules": [rule] }))
    }
}

/// Versions by their tags, as the protocol chooses them.
fn selectors(tags: &[Tag], patterns: &[Pattern]) -> Vec<Value> {
    let tags = tags.iter().map(|tag| json!({ "kind": "label", "pattern": tag.as_str() }));
    let patterns = patterns.iter().map(|pattern| {
        let in_front = if pattern.syntax() == PatternSyntax::Glob { "glob:" } else { "" };
        json!({ "kind": "regexp", "pattern": format!("{in_front}{}", pattern.as_str()) })
    });
    tags.chain(patterns).collect()
}

impl AgingCommand {
    /// The error is one line.
    pub(crate) async fn run(self) -> Result<(), String> {
        match self.task {
            Task::Show { repository, manager } => {
                manager.show(set(&*manager.open().await?, &repository).await?, rule)
            }
            Task::Set { repository, rule, manager } => {
                let registry = manager.open().await?;
                let document = rule.document();
                let (method, path) = match find(&*registry, &repository).await? {
                    Some(before) if template(&before) != document.as_ref().and_then(template) => {
                        return Err(format!(
                            "{} has an aging rule of the other kind; remove it with `swr aging remove` first",
                            repository.name
                        ));
                    }
                    Some(before) => (Method::PATCH, rule_path(&repository, &before)),
                    None => (Method::POST, rules_path(&repository)),
                };
                registry.done(method, &path, document).await
            }
            Task::Plan { repository, rule, manager } => {
                let registry = manager.open().await?;
                let rule = match rule.document() {
                    Some(rule) => rule,
                    None => {
                        let set = set(&*registry, &repository).await?;
                        json!({ "algorithm": set["algorithm"], "rules": set["rules"] })
                    }
                };
                let path = format!("{}/plan", rules_path(&repository));
                let versions = registry.all(Method::POST, &path, "versions", page, Some(rule)).await?;
                manager.list(versions, planned)
            }
            Task::Remove { repository, manager } => {
                let registry = manager.open().await?;
                let rule = set(&*registry, &repository).await?;
                registry.done(Method::DELETE, &rule_path(&repository, &rule), None).await
            }
            Task::Log { repository, manager } => {
                let path = format!("{}/histories", rules_path(&repository));
                let registry = manager.open().await?;
                let cleared = registry.all(Method::GET, &path, "retention_log", filtered_page, None).await?;
                manager.list(cleared, gone)
            }
        }
    }
}

fn rules_path(repository: &Repository) -> String {
    format!("{}/retentions", repository.path())
}

fn rule_path(repository: &Repository, rule: &Value) -> String {
    format!("{}/{}", rules_path(repository), rule["id"])
}

/// The rule that is set, if one is.
async fn find(registry: &dyn Management, repository: &Repository) -> Result<Option<Value>, String> {
    Ok(registry.list(&rules_path(repository), "", "").await?.into_iter().next())
}

/// The rule that is set.
async fn set(registry: &dyn Management, repository: &Repository) -> Result<Value, String> {
    find(registry, repository).await?.ok_or_else(|| {
        format!("{} has no aging rule; `swr aging set` sets one, with --days or --newest", repository.name)
    })
}

/// Of which kind a rule is.
fn template(rule: &Value) -> Option<&str> {
    rule["rules"][0]["template"].as_str()
}

fn rule(rule: &Value) -> Vec<(&'static str, String)> {
    let body = &rule["rules"][0];
    let removed = match template(rule) {
        Some("date_rule") => format!("what is older than {} days", text(&body["params"]["days"])),
        _ => format!("all but the newest {}", text(&body["params"]["num"])),
    };
    let chosen = |list: &str, what| {
        let selectors = body[list].as_array().into_iter().flatten();
        selectors.map(|selector| (what, text(&selector["pattern"]))).collect::<Vec<_>>()
    };
    let said = |setting: &str, words: fn(String) -> String| {
        let value = &body[setting];
        (!value.is_null()).then(|| words(text(value)))
    };
    let at_least = said("keep_at_least", |number| format!("the newest {number} in any case"));
    let measure = said("measure", |_| "the last update or pull".to_owned());
    let most = said("removals_max", |number| format!("at most {number}, the oldest first"));
    let mut fields = vec![("goes", removed)];
    fields.extend(chosen("only", "of"));
    fields.extend(chosen("tag_selectors", "stays"));
    fields.extend(at_least.map(|words| ("stays", words)));
    fields.extend(measure.map(|words| ("by", words)));
    fields.extend(most.map(|words| ("in one run", words)));
    fields
}

fn planned(version: &Value) -> Vec<(&'static str, String)> {
    vec![
        ("tag", text(&version["tag"])),
        ("updated", text(&version["updated_at"])),
        ("goes", yes_or_no(version["removed"] == true)),
        ("why", text(&version["explanation"])),
    ]
}

fn gone(version: &Value) -> Vec<(&'static str, String)> {
    vec![
        ("gone", text(&version["created_at"])),
        ("tag", text(&version["tag"])),
        ("rule", text(&version["rule_type"])),
    ]
}
