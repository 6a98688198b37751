//! The registry as a program, assembled from the public crates alone.

mod account;
mod accounts;
mod admin;
mod administration;
mod aging;
mod audit;
mod backup;
mod check_config;
mod chores;
mod collect;
mod config;
mod credentials;
mod data_directory;
mod door;
mod grant;
mod init;
mod input;
mod key;
mod login;
mod logs;
mod management;
mod master_key;
mod messages;
mod meter;
mod metrics;
mod migrate;
mod organisation;
mod output;
mod packages;
mod recover_administrator;
mod repository;
mod scrub;
mod serve;
mod server;
mod share;
mod stores;
mod tls;
mod token_key;
mod trail;
mod trigger;
mod units;
mod user;
mod version;

use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

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
    Init(init::Init),
    Account(account::AccountCommand),
    User(user::UserCommand),
    Key(key::KeyCommand),
    TokenKey(token_key::TokenKeyCommand),
    Organisation(organisation::OrganisationCommand),
    #[command(visible_alias = "image")]
    Repository(repository::RepositoryCommand),
    Version(version::VersionCommand),
    Grant(grant::GrantCommand),
    Share(share::ShareCommand),
    Aging(aging::AgingCommand),
    Trigger(trigger::TriggerCommand),
    LoginCommand(login::LoginCommand),
    Audit(trail::AuditCommand),
    Import(packages::Import),
    Export(packages::Export),
    Collect(collect::Collect),
    Config(check_config::ConfigCommand),
    Scrub(scrub::Scrub),
    Backup(backup::Backup),
    Restore(backup::Restore),
    Migrate(migrate::Migrate),
    MasterKey(master_key::MasterKey),
    RecoverAdministrator(recover_administrator::RecoverAdministrator),
    /// Prints what makes a shell complete commands: `source <(swr completions bash)`
    Completions {
        /// The shell
        shell: Shell,
    },
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
            Task::Account(command) => command.run().await,
            Task::User(command) => command.run().await,
            Task::Key(command) => command.run().await,
            Task::TokenKey(command) => command.run().await,
            Task::Organisation(command) => command.run().await,
            Task::Repository(command) => command.run().await,
            Task::Version(command) => command.run().await,
            Task::Grant(command) => command.run().await,
            Task::Share(command) => command.run().await,
            Task::Aging(command) => command.run().await,
            Task::Trigger(command) => command.run().await,
            Task::LoginCommand(command) => command.run().await,
            Task::Audit(command) => command.run().await,
            Task::Import(command) => command.run().await,
            Task::Export(command) => command.run().await,
            Task::Collect(command) => command.run().await,
            Task::Config(command) => command.run(),
            Task::Scrub(command) => command.run().await,
            Task::Backup(command) => command.run().await,
            Task::Restore(command) => command.run().await,
            Task::Migrate(migrate) => migrate.run().await,
            Task::MasterKey(command) => command.run().await,
            Task::RecoverAdministrator(command) => command.run().await,
            Task::Completions { shell } => complete(shell),
        }
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(line) => failed(&line),
    }
}

fn complete(shell: Shell) -> Result<(), String> {
    // Made in memory, since what is written to a pipe that closes early would panic.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Command::command(), "swr", &mut script);
    std::io::stdout().write_all(&script).map_err(|error| format!("standard output: {error}"))
}

fn failed(line: &str) -> ExitCode {
    // Where standard error is gone there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "swr: {line}");
    ExitCode::FAILURE
}
