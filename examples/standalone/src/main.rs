//! The registry as a program, assembled from the public crates alone.

mod accounts;
mod admin;
mod chores;
mod config;
mod door;
mod logs;
mod messages;
mod metrics;
mod serve;
mod stores;
mod tls;
mod units;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A container registry.
#[derive(Debug, Parser)]
#[command(name = "swr", version, about)]
struct Command {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    Serve(serve::Serve),
    Init(accounts::Init),
}

fn main() -> ExitCode {
    let task = Command::parse().task;
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&format!("the runtime does not start: {error}")),
    };
    let done = runtime.block_on(async {
        match task {
            Task::Serve(serve) => serve.run().await,
            Task::Init(init) => init.run().await,
        }
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(line) => failed(&line),
    }
}

fn failed(line: &str) -> ExitCode {
    // Where standard error is gone there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "swr: {line}");
    ExitCode::FAILURE
}
