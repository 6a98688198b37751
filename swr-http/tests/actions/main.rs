//! What triggers do and who is told of events, against small servers on loopback.

#![cfg(all(feature = "kubernetes", feature = "webhook"))]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod kubernetes;
mod notification;
mod receiver;
mod scene;
mod webhook;
