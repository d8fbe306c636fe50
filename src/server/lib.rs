#![doc = include_str!("README.md")]

pub mod command;
mod failure;
pub mod health;
mod listen;
mod log;
mod master_key;
pub mod prepare;
mod quickstart;
pub mod serve;
mod volume;

use std::process::ExitCode as ProcessExitCode;

use clap::Parser;
use command::{Command, CommandLine, Format, Home};
pub use failure::Failure;
use settings::{Environment, ExitCode, Program, ServerSettings};

/// The program: reads the command line and the environment, does it, and gives the exit code.
#[must_use]
pub fn main() -> ProcessExitCode {
    let line = CommandLine::parse();
    if line.version {
        println!("{}", version());
        return ProcessExitCode::SUCCESS;
    }
    let Some(command) = line.command else {
        return ExitCode::Configuration.into();
    };
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        eprintln!("A TLS provider was already there.");
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("The program cannot start threads: {error}. Raise the limit of processes (ulimit -u).");
            return ExitCode::Failure.into();
        }
    };
    runtime.block_on(run(command)).into()
}

/// Version, commit and target in one line.
fn version() -> String {
    format!(
        "mantle {} ({}, {}-{})",
        settings::product_version(),
        option_env!("MANTLE_COMMIT").unwrap_or("source"),
        std::env::consts::OS,
        std::env::consts::ARCH
    )
}

async fn run(command: Command) -> ExitCode {
    if let Command::Quickstart { once } = command {
        return quickstart::run(once).await;
    }
    let environment = Environment::of_process(Program::Server);
    let settings = match environment.server() {
        Ok(settings) => settings,
        Err(problems) => {
            println!("{problems}");
            return ExitCode::Configuration;
        }
    };
    let quiet = matches!(command, Command::ShowMasterKey { .. } | Command::Healthcheck);
    if !quiet {
        log::start(settings.log_format);
    }
    let done = match command {
        Command::Prepare(home) => {
            for note in environment.notes() {
                println!("{note}");
            }
            prepare::run(&settings, &home.folders()).await
        }
        Command::Serve(options) => serve::run(settings, options).await,
        Command::ShowMasterKey { home, format } => show_master_key(&settings, &home, format).await,
        Command::Healthcheck => return health::check(&settings).await,
        Command::Drain {
            drain,
            wait,
            cancel_tasks,
            home,
        } => serve::drain(&settings, &home.folders(), drain, wait, cancel_tasks).await,
        Command::Quickstart { .. } => Ok(()),
    };
    match done {
        Ok(()) => ExitCode::Success,
        Err(failure) => {
            for line in failure.message.lines() {
                println!("{line}");
            }
            failure.code
        }
    }
}

async fn show_master_key(settings: &ServerSettings, home: &Home, format: Format) -> Result<(), Failure> {
    let key = master_key::for_existing_database(settings, &home.folders())?;
    match format {
        Format::Text => println!("{}", key.to_base64().expose()),
        Format::Json => println!("{}", serde_json::json!({ "MasterKey": key.to_base64().expose() })),
    }
    Ok(())
}
