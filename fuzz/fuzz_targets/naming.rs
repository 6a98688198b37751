//! What the narrow profile admits the nested one admits as well, and what either refuses is refused within the name.
#![no_main]

use libfuzzer_sys::fuzz_target;
use swr_policy::{NamingPolicy, OrganisationName, RepositoryName, SwrNaming, SwrNestedNaming};

fuzz_target!(|text: &str| {
    let Ok(name) = RepositoryName::parse(text) else { return };
    let (narrow, nested) = (SwrNaming::new(), SwrNestedNaming::new());
    if narrow.admit_repository(&name).is_ok() {
        assert!(nested.admit_repository(&name).is_ok());
        assert_eq!(name.components().count(), 2);
    }
    for verdict in [narrow.admit_repository(&name), nested.admit_repository(&name)] {
        let organisation = OrganisationName::parse(name.components().next().unwrap_or_default());
        match verdict {
            Ok(()) => assert!(organisation.is_ok()),
            Err(refusal) => {
                assert_eq!(refusal.name(), text);
                assert!(refusal.position() <= text.len());
                assert!((1..=name.components().count()).contains(&refusal.component()));
            }
        }
    }
    if let Some(Ok(organisation)) = name.components().next().map(OrganisationName::parse) {
        assert!(nested.reserve(organisation).admit_repository(&name).is_err());
    }
});
