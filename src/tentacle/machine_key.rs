//! Secrets in the settings file are encrypted with a key of the machine (`observed.md` 10.23,
//! `tentacle-protocol.md` 7.2). In a container the key lies on the volume, never in the image
//! (`containers.md` 3.3).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use aes::Aes256;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use zeroize::Zeroizing;

use crate::durable_file;
use crate::failure::Failure;

/// What the original uses together with the machine id.
const MACHINE_ID_VECTOR: &[u8; 16] = b"743677397A244326";

/// Where the key of this machine is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineKeyPlace {
    /// `/etc/machine-id`, or nothing where the image's machine id must not be used.
    pub machine_id: Option<PathBuf>,
    /// The file with a generated key, made when it is missing and needed.
    pub key_file: PathBuf,
}

/// The keys that a secret of this machine may be encrypted with, the one for new secrets first.
pub struct MachineKey {
    keys: Vec<Key>,
    place: MachineKeyPlace,
}

struct Key {
    key: Zeroizing<[u8; 32]>,
    vector: [u8; 16],
}

impl MachineKey {
    /// Finds the key, and makes the key file when there is no other.
    ///
    /// # Errors
    /// The key file is damaged, or cannot be read or written.
    pub fn open(place: &MachineKeyPlace) -> Result<MachineKey, Failure> {
        let mut keys: Vec<Key> = place
            .machine_id
            .as_deref()
            .and_then(machine_id)
            .into_iter()
            .collect();
        match fs::read_to_string(&place.key_file) {
            Ok(text) => keys.push(parse(&text).ok_or_else(|| damaged(&place.key_file))?),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !keys.is_empty() => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => keys.push(generate(&place.key_file)?),
            Err(error) if keys.is_empty() => {
                return Err(Failure::of_file("read the machine key", &place.key_file, &error));
            }
            Err(_) => {} // the machine id is enough; the file may belong to another user
        }
        Ok(MachineKey {
            keys,
            place: place.clone(),
        })
    }

    /// Encrypts text; the result is base64.
    pub fn encrypt(&self, text: &str) -> String {
        let Key { key, vector } = &self.keys[0];
        let cipher = cbc::Encryptor::<Aes256>::new(&(**key).into(), &(*vector).into());
        STANDARD.encode(cipher.encrypt_padded_vec::<Pkcs7>(text.as_bytes()))
    }

    /// Decrypts what a machine with one of the keys encrypted.
    ///
    /// # Errors
    /// No key fits; the failure names the setting, and the way out.
    pub fn decrypt(&self, setting: &str, encrypted: &str) -> Result<Zeroizing<String>, Failure> {
        let bytes = STANDARD.decode(encrypted.trim()).ok();
        let found = bytes.and_then(|bytes| self.keys.iter().find_map(|key| key.decrypt(&bytes)));
        found.ok_or_else(|| {
            let id = match &self.place.machine_id {
                Some(path) => format!("the machine id in '{}' or the key in '{}'", path.display(), self.place.key_file.display()),
                None => format!("the key in '{}'", self.place.key_file.display()),
            };
            Failure::controlled(format!(
                    "The setting {setting} was encrypted with another key than {id}; has the settings file been copied from \
                     another machine, or the machine id been changed? Restore the former one, or run new-certificate and \
                     register again."
                ))
        })
    }
}

impl Key {
    fn decrypt(&self, bytes: &[u8]) -> Option<Zeroizing<String>> {
        let cipher = cbc::Decryptor::<Aes256>::new(&(*self.key).into(), &self.vector.into());
        let clear = Zeroizing::new(cipher.decrypt_padded_vec::<Pkcs7>(bytes).ok()?);
        // a wrong key leaves a valid padding once in 256 times; what stands in settings is printable text
        let text = std::str::from_utf8(&clear).ok()?;
        (!text.chars().any(char::is_control)).then(|| Zeroizing::new(text.to_owned()))
    }
}

fn machine_id(path: &Path) -> Option<Key> {
    let text = fs::read_to_string(path).ok()?;
    let key: [u8; 32] = text.trim().as_bytes().try_into().ok()?;
    Some(Key {
        key: Zeroizing::new(key),
        vector: *MACHINE_ID_VECTOR,
    })
}

/// `base64(key).base64(vector)`.
fn parse(text: &str) -> Option<Key> {
    let (key, vector) = text.trim().split_once('.')?;
    let key = Zeroizing::new(STANDARD.decode(key).ok()?);
    Some(Key {
        key: Zeroizing::new(key.as_slice().try_into().ok()?),
        vector: STANDARD.decode(vector).ok()?.try_into().ok()?,
    })
}

fn generate(path: &Path) -> Result<Key, Failure> {
    let failed = |error: io::Error| Failure::of_file("write the machine key", path, &error);
    let mut key = Key {
        key: Zeroizing::new([0; 32]),
        vector: [0; 16],
    };
    getrandom::fill(&mut *key.key)
        .and_then(|()| getrandom::fill(&mut key.vector))
        .map_err(|error| failed(io::Error::other(error.to_string())))?;
    let text = Zeroizing::new(format!(
        "{}.{}",
        STANDARD.encode(*key.key),
        STANDARD.encode(key.vector)
    ));
    durable_file::private_folder(durable_file::folder_of(path)).map_err(failed)?;
    durable_file::write(path, text.as_bytes()).map_err(failed)?;
    Ok(key)
}

fn damaged(path: &Path) -> Failure {
    Failure::controlled(format!(
        "The machine key '{}' is damaged. Restore it, or delete it, run new-certificate and register again.",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(folder: &Path, id: Option<&str>) -> MachineKeyPlace {
        if let Some(id) = id {
            fs::write(folder.join("machine-id"), format!("{id}\n")).unwrap();
        }
        MachineKeyPlace {
            machine_id: id.map(|_| folder.join("machine-id")),
            key_file: folder.join("machinekey"),
        }
    }

    #[test]
    fn what_the_original_encrypted_is_read_with_the_machine_id() {
        let folder = tempfile::tempdir().unwrap();
        let key = MachineKey::open(&place(folder.path(), Some("0123456789abcdef0123456789abcdef"))).unwrap();
        assert_eq!(key.encrypt("Secret1"), "o1CQqf09CtBFa9+Xq70itg==");
        assert_eq!(
            key.decrypt("x", "o1CQqf09CtBFa9+Xq70itg==").unwrap().as_str(),
            "Secret1"
        );
        assert!(!folder.path().join("machinekey").exists());
    }

    #[test]
    fn in_a_container_the_key_is_made_on_the_volume() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(folder.path(), None);
        let sealed = MachineKey::open(&place).unwrap().encrypt("pfx");
        assert_eq!(
            MachineKey::open(&place)
                .unwrap()
                .decrypt("x", &sealed)
                .unwrap()
                .as_str(),
            "pfx"
        );
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(
            fs::metadata(&place.key_file).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }

    #[test]
    fn a_changed_machine_id_is_told_with_the_way_out() {
        let folder = tempfile::tempdir().unwrap();
        let first = place(folder.path(), Some("0123456789abcdef0123456789abcdef"));
        let sealed = MachineKey::open(&first)
            .unwrap()
            .encrypt("a longer secret than one block of sixteen bytes");
        let other = place(folder.path(), Some("fedcba9876543210fedcba9876543210"));
        let failure = MachineKey::open(&other)
            .unwrap()
            .decrypt("Tentacle.Certificate", &sealed)
            .unwrap_err();
        assert!(failure.message.contains("machine-id") && failure.message.contains("new-certificate"));
        fs::write(&other.key_file, "damaged").unwrap();
        assert!(MachineKey::open(&other).is_err());
    }
}
