//! What accounts used, day by day, in memory.

use chrono::NaiveDate;

use swr_core::control::identity::AccountId;
use swr_core::ports::{DailyUsage, PullCount, UsageKind};

use super::manifests::Tables;
use super::metadata::Metadata;

impl Metadata {
    pub(super) fn usage(
        &self,
        account: &AccountId,
        kind: UsageKind,
        from: NaiveDate,
        until: NaiveDate,
    ) -> Vec<DailyUsage> {
        let noted = self
            .usage
            .iter()
            .filter(|((day, of, noted), _)| (from..=until).contains(day) && of == account && *noted == kind);
        noted.map(|((day, ..), bytes)| DailyUsage { day: *day, bytes: *bytes }).collect()
    }

    pub(super) fn trim_usage(&mut self, before: NaiveDate, limit: usize) -> u64 {
        self.usage.extract_if(.., |(day, ..), _| *day < before).take(limit).count() as u64
    }
}

impl Tables {
    pub(super) fn note_stored(&mut self, day: NaiveDate) {
        let accounts: Vec<AccountId> = self.metadata.accounts.keys().cloned().collect();
        for account in accounts {
            let bytes = self.overview(&account).bytes;
            self.metadata.usage.insert((day, account, UsageKind::Stored), bytes);
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
        let key = (last.date_naive(), owner.account.clone(), UsageKind::Pulled);
        let pulled = self.metadata.usage.entry(key).or_default();
        *pulled = pulled.saturating_add(bytes);
    }
}
