//! Load that costs little, content to move, and the servers that are measured.

pub mod client;
pub mod content;
pub mod servers;
