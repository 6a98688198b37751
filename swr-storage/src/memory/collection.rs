//! What nobody needs: released, discarded.

use chrono::{DateTime, Utc};

use swr_core::RepositoryName;
use swr_core::caller::{Actor, Channel, Origin, Task};
use swr_core::commit::{Change, RepositoryId, StoredBlob};
use swr_core::digest::Digest;
use swr_core::ports::{Released, Unused};

use super::manifest_commit::Changing;
use super::manifests::{Discarded, Repository, Tables, under};

impl Tables {
    pub(super) fn release_unused(&mut self, unused: &Unused, limit: usize) -> Released {
        let mut released = Released::default();
        self.empty_removed(&mut released, limit);

        let room = limit.saturating_sub(usize::try_from(released.manifests).unwrap_or(usize::MAX));
        let manifests = self.across_repositories(room, |repository| {
            let unused_before = unused.manifests_before;
            repository.manifests.iter().filter_map(move |(digest, manifest)| {
                (manifest.unused_since? < unused_before?).then_some(*digest)
            })
        });
        released.manifests += manifests.len() as u64;
        self.release(manifests, Change::RemoveManifest, unused.at);

        let room = limit.saturating_sub(usize::try_from(released.links).unwrap_or(usize::MAX));
        let links = self.across_repositories(room, |repository| {
            let renewed_before = unused.links_before;
            repository.links.iter().filter_map(move |(digest, renewed)| {
                (*renewed < renewed_before && !repository.names_blob(digest)).then_some(*digest)
            })
        });
        released.links += links.len() as u64;
        self.release(links, Change::UnlinkBlob, unused.at);

        let room = limit.saturating_sub(usize::try_from(released.repositories).unwrap_or(usize::MAX));
        let hidden: Vec<_> = self
            .names
            .iter()
            .filter(|(_, id)| {
                self.repositories.get(id).is_some_and(|repository| {
                    !repository.listed && repository.made < unused.links_before && repository.is_empty()
                })
            })
            .map(|(name, id)| (name.clone(), *id))
            .take(room)
            .collect();
        for (name, id) in hidden {
            self.names.remove(&name);
            self.repositories.remove(&id);
            released.repositories += 1;
        }
        released
    }

    /// Takes apart what hangs on ids that no name leads to.
    fn empty_removed(&mut self, released: &mut Released, limit: usize) {
        let names = &self.names;
        let removed: Vec<RepositoryId> = self
            .repositories
            .iter()
            .filter(|(id, repository)| names.get(&repository.name) != Some(id))
            .map(|(id, _)| *id)
            .take(limit)
            .collect();
        let (mut manifests, mut links) = (limit, limit);
        for id in removed {
            let Some(repository) = self.repositories.get_mut(&id) else { continue };
            while manifests > 0 && repository.manifests.pop_first().is_some() {
                manifests -= 1;
                released.manifests += 1;
            }
            while links > 0
                && let Some((digest, _)) = repository.links.pop_first()
            {
                self.holders.remove(&(digest, Some(id)));
                links -= 1;
                released.links += 1;
            }
            if repository.is_empty() {
                self.repositories.remove(&id);
                released.repositories += 1;
            }
        }
    }

    /// At most `limit` of what `found` finds in repositories that have a name.
    fn across_repositories<'a, I>(
        &'a self,
        limit: usize,
        found: impl Fn(&'a Repository) -> I,
    ) -> Vec<(RepositoryName, Digest)>
    where
        I: Iterator<Item = Digest>,
    {
        let named = self.names.values().filter_map(|id| self.repositories.get(id));
        named
            .flat_map(|repository| found(repository).map(|digest| (repository.name.clone(), digest)))
            .take(limit)
            .collect()
    }

    fn release(
        &mut self,
        unused: Vec<(RepositoryName, Digest)>,
        removal: fn(Digest) -> Change,
        at: DateTime<Utc>,
    ) {
        let actor = Actor::Caretaker(Task::Collection);
        let origin = Origin { channel: Channel::System, ..Origin::default() };
        let mut changing = Changing::new(self, actor, origin, at);
        for (name, digest) in unused {
            // Removals are never refused.
            let _: Result<(), _> = changing.apply(&name, &removal(digest));
        }
    }

    /// At most `limit` contents that no repository links.
    pub(super) fn unlinked(&self, made_before: DateTime<Utc>, limit: usize) -> Vec<Digest> {
        let is_unlinked = |digest| under(&self.holders, digest).next().is_none();
        let records = self.records.iter();
        let unlinked = records.filter(|(digest, record)| record.made < made_before && is_unlinked(digest));
        unlinked.map(|(digest, _)| *digest).take(limit).collect()
    }

    /// Drops the records of these, and says of how many.
    pub(super) fn discard(&mut self, unlinked: &[Digest], at: DateTime<Utc>) -> u64 {
        let records = unlinked.iter().filter_map(|digest| self.records.remove(digest));
        self.discarded.extend(records.map(|record| (record.location, Discarded::Listed(at))));
        unlinked.len() as u64
    }

    pub(super) fn discard_stray(&mut self, stored: &StoredBlob, at: DateTime<Utc>) -> bool {
        if self.records.get(&stored.digest).is_some_and(|record| record.location == stored.location) {
            return false;
        }
        self.discarded.entry(stored.location.clone()).or_insert(Discarded::Listed(at));
        true
    }
}
