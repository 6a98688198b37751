//! Requirements, changes and events, in one transaction.

use chrono::{DateTime, Utc};
use futures_util::future::{try_join, try_join_all};

use swr_core::caller::{Actor, Caller, Origin, Task};
use swr_core::commit::{
    BlobLocation, Change, Commit, Grounds, Receipt, RepositoryId, Require, RightsVersion, StoredBlob,
};
use swr_core::digest::Digest;
use swr_core::event::{Before, Event, EventSeq, RecordedEvent};
use swr_core::manifest::{ManifestRecord, ManifestReference, ReferenceKind};
use swr_core::{RepositoryName, Tag};

use super::collection::list_garbage;
use super::columns::Sql;
use super::connections::{Failure, Locks, Params, Pool, Session, Transaction, WriteError, all};
use super::event_log::{NewEntries, NewEvent};
use super::manifest_reads::{column, first};

/// Applies the commit. One that fails is undone when its transaction is dropped.
pub(super) async fn commit(pool: &Pool, commit: &Commit) -> Result<Receipt, WriteError> {
    let Commit { repository, actor, origin, at, requires, changes } = commit;
    let transaction = pool.begin(&locks(pool, commit)).await?;
    let recorded = Recorded::of(&transaction, actor, origin).await?;
    let mut changing = Changing::begin(&transaction, repository, &recorded, *at).await?;
    let held = try_join_all(requires.iter().map(|require| changing.holds(require))).await?;
    let unmet: Vec<_> =
        requires.iter().zip(held).filter(|(_, holds)| !holds).map(|(require, _)| require.clone()).collect();
    if !unmet.is_empty() {
        return Err(WriteError::Unmet(unmet));
    }
    for change in changes {
        changing.apply(change).await?;
    }
    let mut events = changing.end().await?;
    let mut entries = NewEntries::default();
    recorded.tell(&transaction, &mut entries, &events).await?;
    let newest = transaction.end(&entries).await?;
    number(&mut events, newest);
    Ok(Receipt { events })
}

/// What the commit rests on and what it changes. Removing a repository moves rights.
fn locks(pool: &Pool, Commit { repository, requires, changes, .. }: &Commit) -> Locks {
    let removes = changes.iter().any(|change| matches!(change, Change::RemoveRepository));
    let mut locks =
        if removes { Locks::alone(pool) } else { Locks::beside_others(pool) }.repository(repository);
    for require in requires {
        if let Require::BlobLinkedIn { repository, digest: _ } = require {
            locks = locks.shared_repository(repository);
        }
    }
    for change in changes {
        match change {
            Change::LinkStored(StoredBlob { digest, .. })
            | Change::LinkExisting(digest)
            | Change::UnlinkBlob(digest) => locks = locks.digest(digest),
            Change::CreateRepository
            | Change::RemoveRepository
            | Change::PutManifest(_)
            | Change::KeepManifest(_)
            | Change::RemoveManifest(_)
            | Change::SetTag { .. }
            | Change::RemoveTag(_) => {}
        }
    }
    locks
}

/// The places of events that have just been added, of which the last has this one.
pub(super) fn number(events: &mut [RecordedEvent], newest: EventSeq) {
    for (event, back) in events.iter_mut().rev().zip(0..) {
        event.seq = EventSeq(newest.0.saturating_sub(back));
    }
}

/// Who and where from, as the log keeps it.
pub(super) struct Recorded<'a> {
    pub(super) actor: &'a Actor,
    origin: &'a Origin,
    actor_json: String,
    pub(super) origin_json: String,
    /// The user who acts, as it is before anything changes; none for a stranger, for a caller that is no user here, and
    /// when nobody does.
    pub(super) user: Option<ActingUser>,
}

/// The user who acts.
pub(super) struct ActingUser {
    pub(super) id: String,
    pub(super) name: String,
    #[cfg(feature = "control")]
    pub(super) account: String,
}

const ACTING_USER: &str = "SELECT id, name, account FROM users WHERE id = $1";

impl<'a> Recorded<'a> {
    pub(super) async fn of(
        session: &Session,
        actor: &'a Actor,
        origin: &'a Origin,
    ) -> Result<Self, WriteError> {
        let (actor_json, origin_json) = (serde_json::to_string(actor)?, serde_json::to_string(origin)?);
        let user = match actor {
            Actor::Caller(Caller::User(identity)) => acting_user(session, identity.name()).await?,
            Actor::Caller(Caller::Anonymous) | Actor::Caretaker(_) => None,
        };
        Ok(Self { actor, origin, actor_json, origin_json, user })
    }

    /// Has the log tell of the events when the transaction ends.
    pub(super) async fn tell(
        &self,
        #[cfg_attr(not(feature = "control"), expect(unused_variables, reason = "traces are asked for"))]
        session: &Session,
        entries: &mut NewEntries,
        events: &[RecordedEvent],
    ) -> Result<(), WriteError> {
        self.add(entries, events)?;
        #[cfg(feature = "control")]
        super::traces::leave_of_events(session, self, entries, events).await?;
        Ok(())
    }

    /// The events alone.
    pub(super) fn add(&self, entries: &mut NewEntries, events: &[RecordedEvent]) -> Result<(), WriteError> {
        for RecordedEvent { repository, at, event, .. } in events {
            entries.events.push(NewEvent {
                repository: repository.as_str().to_owned(),
                at: *at,
                actor: self.actor_json.clone(),
                origin: self.origin_json.clone(),
                event: serde_json::to_string(event)?,
            });
        }
        Ok(())
    }
}

pub(super) async fn acting_user(session: &Session, id: &str) -> Result<Option<ActingUser>, Failure> {
    let Some(row) = session.query_opt(ACTING_USER, &[&Sql(id)]).await? else { return Ok(None) };
    Ok(Some(ActingUser {
        id: row.try_get::<_, Sql<_>>(0)?.0,
        name: row.try_get::<_, Sql<_>>(1)?.0,
        #[cfg(feature = "control")]
        account: row.try_get::<_, Sql<_>>(2)?.0,
    }))
}

const RIGHTS: &str = "SELECT version FROM rights";

/// How often rights have changed.
pub(super) async fn rights(session: &Session) -> Result<RightsVersion, Failure> {
    Ok(first(session.query_opt(RIGHTS, &[]).await?)?.unwrap_or_default())
}

const MOVE_RIGHTS: &str = "UPDATE rights SET version = version + 1";

/// What somebody may do can be another thing from here on. Under the control lock alone.
pub(super) async fn move_rights(session: &Session) -> Result<(), Failure> {
    session.execute(MOVE_RIGHTS, &[]).await.map(drop)
}

/// One repository, being changed.
pub(super) struct Changing<'a> {
    transaction: &'a Transaction<'a>,
    name: &'a RepositoryName,
    /// None while the name leads nowhere.
    repository: Option<Repository>,
    recorded: &'a Recorded<'a>,
    at: DateTime<Utc>,
    /// Their places are given when the transaction ends.
    events: Vec<RecordedEvent>,
    /// A tag was set or removed.
    is_updated: bool,
}

#[derive(Clone, Copy)]
struct Repository {
    id: RepositoryId,
    is_listed: bool,
}

const REPOSITORY: &str = "SELECT id, listed FROM repositories WHERE name = $1";

async fn find_repository(session: &Session, name: &RepositoryName) -> Result<Option<Repository>, Failure> {
    let Some(row) = session.query_opt(REPOSITORY, &[&Sql(name)]).await? else { return Ok(None) };
    Ok(Some(Repository { id: row.try_get::<_, Sql<_>>(0)?.0, is_listed: row.try_get(1)? }))
}

// What is there.

const LINKED: &str = "
    SELECT 1 FROM links JOIN blobs ON blobs.digest = links.digest
    WHERE links.repository = $1 AND links.digest = $2 AND NOT blobs.quarantined";

const LINKED_ELSEWHERE: &str = "
    SELECT 1 FROM repositories
    JOIN links ON links.repository = repositories.id
    JOIN blobs ON blobs.digest = links.digest
    WHERE repositories.name = $1 AND links.digest = $2 AND NOT blobs.quarantined";

const NAMED_AS_BLOB: &str = "
    SELECT 1 FROM manifest_references WHERE repository = $1 AND digest = $2 AND kind > 0 LIMIT 1";

const MANIFEST: &str = "SELECT id FROM manifests WHERE repository = $1 AND digest = $2";

const TAGS_OF: &str = "SELECT name FROM tags WHERE manifest = $1 ORDER BY name";

const TAG: &str = "
    SELECT tags.manifest, manifests.digest, tags.updated
    FROM tags JOIN manifests ON manifests.id = tags.manifest
    WHERE tags.repository = $1 AND tags.name = $2";

struct TagState {
    manifest: i64,
    digest: Digest,
    updated: DateTime<Utc>,
}

impl<'a> Changing<'a> {
    pub(super) async fn begin(
        transaction: &'a Transaction<'a>,
        name: &'a RepositoryName,
        recorded: &'a Recorded<'a>,
        at: DateTime<Utc>,
    ) -> Result<Self, Failure> {
        let repository = find_repository(transaction, name).await?;
        Ok(Self { transaction, name, repository, recorded, at, events: Vec::new(), is_updated: false })
    }

    async fn holds(&self, require: &Require) -> Result<bool, Failure> {
        let id = self.repository.map(|repository| repository.id);
        let there = async |statement: &str, digest: &Digest| match id {
            Some(id) => self.transaction.exists(statement, &[&Sql(id), &Sql(digest)]).await,
            None => Ok(false),
        };
        Ok(match require {
            Require::Grounds(Grounds { repository, rights: of_then }) => {
                (repository.is_none() || *repository == id)
                    && match of_then {
                        Some(version) => rights(self.transaction).await? == *version,
                        None => true,
                    }
            }
            Require::BlobLinked(digest) => there(LINKED, digest).await?,
            Require::BlobUnnamed(digest) => !there(NAMED_AS_BLOB, digest).await?,
            Require::BlobLinkedIn { repository, digest } => {
                self.transaction.exists(LINKED_ELSEWHERE, &[&Sql(repository), &Sql(digest)]).await?
            }
            Require::ManifestPresent(digest) => there(MANIFEST, digest).await?,
            Require::ManifestAbsent(digest) => !there(MANIFEST, digest).await?,
            Require::TaggedOnlyBy { digest, tags } => match self.manifest(digest).await? {
                Some(manifest) => self.tags_of(manifest).await?.iter().all(|tag| tags.contains(tag)),
                None => true,
            },
            Require::TagUnsetOr { tag, digest } => {
                self.tag(tag).await?.is_none_or(|state| state.digest == *digest)
            }
            Require::TagIs { tag, digest, updated } => self.tag(tag).await?.is_some_and(|state| {
                // Columns keep microseconds.
                let is_then =
                    |then: DateTime<Utc>| then.timestamp_micros() == state.updated.timestamp_micros();
                state.digest == *digest && updated.is_none_or(is_then)
            }),
            Require::TagSet(tag) => self.tag(tag).await?.is_some(),
            Require::TagUnset(tag) => self.tag(tag).await?.is_none(),
        })
    }

    async fn manifest(&self, digest: &Digest) -> Result<Option<i64>, Failure> {
        let Some(Repository { id, .. }) = self.repository else { return Ok(None) };
        let row = self.transaction.query_opt(MANIFEST, &[&Sql(id), &Sql(digest)]).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    async fn tag(&self, tag: &Tag) -> Result<Option<TagState>, Failure> {
        let Some(Repository { id, .. }) = self.repository else { return Ok(None) };
        let Some(row) = self.transaction.query_opt(TAG, &[&Sql(id), &Sql(tag)]).await? else {
            return Ok(None);
        };
        let (Sql(digest), Sql(updated)) = (row.try_get(1)?, row.try_get(2)?);
        Ok(Some(TagState { manifest: row.try_get(0)?, digest, updated }))
    }

    async fn tags_of(&self, manifest: i64) -> Result<Vec<Tag>, Failure> {
        column(self.transaction.query(TAGS_OF, &[&manifest]).await?)
    }
}

// What changes.

const SETTLE_VACANCY: &str = "
    UPDATE repositories
    SET vacant = NOT EXISTS (SELECT 1 FROM links WHERE repository = $1)
        AND NOT EXISTS (SELECT 1 FROM manifests WHERE repository = $1)
    WHERE id = $1";

const MAKE_REPOSITORY: &str = "
    INSERT INTO repositories (name, made, listed, vacant, updated) VALUES ($1, $2, FALSE, FALSE, $2)
    RETURNING id";

/// Of a repository that was hidden, nothing has been said.
const LIST_REPOSITORY: &str = "
    UPDATE repositories
    SET made = $2, listed = TRUE, vacant = FALSE, updated = $2, creator = $3, creator_name = $4
    WHERE id = $1";

const UPDATED: &str = "UPDATE repositories SET updated = $2 WHERE id = $1 AND updated <> $2";

const REMOVE_REPOSITORY: &str =
    "UPDATE repositories SET name = NULL, listed = FALSE, vacant = FALSE WHERE id = $1";

const REMOVE_GRANTS_ON: &str = "DELETE FROM repository_grants WHERE repository = $1";

const REMOVE_SHARES_OF: &str = "DELETE FROM shares WHERE repository = $1";

/// What ran for a repository; the targets of its triggers may have something else to do from then on.
const REMOVE_RULE_OF: &str = "DELETE FROM rules WHERE repository = $1";

const REMOVE_SYNCS_OF: &str = "DELETE FROM syncs WHERE repository = $1";

const WAKE_TARGETS_OF: &str = "
    UPDATE delivery_targets SET ready = LEAST(ready, $2)
    WHERE target_key IN (SELECT target_key FROM triggers WHERE repository = $1)";

/// They go with their deliveries, later.
const REMOVE_TRIGGERS_OF: &str =
    "UPDATE triggers SET repository = NULL, enabled = FALSE, secret = NULL WHERE repository = $1";

/// By the repository's rule, if there is one.
const NOTE_CLEARED: &str = "
    INSERT INTO cleared (repository, rule_id, rule, tag, at)
    SELECT repository, id, rule, $2, $3 FROM rules WHERE repository = $1";

const RECORD_OF: &str = "SELECT location, quarantined FROM blobs WHERE digest = $1";

const IS_DISCARDED: &str = "SELECT 1 FROM garbage WHERE location = $1";

const PUT_RECORD: &str = "
    INSERT INTO blobs (digest, size, location, made) VALUES ($1, $2, $3, $4)
    ON CONFLICT (digest) DO UPDATE SET size = $2, location = $3, made = $4, quarantined = FALSE";

/// Whoever was held up on the way takes no time from those who came before.
const RENEW_LINK: &str = "
    UPDATE links SET renewed = GREATEST(renewed, $3) WHERE repository = $1 AND digest = $2";

const LINK: &str = "
    INSERT INTO links (repository, digest, renewed, named) VALUES ($1, $2, $3, EXISTS (
        SELECT 1 FROM manifest_references WHERE repository = $1 AND digest = $2 AND kind > 0))";

const RECORD_IS_LINKED: &str = "UPDATE blobs SET unlinked = FALSE WHERE digest = $1 AND unlinked";

pub(super) const UNLINK: &str = "DELETE FROM links WHERE repository = $1 AND digest = $2";

/// Under the lock of the digest, as all that is about its links.
pub(super) const RECORD_IS_UNLINKED: &str = "
    UPDATE blobs SET unlinked = TRUE
    WHERE digest = $1 AND NOT EXISTS (SELECT 1 FROM links WHERE links.digest = $1)";

impl Changing<'_> {
    pub(super) async fn apply(&mut self, change: &Change) -> Result<(), WriteError> {
        let before = match change {
            Change::CreateRepository => self.list_repository().await?,
            Change::RemoveRepository => self.remove_repository().await?,
            Change::LinkStored(stored) => {
                self.place(stored).await?;
                self.link(&stored.digest).await?
            }
            Change::LinkExisting(digest) => {
                if self.record(digest).await?.is_none_or(|(_, is_quarantined)| is_quarantined) {
                    return Err(WriteError::BytesGone(*digest));
                }
                self.link(digest).await?
            }
            Change::UnlinkBlob(digest) => self.unlink(digest).await?,
            Change::PutManifest(record) => self.put_manifest(record).await?,
            Change::KeepManifest(digest) => self.keep_manifest(digest).await?,
            Change::RemoveManifest(digest) => self.remove_manifest(digest).await?,
            Change::SetTag { tag, digest } => self.set_tag(tag, digest).await?,
            Change::RemoveTag(tag) => self.remove_tag(tag).await?,
        };
        if let Some(event) = Event::of(change, before) {
            self.events.push(RecordedEvent {
                seq: EventSeq::START,
                repository: self.name.clone(),
                actor: self.recorded.actor.clone(),
                origin: self.recorded.origin.clone(),
                at: self.at,
                event,
            });
        }
        Ok(())
    }

    /// What happened; the places in the log are still to be given.
    pub(super) async fn end(self) -> Result<Vec<RecordedEvent>, WriteError> {
        if let (true, Some(Repository { id, .. })) = (self.is_updated, self.repository) {
            self.run(UPDATED, &[&Sql(id), &Sql(self.at)]).await?;
        }
        if let Some(Repository { id, is_listed: false }) = self.repository {
            self.run(SETTLE_VACANCY, &[&Sql(id)]).await?;
        }
        Ok(self.events)
    }

    /// Says how many rows changed.
    async fn run(&self, statement: &str, params: Params<'_>) -> Result<u64, Failure> {
        self.transaction.execute(statement, params).await
    }

    // Repositories.

    /// The repository, made if there is none.
    async fn repository(&mut self) -> Result<Repository, WriteError> {
        if let Some(repository) = self.repository {
            return Ok(repository);
        }
        let rows = self.transaction.query(MAKE_REPOSITORY, &[&Sql(self.name), &Sql(self.at)]).await?;
        let id = only(rows)?.try_get::<_, Sql<_>>(0)?.0;
        Ok(*self.repository.insert(Repository { id, is_listed: false }))
    }

    async fn list_repository(&mut self) -> Result<Before, WriteError> {
        let Repository { id, is_listed } = self.repository().await?;
        if is_listed {
            return Ok(Before::Present);
        }
        let user = self.recorded.user.as_ref();
        let (creator, name) = (user.map(|user| Sql(&*user.id)), user.map(|user| Sql(&*user.name)));
        self.run(LIST_REPOSITORY, &[&Sql(id), &Sql(self.at), &creator, &name]).await?;
        self.repository = Some(Repository { id, is_listed: true });
        Ok(Before::Absent)
    }

    /// Takes the name away at once, who may what, and what runs for it; the content that hangs on the id is emptied later.
    async fn remove_repository(&mut self) -> Result<Before, WriteError> {
        let Some(Repository { id, is_listed }) = self.repository.take() else { return Ok(Before::Absent) };
        self.run(REMOVE_REPOSITORY, &[&Sql(id)]).await?;
        // On a hidden repository there are no rights, and nothing runs for it.
        if !is_listed {
            return Ok(Before::Absent);
        }
        self.run(WAKE_TARGETS_OF, &[&Sql(id), &Sql(self.at)]).await?;
        let with_it =
            [REMOVE_GRANTS_ON, REMOVE_SHARES_OF, REMOVE_RULE_OF, REMOVE_SYNCS_OF, REMOVE_TRIGGERS_OF];
        for removal in with_it {
            self.run(removal, &[&Sql(id)]).await?;
        }
        move_rights(self.transaction).await?;
        Ok(Before::Present)
    }

    // Blobs.

    /// Where the content of the digest is, and whether it is quarantined.
    async fn record(&self, digest: &Digest) -> Result<Option<(BlobLocation, bool)>, Failure> {
        let Some(row) = self.transaction.query_opt(RECORD_OF, &[&Sql(digest)]).await? else {
            return Ok(None);
        };
        Ok(Some((row.try_get::<_, Sql<_>>(0)?.0, row.try_get(1)?)))
    }

    /// Sees to it that the digest has a live record, at the location that was brought or where it is already.
    async fn place(&self, StoredBlob { digest, size, location }: &StoredBlob) -> Result<(), WriteError> {
        let discarded = [Sql(location)];
        let is_discarded = async { self.transaction.exists(IS_DISCARDED, &[&discarded[0]]).await };
        let (record, is_discarded) = try_join(self.record(digest), is_discarded).await?;
        match record {
            Some((at, _)) if at == *location => return Ok(()),
            Some((_, false)) => {
                if !is_discarded {
                    list_garbage(self.transaction, location, self.at).await?;
                }
                return Ok(());
            }
            _ if is_discarded => return Err(WriteError::BytesGone(*digest)),
            Some((broken, true)) => list_garbage(self.transaction, &broken, self.at).await?,
            None => {}
        }
        self.run(PUT_RECORD, &[&Sql(digest), &Sql(*size), &Sql(location), &Sql(self.at)]).await?;
        Ok(())
    }

    async fn link(&mut self, digest: &Digest) -> Result<Before, WriteError> {
        let Repository { id, .. } = self.repository().await?;
        if self.run(RENEW_LINK, &[&Sql(id), &Sql(digest), &Sql(self.at)]).await? > 0 {
            return Ok(Before::Present);
        }
        self.run(LINK, &[&Sql(id), &Sql(digest), &Sql(self.at)]).await?;
        self.run(RECORD_IS_LINKED, &[&Sql(digest)]).await?;
        Ok(Before::Absent)
    }

    async fn unlink(&self, digest: &Digest) -> Result<Before, WriteError> {
        let Some(Repository { id, .. }) = self.repository else { return Ok(Before::Absent) };
        if self.run(UNLINK, &[&Sql(id), &Sql(digest)]).await? == 0 {
            return Ok(Before::Absent);
        }
        self.run(RECORD_IS_UNLINKED, &[&Sql(digest)]).await?;
        Ok(Before::Present)
    }
}

/// What a statement that always has a row has.
pub(super) fn only(rows: Vec<tokio_postgres::Row>) -> Result<tokio_postgres::Row, Failure> {
    rows.into_iter().next().ok_or(Failure::Damaged(super::columns::Damaged("row")))
}

// Manifests and tags.

/// Held from the beginning by who names it or is its subject, it is not unused.
const PUT_MANIFEST: &str = "
    WITH put AS (
        INSERT INTO manifests (repository, digest, media_type, artifact_type, size, subject)
        VALUES ($1, $2, $3, $4, $5, $6) RETURNING id)
    INSERT INTO manifest_contents (manifest, annotations, bytes) SELECT id, $7, $8 FROM put RETURNING manifest";

/// Writes bytes anew that have rotted.
const MEND_CONTENT: &str = "UPDATE manifest_contents SET bytes = $2 WHERE manifest = $1 AND bytes <> $2";

const PUT_REFERENCES: &str = "
    INSERT INTO manifest_references (repository, digest, kind, manifest, size)
    SELECT $1, named.digest, named.kind, $2, named.size
    FROM unnest($3::bytea[], $4::smallint[], $5::bigint[]) AS named (digest, kind, size)";

const NAME_LINKS: &str =
    "UPDATE links SET named = TRUE WHERE repository = $1 AND digest = ANY ($2::bytea[]) AND NOT named";

const UNNAME_LINKS: &str = "
    UPDATE links SET named = FALSE
    WHERE repository = $1 AND digest = ANY ($2::bytea[]) AND NOT EXISTS (
        SELECT 1 FROM manifest_references
        WHERE manifest_references.repository = $1 AND manifest_references.digest = links.digest AND kind > 0)";

const USE: &str = "
    UPDATE manifests SET unused_since = NULL
    WHERE repository = $1 AND digest = ANY ($2::bytea[]) AND unused_since IS NOT NULL";

const USE_REFERRERS: &str = "
    UPDATE manifests SET unused_since = NULL
    WHERE repository = $1 AND subject = $2 AND unused_since IS NOT NULL";

const KEEP: &str = "
    UPDATE manifests SET unused_since = GREATEST(unused_since, $3)
    WHERE repository = $1 AND digest = $2 AND unused_since IS NOT NULL";

/// Unused from now on, unless a tag, a parent or its subject holds it.
const LET_GO: &str = "
    UPDATE manifests SET unused_since = $3
    WHERE repository = $1 AND digest = ANY ($2::bytea[])
        AND NOT EXISTS (SELECT 1 FROM tags WHERE tags.manifest = manifests.id)
        AND NOT EXISTS (
            SELECT 1 FROM manifest_references AS parents
            WHERE parents.repository = $1 AND parents.digest = manifests.digest AND parents.kind = 0)
        AND NOT EXISTS (
            SELECT 1 FROM manifests AS subjects
            WHERE subjects.repository = $1 AND subjects.digest = manifests.subject)";

/// The same for those that refer to a manifest that has gone.
const LET_REFERRERS_GO: &str = "
    UPDATE manifests SET unused_since = $3
    WHERE repository = $1 AND subject = $2
        AND NOT EXISTS (SELECT 1 FROM tags WHERE tags.manifest = manifests.id)
        AND NOT EXISTS (
            SELECT 1 FROM manifest_references AS parents
            WHERE parents.repository = $1 AND parents.digest = manifests.digest AND parents.kind = 0)";

const REFERENCES_OF: &str = "SELECT digest, kind > 0 FROM manifest_references WHERE manifest = $1";

const REMOVE_TAGS_OF: &str = "DELETE FROM tags WHERE manifest = $1";

const REMOVE_REFERENCES_OF: &str = "DELETE FROM manifest_references WHERE manifest = $1";

const REMOVE_CONTENT: &str = "DELETE FROM manifest_contents WHERE manifest = $1";

const REMOVE_MANIFEST: &str = "DELETE FROM manifests WHERE id = $1";

const SET_TAG: &str = "
    INSERT INTO tags (repository, name, manifest, updated, created) VALUES ($1, $2, $3, $4, $4)
    ON CONFLICT (repository, name) DO UPDATE SET manifest = $3, updated = $4";

const REMOVE_TAG: &str = "DELETE FROM tags WHERE repository = $1 AND name = $2";

impl Changing<'_> {
    async fn put_manifest(&mut self, record: &ManifestRecord) -> Result<Before, WriteError> {
        let Repository { id, .. } = self.repository().await?;
        let ManifestRecord { digest, media_type, bytes, artifact_type, annotations, subject, references } =
            record;
        if self.keep_manifest(digest).await? == Before::Present {
            self.run(MEND_CONTENT, &[&self.manifest(digest).await?, &&**bytes]).await?;
            return Ok(Before::Present);
        }
        let (artifact_type, subject) = (artifact_type.as_ref().map(Sql), subject.as_ref().map(Sql));
        let annotations = serde_json::to_string(annotations)?;
        let put: Params<'_> = &[
            &Sql(id),
            &Sql(digest),
            &Sql(media_type),
            &artifact_type,
            &Sql(bytes.len() as u64),
            &subject,
            &annotations,
            &&**bytes,
        ];
        let manifest: i64 = only(self.transaction.query(PUT_MANIFEST, put).await?)?.try_get(0)?;
        let digests = all(references.iter().map(|named| &named.digest));
        let kinds: Vec<_> = references.iter().map(|named| Sql(named.kind)).collect();
        let sizes: Vec<_> = references.iter().map(|named| Sql(named.size)).collect();
        self.run(PUT_REFERENCES, &[&Sql(id), &manifest, &digests, &kinds, &sizes]).await?;
        let (children, blobs): (Vec<&ManifestReference>, Vec<_>) =
            references.iter().partition(|named| named.kind == ReferenceKind::Manifest);
        if !children.is_empty() {
            let children = all(children.into_iter().map(|named| &named.digest));
            self.run(USE, &[&Sql(id), &children]).await?;
        }
        if !blobs.is_empty() {
            let blobs = all(blobs.into_iter().map(|named| &named.digest));
            self.run(NAME_LINKS, &[&Sql(id), &blobs]).await?;
        }
        self.run(USE_REFERRERS, &[&Sql(id), &Sql(digest)]).await?;
        Ok(Before::Absent)
    }

    /// Starts the time of an unused manifest again.
    async fn keep_manifest(&self, digest: &Digest) -> Result<Before, WriteError> {
        let Some(Repository { id, .. }) = self.repository else { return Ok(Before::Absent) };
        if self.manifest(digest).await?.is_none() {
            return Ok(Before::Absent);
        }
        self.run(KEEP, &[&Sql(id), &Sql(digest), &Sql(self.at)]).await?;
        Ok(Before::Present)
    }

    async fn remove_manifest(&mut self, digest: &Digest) -> Result<Before, WriteError> {
        let Some(Repository { id, .. }) = self.repository else { return Ok(Before::Absent) };
        let Some(manifest) = self.manifest(digest).await? else { return Ok(Before::Absent) };
        let tags = self.tags_of(manifest).await?;
        let (mut blobs, mut children) = (Vec::new(), Vec::new());
        for row in self.transaction.query(REFERENCES_OF, &[&manifest]).await? {
            let (Sql(named), is_blob): (Sql<Digest>, bool) = (row.try_get(0)?, row.try_get(1)?);
            if is_blob { blobs.push(named) } else { children.push(named) }
        }
        remove_manifest_rows(self.transaction, manifest).await?;
        self.run(UNNAME_LINKS, &[&Sql(id), &all(&blobs)]).await?;
        self.let_go(id, &children).await?;
        self.run(LET_REFERRERS_GO, &[&Sql(id), &Sql(digest), &Sql(self.at)]).await?;
        self.is_updated |= !tags.is_empty();
        Ok(Before::TaggedBy(tags))
    }

    /// Something that held the manifests does no longer.
    async fn let_go(&self, id: RepositoryId, digests: &[Digest]) -> Result<(), Failure> {
        self.run(LET_GO, &[&Sql(id), &all(digests), &Sql(self.at)]).await.map(drop)
    }

    async fn set_tag(&mut self, tag: &Tag, digest: &Digest) -> Result<Before, WriteError> {
        let (Some(Repository { id, .. }), Some(manifest)) = (self.repository, self.manifest(digest).await?)
        else {
            return Err(WriteError::Unmet(vec![Require::ManifestPresent(*digest)]));
        };
        let before = self.tag(tag).await?;
        self.run(SET_TAG, &[&Sql(id), &Sql(tag), &manifest, &Sql(self.at)]).await?;
        self.is_updated = true;
        if before.as_ref().is_none_or(|before| before.manifest != manifest) {
            self.run(USE, &[&Sql(id), &all([digest])]).await?;
        }
        let Some(before) = before else { return Ok(Before::Absent) };
        if before.manifest != manifest {
            self.let_go(id, &[before.digest]).await?;
        }
        Ok(Before::PointedTo(before.digest))
    }

    async fn remove_tag(&mut self, tag: &Tag) -> Result<Before, WriteError> {
        let (Some(Repository { id, .. }), Some(before)) = (self.repository, self.tag(tag).await?) else {
            return Ok(Before::Absent);
        };
        self.run(REMOVE_TAG, &[&Sql(id), &Sql(tag)]).await?;
        if *self.recorded.actor == Actor::Caretaker(Task::Aging) {
            self.run(NOTE_CLEARED, &[&Sql(id), &Sql(tag), &Sql(self.at)]).await?;
        }
        self.is_updated = true;
        self.let_go(id, &[before.digest]).await?;
        Ok(Before::PointedTo(before.digest))
    }
}

/// The manifest with its content, its references and the tags that point to it.
pub(super) async fn remove_manifest_rows(session: &Session, manifest: i64) -> Result<(), Failure> {
    for removal in [REMOVE_TAGS_OF, REMOVE_REFERENCES_OF, REMOVE_CONTENT, REMOVE_MANIFEST] {
        session.execute(removal, &[&manifest]).await?;
    }
    Ok(())
}
