//! The exit codes that all programs share (`containers.md` 2.7).

/// Why a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// Done, or stopped by a signal and clean.
    Success = 0,
    /// An unexpected failure.
    Failure = 1,
    /// A setting is missing, wrong or given twice.
    Configuration = 2,
    /// The master key is missing, malformed or does not fit.
    MasterKey = 3,
    /// The database was not reachable in time, or refused the credentials.
    Database = 4,
    /// The database is newer than the program, or its migration failed and was rolled back.
    Schema = 5,
    /// The import failed, or was asked for before it is built.
    Import = 6,
    /// A folder is not writable, or a port cannot be bound.
    Folder = 7,
    /// The Server refused the registration.
    RegistrationRefused = 8,
    /// The Server was not reachable within RegistrationRetrySeconds.
    ServerUnreachable = 9,
}

impl ExitCode {
    /// Codes after which process 1 waits 5 s before it ends, so that a restart policy does not hammer a Server.
    pub fn is_slowed(code: i32) -> bool {
        [
            ExitCode::MasterKey,
            ExitCode::Schema,
            ExitCode::RegistrationRefused,
        ]
        .iter()
        .any(|slow| *slow as i32 == code)
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> std::process::ExitCode {
        std::process::ExitCode::from(code as u8)
    }
}
