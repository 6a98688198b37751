//! Pulls that were observed: added to counts, many at a time.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use swr_core::commit::RepositoryId;
use swr_core::digest::Digest;
use swr_core::ports::PullCount;
use swr_core::reference::Reference;
use swr_core::{RepositoryName, Tag};

use super::columns::Sql;
use super::connections::{Locks, Pool, WriteError};
use super::event_log::NewEntries;

/// What was counted and is there, by its place among the counts.
const OBSERVED: &str = "
    SELECT counted.place, repositories.id, COALESCE(tags.manifest, manifests.id)
    FROM unnest($1::text[], $2::text[], $3::bytea[]) WITH ORDINALITY AS counted (repository, tag, digest, place)
    JOIN repositories ON repositories.name = counted.repository
    LEFT JOIN tags ON tags.repository = repositories.id AND tags.name = counted.tag
    LEFT JOIN manifests ON manifests.repository = repositories.id AND manifests.digest = counted.digest
    WHERE tags.manifest IS NOT NULL OR manifests.id IS NOT NULL
    ORDER BY counted.place";

/// Sums stop at the greatest integer.
const COUNT_TAGS: &str = "
    UPDATE tags
    SET pulls = LEAST(tags.pulls::numeric + counted.pulls, 9223372036854775807)::bigint,
        pulled = GREATEST(tags.pulled, counted.pulled)
    FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[]) AS counted (repository, tag, pulls, pulled)
    WHERE tags.repository = counted.repository AND tags.name = counted.tag";

const COUNT_MANIFESTS: &str = "
    UPDATE manifests
    SET pulls = LEAST(manifests.pulls::numeric + counted.pulls, 9223372036854775807)::bigint,
        pulled = GREATEST(manifests.pulled, counted.pulled)
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS counted (manifest, pulls, pulled)
    WHERE manifests.id = counted.manifest";

/// A repository counts what was there to be pulled.
const COUNT_REPOSITORIES: &str = "
    UPDATE repositories
    SET pulls = LEAST(repositories.pulls::numeric + counted.pulls, 9223372036854775807)::bigint
    FROM unnest($1::bigint[], $2::bigint[]) AS counted (repository, pulls)
    WHERE repositories.id = counted.repository";

/// Pulls of one thing together.
#[derive(Clone, Copy)]
struct Sum {
    pulls: i64,
    last: DateTime<Utc>,
}

impl Sum {
    fn add(sum: Option<Self>, PullCount { count, last, .. }: &PullCount) -> Self {
        let pulls = i64::try_from(*count).unwrap_or(i64::MAX);
        match sum {
            Some(sum) => Self { pulls: sum.pulls.saturating_add(pulls), last: sum.last.max(*last) },
            None => Self { pulls, last: *last },
        }
    }
}

/// Whoever changes one of these repositories waits for it, and nobody else; hence in a handful of steps.
pub(super) async fn observe(pool: &Pool, counts: &[PullCount]) -> Result<(), WriteError> {
    let locks = Locks::beside_others(pool).work("usage");
    let locks = counts.iter().fold(locks, |locks, count| locks.repository(&count.repository));
    let transaction = pool.begin(&locks).await?;
    let names: Vec<Sql<&RepositoryName>> = counts.iter().map(|count| Sql(&count.repository)).collect();
    let tags: Vec<_> = counts.iter().map(|count| tag(&count.reference).map(Sql)).collect();
    let digests: Vec<_> = counts.iter().map(|count| digest(&count.reference).map(Sql)).collect();
    let observed = transaction.query(OBSERVED, &[&names, &tags, &digests]).await?;

    let mut of_repositories: BTreeMap<RepositoryId, Sum> = BTreeMap::new();
    let mut of_tags = BTreeMap::new();
    let mut of_manifests = BTreeMap::new();
    let mut pulled = Vec::with_capacity(observed.len());
    for row in &observed {
        let (place, Sql(repository), manifest): (i64, _, i64) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        // Places are counted from one.
        let Some(count) = usize::try_from(place - 1).ok().and_then(|place| counts.get(place)) else {
            continue;
        };
        let add = |sum: Option<Sum>| Sum::add(sum, count);
        of_repositories.insert(repository, add(of_repositories.get(&repository).copied()));
        match &count.reference {
            Reference::Tag(tag) => {
                let key = (repository, tag);
                of_tags.insert(key, add(of_tags.get(&key).copied()));
            }
            Reference::Digest(_) => {
                of_manifests.insert(manifest, add(of_manifests.get(&manifest).copied()));
            }
        }
        pulled.push((count, manifest));
    }

    let sums = |sums: &mut dyn Iterator<Item = &Sum>| -> (Vec<i64>, Vec<Sql<DateTime<Utc>>>) {
        sums.map(|sum| (sum.pulls, Sql(sum.last))).unzip()
    };
    let (pulls, last) = sums(&mut of_tags.values());
    let (repositories, tags): (Vec<_>, Vec<_>) =
        of_tags.keys().map(|(repository, tag)| (Sql(*repository), Sql(*tag))).unzip();
    transaction.execute(COUNT_TAGS, &[&repositories, &tags, &pulls, &last]).await?;
    let (pulls, last) = sums(&mut of_manifests.values());
    let manifests: Vec<_> = of_manifests.keys().copied().collect();
    transaction.execute(COUNT_MANIFESTS, &[&manifests, &pulls, &last]).await?;
    let (pulls, _) = sums(&mut of_repositories.values());
    let repositories: Vec<_> = of_repositories.keys().copied().map(Sql).collect();
    transaction.execute(COUNT_REPOSITORIES, &[&repositories, &pulls]).await?;
    #[cfg(feature = "control")]
    super::usage::note_pulled(&transaction, &pulled).await?;
    transaction.end(&NewEntries::default()).await?;
    Ok(())
}

fn tag(reference: &Reference) -> Option<&Tag> {
    match reference {
        Reference::Tag(tag) => Some(tag),
        Reference::Digest(_) => None,
    }
}

fn digest(reference: &Reference) -> Option<&Digest> {
    match reference {
        Reference::Tag(_) => None,
        Reference::Digest(digest) => Some(digest),
    }
}
