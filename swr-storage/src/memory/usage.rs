//! What accounts used, day by day, in memory.

use chrono::NaiveDate;

use swr_core::control::identity::AccountId;
use swr_core::ports::{DailyUsage, PullCount, UsageKind};

use super::manifests::Tables;
use super::metadata::Metadata;

/// What was noted of one day.
#[derive(Default)]
pub(super) struct Noted {
    stored: Option<u64>,
    pulled: Option<u64>,
}

impl Metadata {
    pub(super) fn usage(
        &self,
        account: &AccountId,
        kind: UsageKind,
        from: NaiveDate,
        until: NaiveDate,
    ) -> Vec<DailyUsage> {
        let noted = self.usage.iter().filter(|((of, day), _)| of == account && (from..=until).contains(day));
        let noted = noted.filter_map(|((_, day), noted)| {
            let bytes = match kind {
                UsageKind::Stored => noted.stored,
                UsageKind::Pulled => noted.pulled,
            };
            bytes.map(|bytes| DailyUsage { day: *day, bytes })
        });
        noted.collect()
    }
}

impl Tables {
    pub(super) fn note_stored(&mut self, day: NaiveDate) {
        let accounts: Vec<AccountId> = self.metadata.accounts.keys().cloned().collect();
        for account in accounts {
            let bytes = self.overview(&account).bytes;
            self.metadata.usage.entry((account, day)).or_default().stored = Some(bytes);
        }
    }

    /// Of something that is there: counts with its repository, and with the account that owns its organisation.
    pub(super) fn note_pulled(&mut self, PullCount { repository: name, reference, count, last }: &PullCount) {
        let id = self.names.get(name);
        let Some(repository) = id.and_then(|id| self.repositories.get_mut(id)) else { return };
        repository.described.count_pulls(*count);
        let Some((manifest, _)) = repository.resolve(reference) else { return };
        let bytes = repository.declared_size(&manifest.record).saturating_mul(*count);
        let Some(owner) = self.metadata.organisation_of(name) else { return };
        let key = (owner.account.clone(), last.date_naive());
        let pulled = self.metadata.usage.entry(key).or_default().pulled.get_or_insert_default();
        *pulled = pulled.saturating_add(bytes);
    }
}
