//! What the smallest steps cost: a digest, a name, a manifest, a commit, and an event on its way to those who listen.

#![expect(clippy::expect_used, reason = "a bench stops where its own values are wrong")]

mod commits;
mod events;
mod parsing;
mod reads;

fn main() {
    divan::main();
}
