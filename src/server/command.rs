//! The command line of `mantle`. Settings come from the environment; options are for homes other than the
//! image's and for people at a terminal.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Mantle, a deployment server.
#[derive(Debug, Parser)]
#[command(name = "mantle", disable_version_flag = true, arg_required_else_help = true)]
pub struct CommandLine {
    /// Print version, commit and target.
    #[arg(long, short = 'V')]
    pub version: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Decide about the master key, bring the database up to date, make the administrator.
    Prepare(Home),
    /// Serve the portal, the API and the agents.
    Serve(Serve),
    /// Start a Server and two agents on this machine and deploy a small web application to them.
    Quickstart {
        /// End after the deployments.
        #[arg(long)]
        once: bool,
    },
    /// Print the master key of this Server.
    ShowMasterKey {
        /// Where the folders are.
        #[command(flatten)]
        home: Home,
        /// How to print it.
        #[arg(long, value_enum, default_value = "text")]
        format: Format,
    },
    /// Ask the running Server whether it is ready; exit code 0 or 1.
    Healthcheck,
    /// Take no more tasks and wait for those that run.
    Drain {
        /// true to begin, false to end it.
        #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
        drain: bool,
        /// Seconds to wait for running tasks.
        #[arg(long, default_value_t = 600)]
        wait: u64,
        /// Cancel the tasks that run.
        #[arg(long)]
        cancel_tasks: bool,
        /// Where the folders are.
        #[command(flatten)]
        home: Home,
    },
}

/// Where the Server's folders are.
#[derive(Debug, Clone, Default, Args)]
pub struct Home {
    /// The folder above data, repository, taskLogs and the others; the image's are under /.
    #[arg(long)]
    pub home: Option<PathBuf>,
}

impl Home {
    /// The folders.
    #[must_use]
    pub fn folders(&self) -> settings::Folders {
        match &self.home {
            Some(home) => settings::Folders::under(home),
            None => settings::Folders::of_image(),
        }
    }
}

/// How to serve.
#[derive(Debug, Clone, Args)]
pub struct Serve {
    /// Where the folders are.
    #[command(flatten)]
    pub home: Home,
    /// The address to listen on.
    #[arg(long, default_value = "::")]
    pub bind: IpAddr,
    /// The port for polling agents.
    #[arg(long, default_value_t = 10943)]
    pub communications_port: u16,
    /// The runners that are sent to targets: `linux-x64/calamari` and others, or one `calamari`.
    #[arg(long, default_value = "/usr/share/mantle/runners")]
    pub runners: PathBuf,
}

/// How to print an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A line.
    Text,
    /// A JSON object.
    Json,
}
