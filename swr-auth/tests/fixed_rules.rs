//! Every fixed rule, for every caller and action.

use swr_auth::{AnyoneMay, PublicRead, ReadOnly};
use swr_core::RepositoryName;
use swr_core::caller::{Caller, Identity};
use swr_core::ports::{Action, Ask, Authorizer, Verdict};

#[tokio::test]
async fn each_rule_allows_what_its_name_says() {
    let repository = RepositoryName::parse("a/b").unwrap();
    let stranger = Caller::Anonymous;
    let ada = Caller::User(Identity::new("ada"));
    let rules: [(&dyn Authorizer, &Caller, [bool; 3]); 6] = [
        (&AnyoneMay, &stranger, [true, true, true]),
        (&AnyoneMay, &ada, [true, true, true]),
        (&PublicRead, &stranger, [true, false, false]),
        (&PublicRead, &ada, [true, true, true]),
        (&ReadOnly, &stranger, [true, false, false]),
        (&ReadOnly, &ada, [true, false, false]),
    ];
    for (rule, caller, allowed) in rules {
        for (action, allowed) in [Action::Pull, Action::Push, Action::Delete].into_iter().zip(allowed) {
            let ask = Ask { action, repository: &repository, tags: &[] };
            let verdict = rule.decide(caller, ask).await.unwrap();
            assert_eq!(matches!(verdict, Verdict::Allow(_)), allowed, "{rule:?} {caller:?} {action:?}");
        }
    }
}
