//! What the agent remembers of its registration (`containers.md` 3.3, 3.4).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use settings::SecretValue;

use crate::durable_file;
use crate::failure::Failure;

const FILE: &str = "registration.json";
/// `entrypoint` looks for it, too.
const TOKEN: &str = "deregistration-token";

/// The last registration: where, as what, and what was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct RegistrationState {
    /// The Server's address.
    pub(crate) server: String,
    /// The machine on the Server.
    pub(crate) machine: String,
    /// Its own link.
    pub(crate) path: String,
    /// What was asked for, so that an unchanged wish does not undo a change in the portal.
    pub(crate) given: Given,
}

/// The wishes of a registration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Given {
    pub(crate) policy: Option<String>,
    pub(crate) environments: Vec<String>,
    pub(crate) roles: Vec<String>,
    pub(crate) pools: Vec<String>,
    pub(crate) tenants: Vec<String>,
    pub(crate) tenant_tags: Vec<String>,
    pub(crate) participation: Option<String>,
}

impl RegistrationState {
    /// What is known; none when the agent never registered.
    pub(crate) fn load(home: &Path) -> Result<Option<RegistrationState>, Failure> {
        let path = path(home);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| {
                Failure::controlled(format!(
                    "'{}' is damaged: {error}. Delete it, and register again.",
                    path.display()
                ))
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failure::of_file("read the registration", &path, &error)),
        }
    }

    pub(crate) fn save(&self, home: &Path) -> Result<(), Failure> {
        let path = path(home);
        let text = serde_json::to_vec_pretty(self).expect("texts are JSON");
        durable_file::private_folder(home)
            .and_then(|()| durable_file::write(&path, &text))
            .map_err(|error| Failure::of_file("write the registration", &path, &error))
    }

    /// The machine is gone for good: nothing is left to take out.
    pub(crate) fn forget(home: &Path) -> Result<(), Failure> {
        for path in [path(home), home.join(TOKEN)] {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Failure::of_file("remove the registration", &path, &error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Our Server's permission to take this machine out, and nothing else.
pub(crate) fn token(home: &Path) -> Option<SecretValue> {
    let text = fs::read_to_string(home.join(TOKEN)).ok()?;
    Some(SecretValue::new(text.trim().to_owned())).filter(|token| !token.expose().is_empty())
}

/// Keeps that permission, mode 0600; without one, the former counts no more.
pub(crate) fn save_token(home: &Path, token: Option<&str>) -> Result<(), Failure> {
    let path = home.join(TOKEN);
    let done = match token {
        Some(token) => durable_file::write(&path, token.as_bytes()),
        None => match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        },
    };
    done.map_err(|error| Failure::of_file("write", &path, &error))
}

fn path(home: &Path) -> PathBuf {
    home.join(FILE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registration_and_its_token_are_kept_until_they_are_forgotten() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(RegistrationState::load(home.path()).unwrap(), None);
        let state = RegistrationState {
            machine: "Machines-1".to_owned(),
            ..RegistrationState::default()
        };
        state.save(home.path()).unwrap();
        save_token(home.path(), Some("very-secret")).unwrap();
        assert_eq!(RegistrationState::load(home.path()).unwrap(), Some(state));
        assert_eq!(token(home.path()).unwrap().expose(), "very-secret");
        RegistrationState::forget(home.path()).unwrap();
        RegistrationState::forget(home.path()).unwrap();
        assert!(token(home.path()).is_none());
    }
}
