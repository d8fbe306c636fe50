//! Room on a volume (`tentacle-protocol.md` 6.5).

use std::io;
use std::path::Path;

/// What a new workspace needs, in bytes.
pub(crate) const WORKSPACE: u64 = 500_000_000;

/// Checks that a volume has room; `path` is any existing path on it.
pub(crate) fn check(path: &Path, needed: u64) -> io::Result<()> {
    let volume = rustix::fs::statvfs(path)?;
    let free = volume.f_bavail.saturating_mul(volume.f_frsize);
    if free >= needed {
        return Ok(());
    }
    let text = format!(
        "the volume of '{}' has {} MB free, but {} MB are needed; make room there",
        path.display(),
        free / 1_000_000,
        needed.div_ceil(1_000_000)
    );
    Err(io::Error::new(io::ErrorKind::StorageFull, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_without_room_is_told() {
        assert!(check(Path::new("/"), 1).is_ok());
        let error = check(Path::new("/"), u64::MAX).unwrap_err();
        assert!(error.to_string().contains("free"));
    }
}
