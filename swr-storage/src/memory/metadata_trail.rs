//! The trail in memory: what commits leave in it, and the questions asked of it.

use chrono::{DateTime, Utc};

use swr_core::caller::{Actor, Caller, Origin, Task};
use swr_core::commit::RightsVersion;
use swr_core::control::identity::{AccountId, User, UserId};
use swr_core::control::trace::{Outcome, Trace, TraceId, TraceQuery, Traced, TracedOperation};
use swr_core::event::Event;

use super::manifest_commit::Changing;
use super::manifests::most;
use super::metadata::Metadata;

impl Changing<'_> {
    /// Of a commit of content that is kept: its traces, and the loss of rights that went with a repository.
    pub(super) fn leave_traces_of_events(&mut self) {
        let metadata = &mut self.tables.metadata;
        for recorded in &self.events {
            if recorded.event == Event::RepositoryRemoved {
                metadata.move_rights();
            }
            let Some(traced) = Traced::of_event(&recorded.repository, &recorded.event) else { continue };
            let account = match (&self.user, &self.actor) {
                (Some(user), _) => Some(user.account.clone()),
                (None, Actor::Caretaker(Task::Aging)) => {
                    metadata.organisation_of(&recorded.repository).map(|owned| owned.account.clone())
                }
                (None, _) => None,
            };
            if let Some(account) = account {
                let left = Left { user: self.user.as_ref(), origin: &self.origin, at: self.at };
                metadata.record(account, left, Outcome::done(traced.operation), traced);
            }
        }
    }
}

/// Who left a trace, where and when.
pub(super) struct Left<'a> {
    pub(super) user: Option<&'a User>,
    pub(super) origin: &'a Origin,
    pub(super) at: DateTime<Utc>,
}

impl Metadata {
    /// The user who acts, if it is one that there is.
    pub(super) fn user_of(&self, actor: &Actor) -> Option<&User> {
        match actor {
            Actor::Caller(Caller::User(identity)) => self.users.get(&UserId::parse(identity.name()).ok()?),
            Actor::Caller(Caller::Anonymous) | Actor::Caretaker(_) => None,
        }
    }

    pub(super) fn move_rights(&mut self) {
        self.rights = RightsVersion(self.rights.0 + 1);
    }

    pub(super) fn record(&mut self, account: AccountId, left: Left<'_>, outcome: Outcome, traced: Traced) {
        let Some(account) = self.accounts.get(&account) else { return };
        self.last_trace += 1;
        let trace = Trace {
            seq: self.last_trace,
            id: TraceId::random(),
            traced,
            outcome,
            account: account.id.clone(),
            account_name: account.name.clone(),
            project: account.project.clone(),
            user: left.user.map(|user| (user.id.clone(), user.name.clone())),
            origin: left.origin.clone(),
            at: left.at,
        };
        self.traces.insert(trace.seq, trace);
    }

    pub(super) fn record_operations(&mut self, operations: &[TracedOperation]) {
        for TracedOperation { traced, outcome, user, origin, at } in operations {
            let Some(user) = self.users.get(user).cloned() else { continue };
            let left = Left { user: Some(&user), origin, at: *at };
            self.record(user.account.clone(), left, outcome.clone(), traced.clone());
        }
    }

    pub(super) fn traces(&self, query: &TraceQuery) -> Vec<Trace> {
        let newest_first = self.traces.values().rev().filter(|trace| trace.account == query.account);
        let mut is_shown = query.before.is_none();
        newest_first
            .filter(|trace| {
                let was_shown = is_shown;
                is_shown |= query.before.as_ref() == Some(&trace.id);
                was_shown
            })
            .filter(|trace| fits(trace, query))
            .take(most(query.limit))
            .cloned()
            .collect()
    }
}

/// Whether the trace is one of those that are wanted, its place and its account apart.
fn fits(trace: &Trace, query: &TraceQuery) -> bool {
    let Trace { id, traced, user, at, .. } = trace;
    let (user, user_name) = user.as_ref().map(|(id, name)| (id, name.as_str())).unzip();
    query.id.as_ref().is_none_or(|wanted| id == wanted)
        && query.user.as_ref().is_none_or(|wanted| user == Some(wanted))
        && query.user_name.as_deref().is_none_or(|wanted| user_name == Some(wanted))
        && query.operation.is_none_or(|wanted| traced.operation == wanted)
        && query.resource_type.as_deref().is_none_or(|wanted| traced.operation.resource_type() == wanted)
        && query.resource_id.as_ref().is_none_or(|wanted| traced.resource_id == *wanted)
        && query.resource_name.as_ref().is_none_or(|wanted| traced.resource_name == *wanted)
        && query.rating.is_none_or(|wanted| trace.outcome.rating() == wanted)
        && query.channel.is_none_or(|wanted| trace.origin.channel == wanted)
        && query.after.is_none_or(|after| *at > after)
        && query.until.is_none_or(|until| *at <= until)
}
