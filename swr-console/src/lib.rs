#![doc = include_str!("../README.md")]

mod assets;
mod cookies;
mod exchange;
mod form;
mod language;
mod layout;
mod pages;
mod pieces;
mod same_origin;
mod service;
mod texts;

pub use service::{ConsoleOptions, ConsoleService};
