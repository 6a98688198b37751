//! Requirements, changes and events, in one savepoint of the writer's transaction.

use std::cell::OnceCell;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, params};

use swr_core::caller::{Actor, Caller, Origin, Task};
use swr_core::commit::{
    BlobLocation, Change, Commit, Grounds, Receipt, RepositoryId, Require, RightsVersion, StoredBlob,
};
use swr_core::digest::Digest;
use swr_core::event::{Before, Event, RecordedEvent};
use swr_core::manifest::{ManifestRecord, ReferenceKind};
use swr_core::planted::is_planted;
use swr_core::{RepositoryName, Tag};

use super::collection::list_garbage;
use super::columns::Sql;
use super::connections::{WriteError, Writing};
use super::event_log::{self, NewEvent};

/// Applies the commit. What is left of one that fails, the writer rolls back.
pub(super) fn commit(writing: &Writing<'_>, commit: &Commit) -> Result<Receipt, WriteError> {
    let Commit { repository, actor, origin, at, requires, changes } = commit;
    let recorded = Recorded::new(actor, origin)?;
    let mut changing = Changing::begin(writing, repository, &recorded, *at)?;
    let mut unmet = Vec::new();
    for require in requires {
        if !changing.holds(require)? {
            unmet.push(require.clone());
        }
    }
    if !unmet.is_empty() {
        return Err(WriteError::Unmet(unmet));
    }
    for change in changes {
        changing.apply(change)?;
    }
    let receipt = changing.end()?;
    #[cfg(feature = "control")]
    super::traces::leave_of_events(writing.connection, &recorded, &receipt.events)?;
    Ok(receipt)
}

/// Who and where from, as the log keeps it.
pub(super) struct Recorded<'a> {
    pub(super) actor: &'a Actor,
    origin: &'a Origin,
    actor_json: String,
    pub(super) origin_json: String,
    /// Looked up when it is wanted first.
    user: OnceCell<Option<ActingUser>>,
}

/// The user who acts, as it is before anything changes.
pub(super) struct ActingUser {
    pub(super) id: String,
    pub(super) name: String,
    #[cfg(feature = "control")]
    pub(super) account: String,
}

const ACTING_USER: &str = "SELECT id, name, account FROM users WHERE id = ?1";

impl<'a> Recorded<'a> {
    pub(super) fn new(actor: &'a Actor, origin: &'a Origin) -> Result<Self, WriteError> {
        let (actor_json, origin_json) = (to_json(actor)?, to_json(origin)?);
        Ok(Self { actor, origin, actor_json, origin_json, user: OnceCell::new() })
    }

    /// The user who acts; `None` for a stranger, for a caller that is no user here, and when nobody does.
    pub(super) fn user(&self, connection: &Connection) -> rusqlite::Result<Option<&ActingUser>> {
        if let Some(user) = self.user.get() {
            return Ok(user.as_ref());
        }
        let user = match self.actor {
            Actor::Caller(Caller::User(identity)) => acting_user(connection, identity.name())?,
            Actor::Caller(Caller::Anonymous) | Actor::Caretaker(_) => None,
        };
        Ok(self.user.get_or_init(|| user).as_ref())
    }
}

pub(super) fn acting_user(connection: &Connection, id: &str) -> rusqlite::Result<Option<ActingUser>> {
    let mut user = connection.prepare_cached(ACTING_USER)?;
    user.query_row([id], |row| {
        Ok(ActingUser {
            id: row.get(0)?,
            name: row.get(1)?,
            #[cfg(feature = "control")]
            account: row.get(2)?,
        })
    })
    .optional()
}

const RIGHTS: &str = "SELECT version FROM rights WHERE one = 1";

/// How often rights have changed.
pub(super) fn rights(connection: &Connection) -> rusqlite::Result<RightsVersion> {
    connection.prepare_cached(RIGHTS)?.query_row([], |row| row.get(0)).map(|Sql(version)| version)
}

const MOVE_RIGHTS: &str = "UPDATE rights SET version = version + 1 WHERE one = 1";

/// What somebody may do can be another thing from here on.
pub(super) fn move_rights(connection: &Connection) -> rusqlite::Result<()> {
    connection.prepare_cached(MOVE_RIGHTS)?.execute([]).map(drop)
}

pub(super) fn to_json(value: &impl serde::Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

/// One repository, being changed.
pub(super) struct Changing<'a> {
    writing: &'a Writing<'a>,
    name: &'a RepositoryName,
    /// None while the name leads nowhere.
    repository: Option<Repository>,
    recorded: &'a Recorded<'a>,
    at: DateTime<Utc>,
    events: Vec<RecordedEvent>,
    /// A tag was set or removed.
    is_updated: bool,
}

#[derive(Clone, Copy)]
struct Repository {
    id: RepositoryId,
    is_listed: bool,
}

const REPOSITORY: &str = "SELECT id, listed FROM repositories WHERE name = ?1";

fn find_repository(connection: &Connection, name: &RepositoryName) -> rusqlite::Result<Option<Repository>> {
    let mut repository = connection.prepare_cached(REPOSITORY)?;
    repository
        .query_row([Sql(name)], |row| {
            Ok(Repository { id: row.get::<_, Sql<_>>(0)?.0, is_listed: row.get(1)? })
        })
        .optional()
}

// What is there.

const LINKED: &str = "
    SELECT 1 FROM links JOIN blobs ON blobs.digest = links.digest
    WHERE links.repository = ?1 AND links.digest = ?2 AND blobs.quarantined = 0";

const LINKED_ELSEWHERE: &str = "
    SELECT 1 FROM repositories
    JOIN links ON links.repository = repositories.id
    JOIN blobs ON blobs.digest = links.digest
    WHERE repositories.name = ?1 AND links.digest = ?2 AND blobs.quarantined = 0";

const NAMED_AS_BLOB: &str = "
    SELECT 1 FROM manifest_references WHERE repository = ?1 AND digest = ?2 AND kind > 0";

const MANIFEST: &str = "SELECT id FROM manifests WHERE repository = ?1 AND digest = ?2";

const TAGS_OF: &str = "SELECT name FROM tags WHERE manifest = ?1 ORDER BY name";

const TAG: &str = "
    SELECT tags.manifest, manifests.digest, tags.updated
    FROM tags JOIN manifests ON manifests.id = tags.manifest
    WHERE tags.repository = ?1 AND tags.name = ?2";

struct TagState {
    manifest: i64,
    digest: Digest,
    updated: DateTime<Utc>,
}

impl<'a> Changing<'a> {
    pub(super) fn begin(
        writing: &'a Writing<'a>,
        name: &'a RepositoryName,
        recorded: &'a Recorded<'a>,
        at: DateTime<Utc>,
    ) -> rusqlite::Result<Self> {
        let repository = find_repository(writing.connection, name)?;
        Ok(Self { writing, name, repository, recorded, at, events: Vec::new(), is_updated: false })
    }

    fn holds(&self, require: &Require) -> rusqlite::Result<bool> {
        let connection = self.writing.connection;
        let id = self.repository.map(|repository| repository.id);
        let there = |statement: &str, digest: &Digest| {
            let Some(id) = id else { return Ok(false) };
            connection.prepare_cached(statement)?.exists(params![Sql(id), Sql(digest)])
        };
        Ok(match require {
            Require::Grounds(Grounds { repository, rights: of_then }) => {
                (repository.is_none() || *repository == id)
                    && match of_then {
                        Some(version) => rights(connection)? == *version,
                        None => true,
                    }
            }
            Require::BlobLinked(digest) => there(LINKED, digest)?,
            Require::BlobUnnamed(digest) => !there(NAMED_AS_BLOB, digest)?,
            Require::BlobLinkedIn { repository, digest } => {
                connection.prepare_cached(LINKED_ELSEWHERE)?.exists(params![Sql(repository), Sql(digest)])?
            }
            Require::ManifestPresent(digest) => there(MANIFEST, digest)?,
            Require::ManifestAbsent(digest) => !there(MANIFEST, digest)?,
            Require::TaggedOnlyBy { digest, tags } => match self.manifest(digest)? {
                Some(manifest) => self.tags_of(manifest)?.iter().all(|tag| tags.contains(tag)),
                None => true,
            },
            Require::TagUnsetOr { tag, digest } => self.tag(tag)?.is_none_or(|state| state.digest == *digest),
            Require::TagIs { tag, digest, updated } => self.tag(tag)?.is_some_and(|state| {
                // Columns keep microseconds.
                let is_then =
                    |then: DateTime<Utc>| then.timestamp_micros() == state.updated.timestamp_micros();
                state.digest == *digest && updated.is_none_or(is_then)
            }),
            Require::TagSet(tag) => self.tag(tag)?.is_some(),
            Require::TagUnset(tag) => self.tag(tag)?.is_none(),
        })
    }

    fn manifest(&self, digest: &Digest) -> rusqlite::Result<Option<i64>> {
        let Some(Repository { id, .. }) = self.repository else { return Ok(None) };
        let mut manifest = self.writing.connection.prepare_cached(MANIFEST)?;
        manifest.query_row(params![Sql(id), Sql(digest)], |row| row.get(0)).optional()
    }

    fn tag(&self, tag: &Tag) -> rusqlite::Result<Option<TagState>> {
        let Some(Repository { id, .. }) = self.repository else { return Ok(None) };
        let mut state = self.writing.connection.prepare_cached(TAG)?;
        state
            .query_row(params![Sql(id), Sql(tag)], |row| {
                let (Sql(digest), Sql(updated)) = (row.get(1)?, row.get(2)?);
                Ok(TagState { manifest: row.get(0)?, digest, updated })
            })
            .optional()
    }

    fn tags_of(&self, manifest: i64) -> rusqlite::Result<Vec<Tag>> {
        let mut tags = self.writing.connection.prepare_cached(TAGS_OF)?;
        let tags = tags.query_map([manifest], |row| row.get(0))?;
        tags.map(|tag| tag.map(|Sql(tag)| tag)).collect()
    }
}

// What changes.

const SETTLE_VACANCY: &str = "
    UPDATE repositories
    SET vacant = NOT EXISTS (SELECT 1 FROM links WHERE repository = ?1)
        AND NOT EXISTS (SELECT 1 FROM manifests WHERE repository = ?1)
    WHERE id = ?1";

const MAKE_REPOSITORY: &str = "
    INSERT INTO repositories (name, made, listed, vacant, updated) VALUES (?1, ?2, 0, 0, ?2) RETURNING id";

/// Of a repository that was hidden, nothing has been said.
const LIST_REPOSITORY: &str = "
    UPDATE repositories
    SET made = ?2, listed = 1, vacant = 0, updated = ?2, creator = ?3, creator_name = ?4
    WHERE id = ?1";

const UPDATED: &str = "UPDATE repositories SET updated = ?2 WHERE id = ?1 AND updated <> ?2";

const REMOVE_REPOSITORY: &str = "UPDATE repositories SET name = NULL, listed = 0, vacant = 0 WHERE id = ?1";

const REMOVE_GRANTS_ON: &str = "DELETE FROM repository_grants WHERE repository = ?1";

const REMOVE_SHARES_OF: &str = "DELETE FROM shares WHERE repository = ?1";

/// What ran for a repository; the targets of its triggers may have something else to do from then on.
const REMOVE_RULE_OF: &str = "DELETE FROM rules WHERE repository = ?1";

const REMOVE_SYNCS_OF: &str = "DELETE FROM syncs WHERE repository = ?1";

const WAKE_TARGETS_OF: &str = "
    UPDATE delivery_targets SET ready = min(ready, ?2)
    WHERE target_key IN (SELECT target_key FROM triggers WHERE repository = ?1)";

/// They go with their deliveries, later.
const REMOVE_TRIGGERS_OF: &str =
    "UPDATE triggers SET repository = NULL, enabled = 0, secret = NULL WHERE repository = ?1";

/// By the repository's rule, if there is one.
const NOTE_CLEARED: &str = "
    INSERT INTO cleared (repository, rule_id, rule, tag, at)
    SELECT repository, id, rule, ?2, ?3 FROM rules WHERE repository = ?1";

const RECORD_OF: &str = "SELECT location, quarantined FROM blobs WHERE digest = ?1";

const IS_DISCARDED: &str = "SELECT 1 FROM garbage WHERE location = ?1";

const PUT_RECORD: &str = "
    INSERT INTO blobs (digest, size, location, made) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (digest) DO UPDATE SET size = ?2, location = ?3, made = ?4, quarantined = 0";

/// Whoever was held up on the way takes no time from those who came before.
const RENEW_LINK: &str = "
    UPDATE links SET renewed = max(renewed, ?3) WHERE repository = ?1 AND digest = ?2";

const LINK: &str = "
    INSERT INTO links (repository, digest, renewed, named) VALUES (?1, ?2, ?3, EXISTS (
        SELECT 1 FROM manifest_references WHERE repository = ?1 AND digest = ?2 AND kind > 0))";

const RECORD_IS_LINKED: &str = "UPDATE blobs SET unlinked = 0 WHERE digest = ?1 AND unlinked = 1";

pub(super) const UNLINK: &str = "DELETE FROM links WHERE repository = ?1 AND digest = ?2";

pub(super) const RECORD_IS_UNLINKED: &str = "
    UPDATE blobs SET unlinked = 1
    WHERE digest = ?1 AND NOT EXISTS (SELECT 1 FROM links WHERE links.digest = ?1)";

impl Changing<'_> {
    pub(super) fn apply(&mut self, change: &Change) -> Result<(), WriteError> {
        let before = match change {
            Change::CreateRepository => self.list_repository()?,
            Change::RemoveRepository => self.remove_repository()?,
            Change::LinkStored(stored) => {
                self.place(stored)?;
                self.link(&stored.digest)?
            }
            Change::LinkExisting(digest) => {
                if self.record(digest)?.is_none_or(|(_, is_quarantined)| is_quarantined) {
                    return Err(WriteError::BytesGone(*digest));
                }
                self.link(digest)?
            }
            Change::UnlinkBlob(digest) => self.unlink(digest)?,
            Change::PutManifest(record) => self.put_manifest(record)?,
            Change::KeepManifest(digest) => self.keep_manifest(digest)?,
            Change::RemoveManifest(digest) => self.remove_manifest(digest)?,
            Change::SetTag { tag, digest } => self.set_tag(tag, digest)?,
            Change::RemoveTag(tag) => self.remove_tag(tag)?,
        };
        match Event::of(change, before) {
            Some(event) => self.record_event(event),
            None => Ok(()),
        }
    }

    /// What was recorded.
    pub(super) fn end(self) -> Result<Receipt, WriteError> {
        if let (true, Some(Repository { id, .. })) = (self.is_updated, self.repository) {
            self.run(UPDATED, params![Sql(id), Sql(self.at)])?;
        }
        if let Some(Repository { id, is_listed: false }) = self.repository {
            self.run(SETTLE_VACANCY, params![Sql(id)])?;
        }
        Ok(Receipt { events: self.events })
    }

    /// Says how many rows changed.
    fn run(&self, statement: &str, params: impl rusqlite::Params) -> rusqlite::Result<usize> {
        self.writing.connection.prepare_cached(statement)?.execute(params)
    }

    fn record_event(&mut self, event: Event) -> Result<(), WriteError> {
        let seq = event_log::record(
            self.writing.connection,
            &NewEvent {
                repository: self.name.as_str(),
                at: self.at,
                actor: &self.recorded.actor_json,
                origin: &self.recorded.origin_json,
                event: &to_json(&event)?,
            },
        )?;
        self.events.push(RecordedEvent {
            seq,
            repository: self.name.clone(),
            actor: self.recorded.actor.clone(),
            origin: self.recorded.origin.clone(),
            at: self.at,
            event,
        });
        Ok(())
    }

    // Repositories.

    /// The repository, made if there is none.
    fn repository(&mut self) -> Result<Repository, WriteError> {
        if let Some(repository) = self.repository {
            return Ok(repository);
        }
        self.writing.claim_room()?;
        let mut make = self.writing.connection.prepare_cached(MAKE_REPOSITORY)?;
        let Sql(id) = make.query_row(params![Sql(self.name), Sql(self.at)], |row| row.get(0))?;
        Ok(*self.repository.insert(Repository { id, is_listed: false }))
    }

    fn list_repository(&mut self) -> Result<Before, WriteError> {
        let Repository { id, is_listed } = self.repository()?;
        if is_listed {
            return Ok(Before::Present);
        }
        let user = self.recorded.user(self.writing.connection)?;
        let (creator, name) = (user.map(|user| &user.id), user.map(|user| &user.name));
        self.run(LIST_REPOSITORY, params![Sql(id), Sql(self.at), creator, name])?;
        self.repository = Some(Repository { id, is_listed: true });
        Ok(Before::Absent)
    }

    /// Takes the name away at once, who may what, and what runs for it; the content that hangs on the id is emptied later.
    fn remove_repository(&mut self) -> Result<Before, WriteError> {
        let Some(Repository { id, is_listed }) = self.repository.take() else { return Ok(Before::Absent) };
        self.run(REMOVE_REPOSITORY, params![Sql(id)])?;
        // On a hidden repository there are no rights, and nothing runs for it.
        if !is_listed {
            return Ok(Before::Absent);
        }
        self.run(WAKE_TARGETS_OF, params![Sql(id), Sql(self.at)])?;
        let with_it =
            [REMOVE_GRANTS_ON, REMOVE_SHARES_OF, REMOVE_RULE_OF, REMOVE_SYNCS_OF, REMOVE_TRIGGERS_OF];
        for removal in with_it {
            self.run(removal, params![Sql(id)])?;
        }
        move_rights(self.writing.connection)?;
        Ok(Before::Present)
    }

    // Blobs.

    /// Where the content of the digest is, and whether it is quarantined.
    fn record(&self, digest: &Digest) -> rusqlite::Result<Option<(BlobLocation, bool)>> {
        let mut record = self.writing.connection.prepare_cached(RECORD_OF)?;
        record
            .query_row([Sql(digest)], |row| Ok((row.get::<_, Sql<BlobLocation>>(0)?.0, row.get(1)?)))
            .optional()
    }

    /// Sees to it that the digest has a live record, at the location that was brought or where it is already.
    fn place(&self, StoredBlob { digest, size, location }: &StoredBlob) -> Result<(), WriteError> {
        let connection = self.writing.connection;
        let record = self.record(digest)?;
        if record.as_ref().is_some_and(|(at, _)| at == location) {
            return Ok(());
        }
        let is_discarded = connection.prepare_cached(IS_DISCARDED)?.exists([Sql(location)])?;
        match record {
            Some((live, false)) => {
                if !is_discarded {
                    self.writing.claim_room()?;
                    let unused = if is_planted("garbage in use") { &live } else { location };
                    list_garbage(connection, unused, self.at)?;
                }
                return Ok(());
            }
            _ if is_discarded => return Err(WriteError::BytesGone(*digest)),
            Some((broken, true)) => list_garbage(connection, &broken, self.at)?,
            None => {}
        }
        self.writing.claim_room()?;
        self.run(PUT_RECORD, params![Sql(digest), Sql(*size), Sql(location), Sql(self.at)])?;
        Ok(())
    }

    fn link(&mut self, digest: &Digest) -> Result<Before, WriteError> {
        let Repository { id, .. } = self.repository()?;
        let link = params![Sql(id), Sql(digest), Sql(self.at)];
        if self.run(RENEW_LINK, link)? > 0 {
            return Ok(Before::Present);
        }
        self.writing.claim_room()?;
        self.run(LINK, link)?;
        self.run(RECORD_IS_LINKED, [Sql(digest)])?;
        Ok(Before::Absent)
    }

    fn unlink(&self, digest: &Digest) -> Result<Before, WriteError> {
        let Some(Repository { id, .. }) = self.repository else { return Ok(Before::Absent) };
        if self.run(UNLINK, params![Sql(id), Sql(digest)])? == 0 {
            return Ok(Before::Absent);
        }
        self.run(RECORD_IS_UNLINKED, [Sql(digest)])?;
        Ok(Before::Present)
    }
}

// Manifests and tags.

/// Held from the beginning by who names it or is its subject, it is not unused.
const PUT_MANIFEST: &str = "
    INSERT INTO manifests (repository, digest, media_type, artifact_type, size, subject)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING id";

const PUT_CONTENT: &str = "INSERT INTO manifest_contents (manifest, annotations, bytes) VALUES (?1, ?2, ?3)";

/// Writes bytes anew that have rotted.
const MEND_CONTENT: &str = "UPDATE manifest_contents SET bytes = ?2 WHERE manifest = ?1 AND bytes <> ?2";

const PUT_REFERENCE: &str = "
    INSERT INTO manifest_references (repository, digest, kind, manifest, size) VALUES (?1, ?2, ?3, ?4, ?5)";

const NAME_LINK: &str = "UPDATE links SET named = 1 WHERE repository = ?1 AND digest = ?2 AND named = 0";

const UNNAME_LINK: &str = "
    UPDATE links SET named = 0
    WHERE repository = ?1 AND digest = ?2 AND NOT EXISTS (
        SELECT 1 FROM manifest_references
        WHERE manifest_references.repository = ?1 AND manifest_references.digest = ?2 AND kind > 0)";

const USE: &str = "
    UPDATE manifests SET unused_since = NULL
    WHERE repository = ?1 AND digest = ?2 AND unused_since IS NOT NULL";

const USE_REFERRERS: &str = "
    UPDATE manifests SET unused_since = NULL
    WHERE repository = ?1 AND subject = ?2 AND unused_since IS NOT NULL";

const KEEP: &str = "
    UPDATE manifests SET unused_since = max(unused_since, ?3)
    WHERE repository = ?1 AND digest = ?2 AND unused_since IS NOT NULL";

/// Unused from now on, unless a tag, a parent or its subject holds it.
const LET_GO: &str = "
    UPDATE manifests SET unused_since = ?3
    WHERE repository = ?1 AND digest = ?2
        AND NOT EXISTS (SELECT 1 FROM tags WHERE tags.manifest = manifests.id)
        AND NOT EXISTS (
            SELECT 1 FROM manifest_references AS parents
            WHERE parents.repository = ?1 AND parents.digest = ?2 AND parents.kind = 0)
        AND NOT EXISTS (
            SELECT 1 FROM manifests AS subjects
            WHERE subjects.repository = ?1 AND subjects.digest = manifests.subject)";

/// The same for those that refer to a manifest that has gone.
const LET_REFERRERS_GO: &str = "
    UPDATE manifests SET unused_since = ?3
    WHERE repository = ?1 AND subject = ?2
        AND NOT EXISTS (SELECT 1 FROM tags WHERE tags.manifest = manifests.id)
        AND NOT EXISTS (
            SELECT 1 FROM manifest_references AS parents
            WHERE parents.repository = ?1 AND parents.digest = manifests.digest AND parents.kind = 0)";

const REFERENCES_OF: &str = "SELECT digest, kind > 0 FROM manifest_references WHERE manifest = ?1";

const REMOVE_TAGS_OF: &str = "DELETE FROM tags WHERE manifest = ?1";

const REMOVE_REFERENCES_OF: &str = "DELETE FROM manifest_references WHERE manifest = ?1";

const REMOVE_CONTENT: &str = "DELETE FROM manifest_contents WHERE manifest = ?1";

const REMOVE_MANIFEST: &str = "DELETE FROM manifests WHERE id = ?1";

const SET_TAG: &str = "
    INSERT INTO tags (repository, name, manifest, updated, created) VALUES (?1, ?2, ?3, ?4, ?4)
    ON CONFLICT (repository, name) DO UPDATE SET manifest = ?3, updated = ?4";

const REMOVE_TAG: &str = "DELETE FROM tags WHERE repository = ?1 AND name = ?2";

impl Changing<'_> {
    fn put_manifest(&mut self, record: &ManifestRecord) -> Result<Before, WriteError> {
        let Repository { id, .. } = self.repository()?;
        let ManifestRecord { digest, media_type, bytes, artifact_type, annotations, subject, references } =
            record;
        if self.keep_manifest(digest)? == Before::Present {
            self.run(MEND_CONTENT, params![self.manifest(digest)?, &**bytes])?;
            return Ok(Before::Present);
        }
        self.writing.claim_room()?;
        let mut put = self.writing.connection.prepare_cached(PUT_MANIFEST)?;
        let manifest: i64 = put.query_row(
            params![
                Sql(id),
                Sql(digest),
                Sql(media_type),
                artifact_type.as_ref().map(Sql),
                Sql(bytes.len() as u64),
                subject.as_ref().map(Sql),
            ],
            |row| row.get(0),
        )?;
        self.run(PUT_CONTENT, params![manifest, to_json(annotations)?, &**bytes])?;
        for named in references {
            let reference = params![Sql(id), Sql(&named.digest), Sql(named.kind), manifest, Sql(named.size)];
            self.run(PUT_REFERENCE, reference)?;
            let taken_up = match named.kind {
                ReferenceKind::Manifest => USE,
                ReferenceKind::Blob | ReferenceKind::ForeignBlob => NAME_LINK,
            };
            self.run(taken_up, params![Sql(id), Sql(&named.digest)])?;
        }
        self.run(USE_REFERRERS, params![Sql(id), Sql(digest)])?;
        Ok(Before::Absent)
    }

    /// Starts the time of an unused manifest again.
    fn keep_manifest(&self, digest: &Digest) -> Result<Before, WriteError> {
        let Some(Repository { id, .. }) = self.repository else { return Ok(Before::Absent) };
        if self.manifest(digest)?.is_none() {
            return Ok(Before::Absent);
        }
        self.run(KEEP, params![Sql(id), Sql(digest), Sql(self.at)])?;
        Ok(Before::Present)
    }

    fn remove_manifest(&mut self, digest: &Digest) -> Result<Before, WriteError> {
        let Some(Repository { id, .. }) = self.repository else { return Ok(Before::Absent) };
        let Some(manifest) = self.manifest(digest)? else { return Ok(Before::Absent) };
        let tags = self.tags_of(manifest)?;
        let named: Vec<(Sql<Digest>, bool)> = self
            .writing
            .connection
            .prepare_cached(REFERENCES_OF)?
            .query_map([manifest], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        remove_manifest_rows(self.writing.connection, manifest)?;
        for (Sql(named), is_blob) in &named {
            if *is_blob {
                self.run(UNNAME_LINK, params![Sql(id), Sql(named)])?;
            } else {
                self.let_go(id, named)?;
            }
        }
        self.run(LET_REFERRERS_GO, params![Sql(id), Sql(digest), Sql(self.at)])?;
        self.is_updated |= !tags.is_empty();
        Ok(Before::TaggedBy(tags))
    }

    /// Something that held the manifest does no longer.
    fn let_go(&self, id: RepositoryId, digest: &Digest) -> rusqlite::Result<usize> {
        self.run(LET_GO, params![Sql(id), Sql(digest), Sql(self.at)])
    }

    fn set_tag(&mut self, tag: &Tag, digest: &Digest) -> Result<Before, WriteError> {
        let (Some(Repository { id, .. }), Some(manifest)) = (self.repository, self.manifest(digest)?) else {
            return Err(WriteError::Unmet(vec![Require::ManifestPresent(*digest)]));
        };
        let before = self.tag(tag)?;
        if let Some(before) = &before
            && is_planted("a tag that stays")
        {
            return Ok(Before::PointedTo(before.digest));
        }
        if before.as_ref().is_none_or(|before| before.manifest != manifest) {
            self.writing.claim_room()?;
        }
        self.run(SET_TAG, params![Sql(id), Sql(tag), manifest, Sql(self.at)])?;
        self.is_updated = true;
        let Some(before) = before else {
            self.run(USE, params![Sql(id), Sql(digest)])?;
            return Ok(Before::Absent);
        };
        if before.manifest != manifest {
            self.run(USE, params![Sql(id), Sql(digest)])?;
            self.let_go(id, &before.digest)?;
        }
        Ok(Before::PointedTo(before.digest))
    }

    fn remove_tag(&mut self, tag: &Tag) -> Result<Before, WriteError> {
        let (Some(Repository { id, .. }), Some(before)) = (self.repository, self.tag(tag)?) else {
            return Ok(Before::Absent);
        };
        self.run(REMOVE_TAG, params![Sql(id), Sql(tag)])?;
        if *self.recorded.actor == Actor::Caretaker(Task::Aging) {
            self.run(NOTE_CLEARED, params![Sql(id), Sql(tag), Sql(self.at)])?;
        }
        self.is_updated = true;
        self.let_go(id, &before.digest)?;
        Ok(Before::PointedTo(before.digest))
    }
}

/// The manifest with its content, its references and the tags that point to it.
pub(super) fn remove_manifest_rows(connection: &Connection, manifest: i64) -> rusqlite::Result<()> {
    for removal in [REMOVE_TAGS_OF, REMOVE_REFERENCES_OF, REMOVE_CONTENT, REMOVE_MANIFEST] {
        connection.prepare_cached(removal)?.execute([manifest])?;
    }
    Ok(())
}

#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[
    ACTING_USER,
    RIGHTS,
    MOVE_RIGHTS,
    REPOSITORY,
    LINKED,
    LINKED_ELSEWHERE,
    NAMED_AS_BLOB,
    MANIFEST,
    TAGS_OF,
    TAG,
    SETTLE_VACANCY,
    LIST_REPOSITORY,
    UPDATED,
    REMOVE_REPOSITORY,
    REMOVE_GRANTS_ON,
    REMOVE_SHARES_OF,
    REMOVE_RULE_OF,
    REMOVE_SYNCS_OF,
    WAKE_TARGETS_OF,
    REMOVE_TRIGGERS_OF,
    NOTE_CLEARED,
    RECORD_OF,
    IS_DISCARDED,
    PUT_RECORD,
    RENEW_LINK,
    LINK,
    RECORD_IS_LINKED,
    UNLINK,
    RECORD_IS_UNLINKED,
    PUT_MANIFEST,
    PUT_CONTENT,
    MEND_CONTENT,
    PUT_REFERENCE,
    NAME_LINK,
    UNNAME_LINK,
    USE,
    USE_REFERRERS,
    KEEP,
    LET_GO,
    LET_REFERRERS_GO,
    REFERENCES_OF,
    REMOVE_TAGS_OF,
    REMOVE_REFERENCES_OF,
    REMOVE_CONTENT,
    REMOVE_MANIFEST,
    SET_TAG,
    REMOVE_TAG,
];
