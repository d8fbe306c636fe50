//! Ids of blocks in the log (`rest-api.md` 3.3): derived, so that a task that is resumed finds its own again.

use sha2::{Digest as _, Sha256};

/// The block of a whole task: `ServerTasks-1_XXXXXXXXXX`.
#[must_use]
pub fn task(task: &str) -> String {
    const DIGITS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    let hash = Sha256::digest(format!("log of {task}"));
    let suffix: String = hash
        .iter()
        .take(10)
        .map(|byte| char::from(DIGITS[usize::from(byte % 32)]))
        .collect();
    format!("{task}_{suffix}")
}

/// A block inside another: `<parent>/<hex>`. The key tells it from its siblings and never changes: a step's id, a machine's id.
#[must_use]
pub fn child(parent: &str, key: &str) -> String {
    let hash = Sha256::digest(format!("{parent}\n{key}"));
    format!("{parent}/{}", hex::encode(&hash[..8]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_has_the_same_id_after_a_restart() {
        let root = task("ServerTasks-1");
        assert_eq!(root, task("ServerTasks-1"));
        assert_eq!(root.len(), "ServerTasks-1_XXXXXXXXXX".len());
        assert_ne!(root[14..], task("ServerTasks-2")[14..]);
        let step = child(&root, "step");
        assert_eq!(step, child(&root, "step"));
        assert_ne!(step, child(&root, "other"));
        assert!(child(&step, "machine").starts_with(&format!("{step}/")));
    }
}
