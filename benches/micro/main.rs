//! What the smallest steps cost: a digest, a name, a manifest, a commit, and an event on its way to those who listen.

#![expect(clippy::expect_used, reason = "a bench stops where its own values are wrong")]

mod commits;
mod events;
mod parsing;
mod reads;

use std::time::Duration;

use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default()
        .without_plots()
        .sample_size(50)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .nresamples(10_000)
        .configure_from_args();
    parsing::bench(&mut criterion);
    reads::bench(&mut criterion);
    commits::bench(&mut criterion);
    events::bench(&mut criterion);
    criterion.final_summary();
}
